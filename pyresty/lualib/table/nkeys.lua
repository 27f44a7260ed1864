-- table.nkeys(t): how many pairs t holds. https://github.com/openresty/luajit2#tablenkeys

local next = next
local check = require("pyresty.table").check

return function(...)
    local count = 0
    for _ in next, check(...) do
        count = count + 1
    end
    return count
end
