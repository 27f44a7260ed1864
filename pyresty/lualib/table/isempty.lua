-- table.isempty(t): whether t holds nothing at all. https://github.com/openresty/luajit2#tableisempty

local next, type = next, type
local check_table = require("pyresty.table").check

return function(t)
    if type(t) ~= "table" then
        check_table(t)
    end
    return next(t) == nil
end
