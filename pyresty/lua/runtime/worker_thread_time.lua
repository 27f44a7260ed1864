-- The clock of a task's VM, for the expiry of what is in shared dictionaries.

local rt = ...

local ffi = require("ffi")
local floor = math.floor

ffi.cdef([[
    typedef struct { long seconds, nanoseconds; } pyresty_timespec;
    int pyresty_clock_gettime(int, pyresty_timespec *) asm("clock_gettime");
]])

local REALTIME = 0
local clock = ffi.new("pyresty_timespec")

function rt.now_ms()
    ffi.C.pyresty_clock_gettime(REALTIME, clock)
    return tonumber(clock.seconds) * 1000 + floor(tonumber(clock.nanoseconds) / 1000000)
end
