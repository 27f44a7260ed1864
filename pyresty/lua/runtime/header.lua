-- ngx.header, ngx.status, ngx.resp.get_headers: the head of the response. https://github.com/openresty/lua-nginx-module#ngxheaderheader
-- What has been printed may still be gathered on this side: then the head counts as sent, and is sent before anything is read of it.

local rt = ...

local type, tostring, tonumber, rawset, rawget, setmetatable, error, select, unpack =
    type, tostring, tonumber, rawset, rawget, setmetatable, error, select, unpack
local find, gsub, lower = string.find, string.gsub, string.lower
local require_request, add_value = rt.require_request, rt.add_value
local py = rt.py
local set_header, get_header = py.set_header, py.get_header

local ERR, DEBUG = 4, 8
local MAX_HEADERS = 100

-- Whether the head has been sent. If something has been printed it is sent now, unless the output is held until its length is known;
-- the state is kept, so that what is printed next is not taken for all there is. (With Lua filters what has been printed is on its way.)
local function head_sent(r)
    if r.sent then
        rt.keep(r)
        if r.filtered then
            return py.head_gone()
        end
        return py.send_head(#r.out > 0)
    end
    return false
end
rt.head_sent = head_sent

local function values(n, first, ...)
    if n < 2 then
        return first
    end
    return { first, ... }
end

local function pack_values(...)
    return values(select("#", ...), ...)
end

rawset(ngx, "header", setmetatable({}, {
    __index = function(_, key)
        head_sent(require_request(2))
        if type(key) ~= "string" then
            key = tostring(key)
        end
        return pack_values(get_header(key))
    end,
    __newindex = function(_, key, value)
        if head_sent(require_request(2)) then
            py.log(ERR, "attempt to set ngx.header.HEADER after sending out response headers")
            return
        end
        if type(key) ~= "string" then
            key = tostring(key)
        end
        local kind = type(value)
        local err
        if kind == "string" then
            err = set_header(key, value)
        elseif kind == "nil" then
            err = set_header(key)
        elseif kind == "table" then
            for i = 1, #value do
                if type(value[i]) ~= "string" then
                    value[i] = tostring(value[i])
                end
            end
            err = set_header(key, unpack(value, 1, #value))
        else
            err = set_header(key, tostring(value))
        end
        if err then
            error(err, 2)
        end
    end,
}))

-- Tables of headers: a name is found whatever its case, with underscores for hyphens too.
local by_any_name = {
    __index = function(t, key)
        key = lower(key)
        local value = rawget(t, key)
        if value == nil and find(key, "_", 1, true) then
            value = rawget(t, (gsub(key, "_", "-")))
        end
        return value
    end,
}

-- Add a run of names and values; answers how many there are.
local function fill(t, ...)
    local run = { ... }
    for i = 1, #run, 2 do
        add_value(t, run[i], run[i + 1])
    end
    return #run / 2
end

-- A table of the headers that `read(from, most, raw)` gives a run at a time, `max` of them at most (0: all), and how many it has.
local RUN = 500
function rt.header_table(read, max, raw)
    local t, from = {}, 0
    repeat
        local most = RUN
        if max > 0 and max - from < most then
            most = max - from
        end
        local n = fill(t, read(from, most, raw))
        from = from + n
    until n < RUN
    return raw and t or setmetatable(t, by_any_name), from
end

rawset(ngx, "resp", {
    get_headers = function(max, raw)
        local r = require_request(2)
        if max == nil then
            max = MAX_HEADERS
        else
            max = rt.check_integer(max, 1, 2)
        end
        head_sent(r)
        if max <= 0 then
            return (rt.header_table(py.resp_headers, 0, raw and true or false))
        end
        local count, first = py.resp_headers_count()
        -- nginx's own come whatever max says, and one of the list
        local t = rt.header_table(py.resp_headers, max > first and max or first + 1, raw and true or false)
        if count > max then
            py.log(DEBUG, "lua exceeding response header limit " .. (max + 1) .. " > " .. max)
            return t, "truncated"
        end
        return t
    end,
})

rt.getters.status = function()
    head_sent(require_request(2))
    return py.get_status()
end

rt.setters.status = function(value)
    local r = require_request(2)
    local status = tonumber(value)
    if not status then
        error("bad argument #2 to 'set_status' (cannot convert '" .. type(value) .. "' to 'int')", 2)
    end
    if head_sent(r) then
        py.log(ERR, "attempt to set ngx.status after sending out response headers")
        return
    end
    status = status - status % 1
    if status < 100 or status > 999 then
        py.log(ERR, "invalid HTTP status code " .. status)
        return
    end
    py.set_status(status)
    rt.status_set(r, status)
end
