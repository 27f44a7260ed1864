-- The argument check that OpenResty's additions to the table library share.

local error, select, type = error, select, type
local getinfo = debug.getinfo

local _M = {}


-- Returns the table that is the first argument; raises LuaJIT's argument error in the name of the calling function.
function _M.check(...)
    local t = ...
    if type(t) == "table" then
        return t
    end
    local name = getinfo(2, "n").name or "?"
    local given = select("#", ...) == 0 and "no value" or type(t)
    error("bad argument #1 to '" .. name .. "' (table expected, got " .. given .. ")", 3)
end


return _M
