-- resty.string: hexadecimal text and decimal numbers.
-- https://github.com/openresty/lua-resty-string

local char, format, gsub = string.char, string.format, string.gsub
local find, tonumber = string.find, tonumber

local HEX = {}
for code = 0, 255 do
    HEX[char(code)] = format("%02x", code)
end

local _M = {}


-- Each byte as two hexadecimal digits, in lower case.
function _M.to_hex(s)
    return (gsub(s, ".", HEX))
end


-- The number that a string of decimal digits stands for; -1 if it is anything else.
function _M.atoi(s)
    if not find(s, "^%d+$") then
        return -1
    end
    return tonumber(s, 10)
end


return _M
