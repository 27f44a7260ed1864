-- The clock, dates and ngx.sleep. https://github.com/openresty/lua-nginx-module#ngxtime
-- As in nginx time stands still while a handler runs, until it waits or calls ngx.update_time.

local rt = ...

local type, rawset, error, select, ipairs = type, rawset, error, select, ipairs
local wait, py, check_number = rt.wait, rt.py, rt.check_number
local SLEEPING = rt.phases(rt.YIELDING)
local OP_SLEEP = rt.ops.sleep

local clock_ms = rt.now_ms
local seen, current = -1, 0

-- The time in milliseconds since the epoch, as of when Lua was entered.
local function now_ms()
    if seen ~= rt.turn then
        seen, current = rt.turn, clock_ms()
    end
    return current
end
rt.now_ms = now_ms

local function now()
    return now_ms() / 1000
end

local function seconds()
    local t = now()
    return t - t % 1
end

rawset(ngx, "now", now)
rawset(ngx, "time", seconds)

rawset(ngx, "update_time", function()
    seen = -1
end)

for _, name in ipairs({ "today", "localtime", "utctime" }) do
    local text = py[name]
    rawset(ngx, name, function()
        return text(seconds())
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
    local ms = rt.truncate(check_number((...), 1, 2) * 1000)
    if ms < 0 then
        error('invalid sleep duration "' .. ms .. '"', 2)
    end
    rt.require_phase(SLEEPING, 2)
    wait(OP_SLEEP, ms)
end)
