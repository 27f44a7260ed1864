-- ngx.say, ngx.print, ngx.flush, ngx.eof, ngx.send_headers. What is printed is gathered here and crosses to Python once.
-- https://github.com/openresty/lua-nginx-module#ngxprint

local rt = ...

local type, select, tostring, pairs, rawset, error = type, select, tostring, pairs, rawset, error
local floor, huge = math.floor, math.huge
local bad_argument, require_phase = rt.bad_argument, rt.require_phase
local py, wait = rt.py, rt.wait
local OP_FLUSH, OP_OUTPUT = rt.ops.flush, rt.ops.output
local null = ngx.null

local PHASES = rt.phases("rewrite access content")

-- Bytes of output that are gathered before they are sent on.
local SEND_BYTES = 65536

-- tostring, but 0 has no sign.
local function text_of(value)
    return value == 0 and "0" or tostring(value)
end

-- A table is written as the concatenation of its elements, recursively; it must be an array.
local function put_table(out, t, n, name, depth)
    local max = 0
    for key in pairs(t) do
        if type(key) ~= "number" or key < 1 or floor(key) ~= key then
            bad_argument(n, "non-array table found", depth)
        end
        if key > max then
            max = key
        end
    end
    for i = 1, max do
        local value = t[i]
        local kind = type(value)
        if kind == "string" then
            out:put(value)
        elseif kind == "number" or kind == "boolean" or kind == "nil" then
            out:put(text_of(value))
        elseif kind == "table" then
            put_table(out, value, n, name, depth + 1)
        elseif value == null then
            out:put("null")
        else
            bad_argument(n, "bad data type " .. kind .. " found", depth)
        end
    end
end

local function put_other(out, value, n, name)
    local kind = type(value)
    if kind == "number" or kind == "boolean" or kind == "nil" then
        out:put(text_of(value))
    elseif kind == "table" then
        put_table(out, value, n, name, 4)
    elseif value == null then
        out:put("null")
    else
        bad_argument(n, "string, number, boolean, nil, ngx.null, or array table expected, but got " .. kind, 3)
    end
end

local function begin(r)
    if r.eof then
        return nil, "seen eof"
    end
    r.sent = true
end

local function ready(name)
    local r = rt.r
    if not r or not PHASES[r.phase] then
        require_phase(PHASES, 3)
    end
    return r
end

local function print_all(r, name, newline, ...)
    if r.eof then
        return nil, "seen eof"
    end
    local out = r.out
    for i = 1, select("#", ...) do
        local value = select(i, ...)
        if type(value) == "string" then
            out:put(value)
        else
            put_other(out, value, i, name)
        end
    end
    if newline then
        out:put("\n")
    end
    r.sent = true
    if not r.lazy_header and rt.eager then
        rt.eager(r)
    end
    local size = #out
    if size > SEND_BYTES then
        return wait(OP_OUTPUT)
    elseif size == 0 then
        rt.head_sent(r)
    end
    return 1
end

rawset(ngx, "say", function(...)
    return print_all(ready("say"), "say", true, ...)
end)

rawset(ngx, "print", function(...)
    return print_all(ready("print"), "print", false, ...)
end)

rawset(ngx, "flush", function(...)
    local n = select("#", ...)
    if n > 1 then
        error("attempt to pass " .. n .. " arguments, but accepted 0 or 1", 2)
    end
    local wait_for_it = ...
    if n == 1 and type(wait_for_it) ~= "boolean" then
        bad_argument(1, "boolean expected, got " .. type(wait_for_it), 2)
    end
    local r = ready("flush")
    if r.eof then
        return nil, "seen eof"
    end
    if not r.sent then
        return nil, "nothing to flush"
    end
    return wait(OP_FLUSH, wait_for_it or false)
end)

rawset(ngx, "eof", function(...)
    if select("#", ...) ~= 0 then
        error("no argument is expected", 2)
    end
    local r = ready("eof")
    if r.eof then
        return nil, "seen eof"
    end
    r.eof = true
    r.sent = true
    return wait(rt.ops.eof)
end)

rawset(ngx, "send_headers", function()
    local r = ready("send_headers")
    if r.sent then
        return 1
    end
    r.sent = true
    return wait(rt.ops.send_headers)
end)

rt.getters.headers_sent = function()
    local r = rt.require_request(3)
    return r.sent
end
