-- table.isempty(t): whether t holds nothing at all. https://github.com/openresty/luajit2#tableisempty

local next = next
local check = require("pyresty.table").check

return function(...)
    return next(check(...)) == nil
end
