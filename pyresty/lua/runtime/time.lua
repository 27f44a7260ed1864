-- The clock, dates and ngx.sleep. https://github.com/openresty/lua-nginx-module#ngxtime
-- As in nginx time stands still while a handler runs, until it waits or calls ngx.update_time.

local rt = ...

local ffi = require("ffi")
local type, rawset, error, select, floor = type, rawset, error, select, math.floor
local wait, py, check_number = rt.wait, rt.py, rt.check_number
local SLEEPING = rt.phases(rt.YIELDING)
local OP_SLEEP = rt.ops.sleep
local C = ffi.C

ffi.cdef [[
typedef struct { uint32_t seconds, high; int32_t nanoseconds, padding; } pyresty_timespec;
int pyresty_clock_gettime(int, pyresty_timespec *) __asm__("clock_gettime");
]]

local REALTIME = 0 -- the same number on every system
local clock = ffi.new("pyresty_timespec")
local seen, current = -1, 0

-- The time in milliseconds since the epoch.
local function now_ms()
    if seen ~= rt.turn then
        C.pyresty_clock_gettime(REALTIME, clock)
        seen, current = rt.turn, clock.seconds * 1000 + floor(clock.nanoseconds / 1000000)
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

rawset(ngx, "now", function()
    return now()
end)

rawset(ngx, "time", function()
    return seconds()
end)

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
    local ms = check_number((...), 1, 2) * 1000
    ms = ms < 0 and -(-ms - -ms % 1) or ms - ms % 1
    if ms < 0 then
        error('invalid sleep duration "' .. ms .. '"', 2)
    end
    rt.require_phase(SLEEPING, 2)
    wait(OP_SLEEP, ms)
end)
