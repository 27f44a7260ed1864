-- ngx.sleep and the clock. https://github.com/openresty/lua-nginx-module#ngxtime

local rt = ...

local type, rawset, tonumber = type, rawset, tonumber
local wait = rt.wait
local PHASES = rt.phases("rewrite access content timer")
local OP_SLEEP = rt.ops.sleep

rawset(ngx, "sleep", function(seconds)
    rt.require_phase(PHASES, 2)
    local n = tonumber(seconds)
    if not n then
        rt.bad_argument(1, "sleep", "number expected, got " .. type(seconds), 2)
    end
    if n < 0 then
        error("invalid sleep duration \"" .. n .. "\"", 2)
    end
    wait(OP_SLEEP, n)
end)
