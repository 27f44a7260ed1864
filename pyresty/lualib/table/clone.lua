-- table.clone(t): a shallow copy of t, without its metatable. https://github.com/openresty/luajit2#tableclone

local next = next
local check = require("pyresty.table").check

return function(...)
    local copy = {}
    for key, value in next, check(...) do
        copy[key] = value
    end
    return copy
end
