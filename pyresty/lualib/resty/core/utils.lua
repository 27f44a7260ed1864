-- resty.core.utils: string helpers.

local gsub, sub = string.gsub, string.sub


-- Returns the string with every byte that is find's first replaced by replace's first.
local function str_replace_char(str, find, replace)
    local result = gsub(str, ".", { [sub(find, 1, 1)] = sub(replace, 1, 1) })
    return result
end


return {
    version = require("resty.core.base").version,
    str_replace_char = str_replace_char,
}
