-- The clock, dates and ngx.sleep. https://github.com/openresty/lua-nginx-module#ngxtime
-- As in nginx the time is looked up once for everything that happens at the same time; ngx.update_time looks again.

local rt = ...

local type, rawset, error, select = type, rawset, error, select
local wait, py, check_number = rt.wait, rt.py, rt.check_number
local SLEEPING = rt.phases("rewrite access content timer")
local OP_SLEEP = rt.ops.sleep

for _, name in ipairs({ "time", "now", "today", "localtime", "utctime", "update_time" }) do
    local read = py[name]
    rawset(ngx, name, function()
        return read()
    end)
end

local http_time, cookie_time, parse_http_time = py.http_time, py.cookie_time, py.parse_http_time

rawset(ngx, "http_time", function(seconds)
    if type(seconds) ~= "number" then
        error("number argument only", 2)
    end
    return http_time(seconds)
end)

rawset(ngx, "cookie_time", function(seconds)
    if type(seconds) ~= "number" then
        error("number argument only", 2)
    end
    return cookie_time(seconds)
end)

rawset(ngx, "parse_http_time", function(text)
    if type(text) ~= "string" then
        error("string argument only", 2)
    end
    return parse_http_time(text)
end)

rawset(ngx, "sleep", function(...)
    local n = select("#", ...)
    if n ~= 1 then
        error("attempt to pass " .. n .. " arguments, but accepted 1", 2)
    end
    local ms = check_number((...), 1, 2) * 1000
    ms = ms < 0 and -(-ms - -ms % 1) or ms - ms % 1
    if ms < 0 then
        error('invalid sleep duration "' .. ms .. '"', 2)
    end
    rt.require_phase(SLEEPING, 2)
    wait(OP_SLEEP, ms)
end)
