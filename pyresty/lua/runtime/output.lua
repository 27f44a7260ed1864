-- ngx.say, ngx.print, ngx.flush, ngx.eof, ngx.send_headers. What is printed is gathered here and crosses to Python once;
-- where Lua filters are to see it (r.filtered), each piece crosses as it is printed.
-- https://github.com/openresty/lua-nginx-module#ngxprint

local rt = ...

local type, select, tostring, next, rawget, rawset, error = type, select, tostring, next, rawget, rawset, error
local floor = math.floor
local new_buffer = require("string.buffer").new
local bad_argument, require_phase = rt.bad_argument, rt.require_phase
local py, wait = rt.py, rt.wait
local isyieldable = coroutine.isyieldable
local OP_FLUSH, OP_OUTPUT, OP_FILTER = rt.ops.flush, rt.ops.output, rt.ops.filter
local null = ngx.null

local PHASES = rt.phases("server_rewrite rewrite access precontent content")

-- Bytes of output that are gathered before they are sent on.
local SEND_BYTES = 65536

-- tostring, but 0 has no sign.
local function text_of(value)
    return value == 0 and "0" or tostring(value)
end

-- Write the elements of a table one after the other, those of tables in it too; answers what is wrong with it. It must be an array, if
-- `strict` of strings and numbers only.
local function put_table(out, t, strict)
    local max = 0
    for key in next, t do
        if type(key) ~= "number" or key < 1 or floor(key) ~= key then
            return "non-array table found"
        elseif key > max then
            max = key
        end
    end
    for i = 1, max do
        local value = rawget(t, i)
        local kind = type(value)
        if kind == "string" then
            out:put(value)
        elseif kind == "number" or not strict and (kind == "boolean" or kind == "nil") then
            out:put(text_of(value))
        elseif kind == "table" then
            local wrong = put_table(out, value, strict)
            if wrong then
                return wrong
            end
        elseif not strict and value == null then
            out:put("null")
        else
            return "bad data type " .. kind .. " found"
        end
    end
end

-- The strings and numbers of an array as one string; or nil and what is wrong with it.
function rt.joined(t)
    local out = new_buffer()
    local wrong = put_table(out, t, true)
    if wrong then
        return nil, wrong
    end
    return out:get()
end

local function put_other(out, value, n)
    local kind = type(value)
    if kind == "number" or kind == "boolean" or kind == "nil" then
        out:put(text_of(value))
    elseif kind == "table" then
        local wrong = put_table(out, value)
        if wrong then
            bad_argument(n, wrong, 3)
        end
    elseif value == null then
        out:put("null")
    else
        bad_argument(n, "string, number, boolean, nil, ngx.null, or array table expected, but got " .. kind, 3)
    end
end

local function ready()
    local r = rt.r
    if not r or not PHASES[r.phase] then
        require_phase(PHASES, 3)
    end
    return r
end

-- The client of the request whose state is kept as `rid` has gone: no more output. (r.eof says why there is none.)
function rt.output_failed(rid)
    local r = rt.state(rid)
    r.eof = r.eof or "nginx output filter error"
end

-- The arguments of one call, so that a bad one leaves nothing behind.
local pieces = new_buffer(256)

-- Why nothing can be printed, if so.
local function refusal(r)
    if r.filtered and py.header_only() then
        return "header only"
    end
    return r.eof
end

-- There may be no body: what is printed goes through the filters at once until they have let the head pass.
function rt.may_refuse_body(r)
    r.filtered = r.filtered or "head"
end

-- The response's status is another.
function rt.status_set(r, status)
    if status == 204 or status == 304 then
        rt.may_refuse_body(r)
    end
end

local function print_filtered(r, data)
    local ok, err = wait(OP_FILTER, data)
    if not ok then
        return nil, err
    end
    if py.header_only() then
        r.eof = data ~= "" and "seen eof" or r.eof
    elseif r.filtered == "head" and py.head_gone() then
        r.filtered = nil
    end
    return 1
end

local function print_all(r, newline, ...)
    if r.eof or r.filtered then
        local why = refusal(r)
        if why then
            return nil, why
        end
    end
    local out = r.out
    local n = select("#", ...)
    if n == 1 and type((...)) == "string" then
        out:put((...))
    else
        pieces:reset()
        for i = 1, n do
            local value = select(i, ...)
            if type(value) == "string" then
                pieces:put(value)
            else
                put_other(pieces, value, i)
            end
        end
        out:put(pieces)
    end
    if newline then
        out:put("\n")
    end
    r.sent = true
    local size = #out
    r.said = r.said or size > 0
    if r.filtered and isyieldable() then
        return print_filtered(r, out:get())
    elseif size > SEND_BYTES then
        return wait(OP_OUTPUT)
    elseif size == 0 then
        rt.head_sent(r)
    end
    return 1
end

rawset(ngx, "say", function(...)
    return print_all(ready(), true, ...)
end)

rawset(ngx, "print", function(...)
    return print_all(ready(), false, ...)
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
    local r = ready()
    local why = refusal(r)
    if why then
        return nil, why
    elseif not r.sent or not r.said and not wait_for_it then
        return nil, "nothing to flush"
    end
    return wait(OP_FLUSH, wait_for_it or false)
end)

rawset(ngx, "eof", function(...)
    if select("#", ...) ~= 0 then
        error("no argument is expected", 2)
    end
    local r = ready()
    if r.eof then
        return nil, r.eof
    end
    r.eof = "seen eof"
    r.sent = true
    return wait(rt.ops.eof)
end)

rawset(ngx, "send_headers", function()
    local r = ready()
    if r.sent then
        return 1
    end
    r.sent = true
    return wait(rt.ops.send_headers)
end)

rt.getters.headers_sent = function()
    return rt.head_sent(rt.require_request(2))
end
