-- The tokens of JSON text, as OpenResty's lua-cjson (2.1.0.11) understands them. Strings are written where they are
-- needed as soon as they are read, and nothing here loops over characters by itself where a C function can: what calls
-- these functions in a hot loop stays one straight piece of machine code.
--
-- `text` is a byte array that ends with a zero byte, `at` the index of a token's first byte in it; `out` is the byte array
-- that pyresty.cjson_decode fills in LuaJIT's serialisation format, `o` an index of that.

local ffi = require("ffi")
local bit = require("bit")

local C, cast, copy, tostr = ffi.C, ffi.cast, ffi.copy, ffi.string
local band, bor, lshift, rshift = bit.band, bit.bor, bit.lshift, bit.rshift
local byte, char, find, format, match, sub = string.byte, string.char, string.find, string.format, string.match, string.sub
local tonumber = tonumber

-- Names of our own for the C functions: a user's module may have declared them otherwise.
ffi.cdef([[
int pyresty_cjson_strcspn(const void *s, const char *reject) __asm__("strcspn");
int pyresty_cjson_strspn(const void *s, const char *accept) __asm__("strspn");
double pyresty_cjson_strtod(const char *s, char **rest) __asm__("strtod");
]])

local COUNT = ffi.typeof("uint32_t *")

-- In the serialisation format a string begins with its length + STRING; that is a byte if it is less than 0xe0, or LONG and four
-- bytes.
local STRING, LONG = 32, 255
local SHORT = 0xe0 - STRING

local unescaped = ffi.new("uint8_t[256]") -- the letter after a backslash → the character, 0 for none
for letter, character in ('""\\\\//b\bf\fn\nr\rt\t'):gmatch("(.)(.)") do
    unescaped[byte(letter)] = byte(character)
end

local hex = ffi.new("int8_t[256]") -- a hexadecimal digit → its value, -1 for none
for c = 0, 255 do
    hex[c] = tonumber(char(c), 16) or -1
end

local power_of_ten = ffi.new("double[23]") -- those that a double holds exactly
for i = 0, 22 do
    power_of_ten[i] = tonumber("1e" .. i)
end

-- Every character that may be part of a number, even of "nan(x_1)".
local IN_NUMBERS = "+-._()0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

local _M = { STRING = STRING, LONG = LONG }

-- Answers the index after white space, and after comments where they are allowed. A comment that is not closed is not skipped.
function _M.skip(text, at, comments)
    at = at + C.pyresty_cjson_strspn(text + at, " \t\r\n")
    while comments and text[at] == 47 do
        local c = text[at + 1]
        local after = at + 2
        if c == 47 then
            after = after + C.pyresty_cjson_strcspn(text + after, "\n")
        elseif c == 42 then
            repeat
                after = after + C.pyresty_cjson_strcspn(text + after, "*")
                if text[after] == 0 then
                    return at
                end
                after = after + 1
            until text[after] == 47
            after = after + 1
        else
            return at
        end
        at = after + C.pyresty_cjson_strspn(text + after, " \t\r\n")
    end
    return at
end

-- The code unit of the four hexadecimal digits at `at`; negative if one is missing.
local function hex4(text, at)
    local a, b, c, d = hex[text[at]], hex[text[at + 1]], hex[text[at + 2]], hex[text[at + 3]]
    if bor(a, b, c, d) < 0 then
        return -1
    end
    return a * 4096 + b * 256 + c * 16 + d
end

-- Write, as UTF-8, the character of the escape \uXXXX at `at`, or of two of them that are a surrogate pair. Answers the
-- indexes after it and after what was written; nil if it is invalid.
local function unicode_escape(text, at, out, o)
    local code = hex4(text, at + 2)
    at = at + 6
    if code < 0 then
        return nil
    elseif code < 0x80 then
        out[o] = code
        return at, o + 1
    elseif code < 0x800 then
        out[o] = 0xc0 + rshift(code, 6)
        out[o + 1] = 0x80 + band(code, 0x3f)
        return at, o + 2
    elseif band(code, 0xf800) == 0xd800 then
        local low = text[at] == 92 and text[at + 1] == 117 and hex4(text, at + 2) or -1
        if code >= 0xdc00 or low < 0xdc00 or low > 0xdfff then
            return nil
        end
        code = lshift(code - 0xd800, 10) + low - 0xdc00 + 0x10000
        out[o] = 0xf0 + rshift(code, 18)
        out[o + 1] = 0x80 + band(rshift(code, 12), 0x3f)
        out[o + 2] = 0x80 + band(rshift(code, 6), 0x3f)
        out[o + 3] = 0x80 + band(code, 0x3f)
        return at + 6, o + 4
    end
    out[o] = 0xe0 + rshift(code, 12)
    out[o + 1] = 0x80 + band(rshift(code, 6), 0x3f)
    out[o + 2] = 0x80 + band(code, 0x3f)
    return at, o + 3
end

-- As quoted(), for a string that is long or has escapes, or does not end.
local function long_quoted(text, at, out, o)
    local start = o + 5
    local w = start
    at = at + 1
    while true do
        local n = C.pyresty_cjson_strcspn(text + at, '"\\')
        copy(out + w, text + at, n)
        at = at + n
        w = w + n
        local c = text[at]
        if c == 34 then
            out[o] = LONG
            cast(COUNT, out + o + 1)[0] = w - start + STRING
            return at + 1, w
        elseif c == 0 then
            return nil, at, "unexpected end of string"
        end
        c = text[at + 1]
        if c == 117 then
            local next_at, next_w = unicode_escape(text, at, out, w)
            if not next_at then
                return nil, at, "invalid unicode escape code"
            end
            at, w = next_at, next_w
        elseif unescaped[c] == 0 then
            return nil, at, "invalid escape code"
        else
            out[w] = unescaped[c]
            at = at + 2
            w = w + 1
        end
    end
end

-- Write a string. Answers the indexes after it and after what was written; nil, where it is invalid, and why.
local function quoted(text, at, out, o)
    local n = C.pyresty_cjson_strcspn(text + at + 1, '"\\')
    if n < SHORT and text[at + n + 1] == 34 then
        out[o] = STRING + n
        copy(out + o + 1, text + at + 1, n)
        return at + n + 2, o + n + 1
    end
    return long_quoted(text, at, out, o)
end
_M.quoted = quoted

-- tonumber() does not depend on the locale, but knows only exponents and fractions of less than a million.
local function to_double(s)
    return tonumber(s) or C.pyresty_cjson_strtod(s, nil)
end

-- What strtod() takes for a number and JSON does not: ".5" after a sign, and unless `strict` hexadecimal numbers, "inf" and "nan".
-- Answers the index after it and the value; nil if it is none of them.
local function odd_number(text, at, strict)
    local s = tostr(text + at, C.pyresty_cjson_strspn(text + at, IN_NUMBERS))
    local sign, rest = match(s, "^([+-]?)(.*)")
    local digits = match(rest, "^%.%d+[eE][+-]?%d+") or match(rest, "^%.%d+")
    if not digits and not strict then
        digits = match(rest, "^0x%x+%.?%x*p[+-]?%d+") or match(rest, "^0x%x+%.?%x*P[+-]?%d+") or match(rest, "^0x%x+%.?%x*")
            or match(rest, "^0x%.%x+p[+-]?%d+") or match(rest, "^0x%.%x+P[+-]?%d+") or match(rest, "^0x%.%x+")
    end
    local value = digits and to_double(digits)
    if not digits and not strict then
        digits = match(rest, "^[iI][nN][fF][iI][nN][iI][tT][yY]") or match(rest, "^[iI][nN][fF]")
        value = 1 / 0
        if not digits then
            digits = match(rest, "^[nN][aA][nN]%([%w_]*%)") or match(rest, "^[nN][aA][nN]")
            value = 0 / 0
        end
    end
    if digits then
        return at + #sign + #digits, sign == "-" and -value or value
    end
end

-- Read a number; `strict` is decode_invalid_numbers off. Answers the index after it, the value, and whether lua-cjson calls it
-- T_INTEGER; nil if it is none. A goto out of an inner block makes a loop that LuaJIT unrolls into the trace of the caller.
local function number(text, at, strict)
    local start = at
    local c = text[at]
    local negative = c == 45
    if negative or c == 43 then
        at = at + 1
        c = text[at]
    end
    local first = at
    if c == 48 and strict and (text[at + 1] >= 48 and text[at + 1] <= 57 or bor(text[at + 1], 32) == 120) then
        return nil
    end
    local value = 0
    ::digit::
    if c >= 48 and c <= 57 then
        value = value * 10 + (c - 48)
        at = at + 1
        c = text[at]
        goto digit
    end
    local digits, places, exponent = at - first, 0, false
    if digits == 0 then
        return odd_number(text, start, strict)
    elseif c == 46 then
        local point = at
        at = at + 1
        c = text[at]
        ::place::
        if c >= 48 and c <= 57 then
            value = value * 10 + (c - 48)
            at = at + 1
            c = text[at]
            goto place
        end
        places = at - point - 1
    elseif c == 120 then
        local after, odd = odd_number(text, start, strict)
        if after then
            return after, odd
        end
    elseif c ~= 101 and c ~= 69 then -- as strtoll(): an integer that is too big becomes the biggest
        if digits > 15 then
            value = tonumber(tostr(text + first, digits))
            if value > 0x1p63 then
                value = 0x1p63
            end
        end
        return at, negative and 0 - value or value, true
    end
    if c == 101 or c == 69 then
        local e = at + 1
        c = text[e]
        if c == 43 or c == 45 then
            e = e + 1
            c = text[e]
        end
        ::exponent::
        if c >= 48 and c <= 57 then
            exponent = true
            e = e + 1
            at = e
            c = text[e]
            goto exponent
        end
    end
    if exponent or digits + places > 15 then
        value = to_double(tostr(text + first, at - first))
    else
        value = value / power_of_ten[places] -- both are exact, so the quotient is the nearest double
    end
    return at, negative and -value or value
end
_M.number = number

local NAMES = {
    ["{"] = "T_OBJ_BEGIN", ["}"] = "T_OBJ_END", ["["] = "T_ARR_BEGIN", ["]"] = "T_ARR_END", [":"] = "T_COLON", [","] = "T_COMMA",
    [""] = "T_END",
}

-- Which token is at `at`, or what is wrong with it; and where that is.
local function describe(config, text, at, out)
    local s = tostr(text + at)
    local c = sub(s, 1, 1)
    local strict = not config.decode_invalid_numbers
    if NAMES[c] then
        return NAMES[c], at
    elseif c == '"' then
        local after, where, why = quoted(text, at, out, 0)
        if after then
            return "T_STRING", at
        end
        return why, where
    elseif find(c, "[%d-]") or c == "+" and not strict then
        local after, _, integer = number(text, at, strict)
        return after and (integer and "T_INTEGER" or "T_NUMBER") or "invalid number", at
    elseif find(s, "^true") or find(s, "^false") then
        return "T_BOOLEAN", at
    elseif find(s, "^null") then
        return "T_NULL", at
    elseif not strict and find(s, "^[iInN]") and number(text, at) then
        return "T_NUMBER", at
    elseif config.decode_allow_comment and find(s, "^/%*") then
        return "unclosed multi-line comment", at + #s
    end
    return "invalid token", at
end

-- Answers lua-cjson's message for the token at `at` where something else was expected. Writes over `out`.
function _M.unexpected(config, text, at, out, expected)
    local found, where = describe(config, text, at, out)
    return format("Expected %s but found %s at character %d", expected, found, where + 1)
end

return _M
