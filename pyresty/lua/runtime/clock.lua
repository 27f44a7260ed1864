-- The system's clock, read without a crossing. clock_gettime(2)

local rt = ...

local ffi = require("ffi")
local C, floor = ffi.C, math.floor

ffi.cdef [[
typedef struct { uint32_t seconds, high; int32_t nanoseconds, padding; } pyresty_timespec;
int pyresty_clock_gettime(int, pyresty_timespec *) __asm__("clock_gettime");
]]

local REALTIME = 0 -- the same number on every system
local clock = ffi.new("pyresty_timespec")

-- The time in milliseconds since the epoch. What expires in shared dictionaries goes by it.
function rt.now_ms()
    C.pyresty_clock_gettime(REALTIME, clock)
    return clock.seconds * 1000 + floor(clock.nanoseconds / 1000000)
end
