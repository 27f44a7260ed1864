-- table.isarray(t): whether all keys of t are positive integers, holes or not. https://github.com/openresty/luajit2#tableisarray

local next, type = next, type
local floor = math.floor
local check = require("pyresty.table").check

return function(...)
    for key in next, check(...) do
        if type(key) ~= "number" or key < 1 or floor(key) ~= key then
            return false
        end
    end
    return true
end
