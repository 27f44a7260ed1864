-- A header table: names keep the spelling they were first stored with and are found under any spelling. The
-- spelling lives in the table's own metatable, so pairs() sees nothing but header fields (RFC 9110, section 5.1).

local getmetatable, setmetatable, rawget, rawset = getmetatable, setmetatable, rawget, rawset
local lower = string.lower

local _M = { _VERSION = "0.17.2" }


local function index(headers, name)
    return rawget(headers, getmetatable(headers).normalised[lower(name)])
end


local function newindex(headers, name, value)
    local spelling_of = getmetatable(headers).normalised
    local key = lower(name)
    local stored = spelling_of[key]
    if not stored then
        stored = name
        spelling_of[key] = name
    end
    rawset(headers, stored, value)
end


-- Returns an empty header table.
function _M.new()
    return setmetatable({}, { normalised = {}, __index = index, __newindex = newindex })
end


return _M
