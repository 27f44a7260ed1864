-- Instances of cjson: each is a table of functions that share one config, the settings under the names of the functions
-- that change them. The functions take arguments, answer and raise as lua-cjson's C functions do (luaL_argcheck,
-- luaL_checkinteger, luaL_checkoption), with the place of the call in front of the message: what raises for them is reached
-- by tail calls, so that error level 2 is always the caller's line.

local decoder = require("pyresty.cjson_decode")
local encoder = require("pyresty.cjson_encode")

local ceil, floor = math.ceil, math.floor
local error, pcall, select, tonumber, tostring, type = error, pcall, select, tonumber, tostring, type
local format, match = string.format, string.match
local getinfo = debug.getinfo
local tobit = require("bit").tobit
local decode, encode = decoder.decode, encoder.encode
local null, array_mt, empty_array_mt, empty_array = decoder.null, decoder.array_mt, decoder.empty_array_mt, encoder.empty_array
local special, special_and_slash = encoder.special, encoder.special .. "/"

local INT_MAX = 0x7fffffff
local SWITCH = { off = false, on = true }
local INVALID_NUMBERS = { off = false, on = true, null = "null" }

-- Raise "bad argument"; the function's name is the one by which it was called.
local function bad_argument(n, message)
    local name = getinfo(1, "n").name or "?"
    error(format("bad argument #%d to '%s' (%s)", n, name, message), 2)
end

local function type_expected(expected, value)
    return format("%s expected, got %s", expected, type(value))
end

-- The new value of an integer setting; nil and a message if `value` cannot be one.
local function integer(value, least, most)
    local n = tonumber(value)
    if type(value) ~= "number" and type(value) ~= "string" or not n then
        return nil, type_expected("number", value)
    end
    n = tobit(n < 0 and ceil(n) or floor(n))
    if n < least or n > most then
        return nil, format("expected integer between %d and %d", least, most)
    end
    return n
end

-- The new value of a setting that has names for its values; nil and a message if `value` is none.
local function option(value, options)
    if type(value) == "boolean" then
        return value
    elseif type(value) ~= "string" and type(value) ~= "number" then
        return nil, type_expected("string", value)
    end
    local chosen = options[tostring(value)]
    if chosen == nil then
        return nil, "invalid option '" .. value .. "'"
    end
    return chosen
end

local function set_integer(config, name, least, most, ...)
    local value = ...
    if select("#", ...) > 1 then
        return bad_argument(2, "found too many arguments")
    elseif value ~= nil then
        local new, err = integer(value, least, most)
        if not new then
            return bad_argument(1, err)
        end
        config[name] = new
    end
    return config[name]
end

local function set_option(config, name, options, ...)
    local value = ...
    if select("#", ...) > 1 then
        return bad_argument(2, "found too many arguments")
    elseif value ~= nil then
        local new, err = option(value, options)
        if new == nil then
            return bad_argument(1, err)
        end
        config[name] = new
        config.special = config.encode_escape_forward_slash and special_and_slash or special
    end
    return config[name]
end

local function set_precision(config, ...)
    local value = ...
    if select("#", ...) == 1 and value ~= nil then
        local new = integer(value, 1, 16)
        config.number_format = new and "%." .. new .. "g" or config.number_format
    end
    return set_integer(config, "encode_number_precision", 1, 16, ...)
end

local function set_sparse(config, ...)
    local convert, ratio, safe = ...
    local err
    if select("#", ...) > 3 then
        return bad_argument(4, "found too many arguments")
    end
    if convert ~= nil then
        convert, err = option(convert, SWITCH)
        if convert == nil then
            return bad_argument(1, err)
        end
        config.encode_sparse_convert = convert
    end
    if ratio ~= nil then
        ratio, err = integer(ratio, 0, INT_MAX)
        if not ratio then
            return bad_argument(match(err, "^number") and 2 or 1, err) -- a wrong range is always said of the first
        end
        config.encode_sparse_ratio = ratio
    end
    if safe ~= nil then
        safe, err = integer(safe, 0, INT_MAX)
        if not safe then
            return bad_argument(match(err, "^number") and 3 or 1, err)
        end
        config.encode_sparse_safe = safe
    end
    return config.encode_sparse_convert, config.encode_sparse_ratio, config.encode_sparse_safe
end

local function set_indent(config, ...)
    local value = ...
    if select("#", ...) > 1 then
        return bad_argument(2, "found too many arguments")
    elseif value ~= nil then
        if type(value) ~= "string" and type(value) ~= "number" then
            return bad_argument(1, type_expected("string", value))
        end
        value = match(value, "^%Z*")
        config.encode_indent = value ~= "" and value
    end
    return config.encode_indent or ""
end

-- Answers the functions of a new instance, with default settings.
local function new()
    local config = {
        encode_sparse_convert = false,
        encode_sparse_ratio = 2,
        encode_sparse_safe = 10,
        encode_max_depth = 1000,
        decode_max_depth = 1000,
        encode_number_precision = 14,
        number_format = "%.14g",
        encode_keep_buffer = true,
        encode_invalid_numbers = false,
        decode_invalid_numbers = true,
        encode_empty_table_as_object = true,
        decode_array_with_array_mt = false,
        decode_allow_comment = false,
        encode_escape_forward_slash = true,
        special = special_and_slash, -- what has to be escaped in strings
        encode_skip_unsupported_value_types = false,
        encode_indent = false,
    }
    return {
        _NAME = "cjson",
        _VERSION = "2.1.0.11",
        null = null,
        array_mt = array_mt,
        empty_array_mt = empty_array_mt,
        empty_array = empty_array,
        new = new,
        encode = function(...)
            if select("#", ...) ~= 1 then
                return bad_argument(1, "expected 1 argument")
            end
            local text, err = encode(config, (...))
            if not text then
                error(err, 2)
            end
            return text
        end,
        decode = function(...)
            local text = ...
            if select("#", ...) ~= 1 then
                return bad_argument(1, "expected 1 argument")
            elseif type(text) == "number" then
                text = tostring(text)
            elseif type(text) ~= "string" then
                return bad_argument(1, type_expected("string", text))
            end
            local value, err = decode(config, text)
            if err then
                error(err, 2)
            end
            return value
        end,
        encode_sparse_array = function(...) return set_sparse(config, ...) end,
        encode_max_depth = function(...) return set_integer(config, "encode_max_depth", 1, INT_MAX, ...) end,
        decode_max_depth = function(...) return set_integer(config, "decode_max_depth", 1, INT_MAX, ...) end,
        encode_number_precision = function(...) return set_precision(config, ...) end,
        encode_keep_buffer = function(...) return set_option(config, "encode_keep_buffer", SWITCH, ...) end,
        encode_invalid_numbers = function(...) return set_option(config, "encode_invalid_numbers", INVALID_NUMBERS, ...) end,
        decode_invalid_numbers = function(...) return set_option(config, "decode_invalid_numbers", SWITCH, ...) end,
        encode_empty_table_as_object = function(...) return set_option(config, "encode_empty_table_as_object", SWITCH, ...) end,
        decode_array_with_array_mt = function(...) return set_option(config, "decode_array_with_array_mt", SWITCH, ...) end,
        decode_allow_comment = function(...) return set_option(config, "decode_allow_comment", SWITCH, ...) end,
        encode_escape_forward_slash = function(...) return set_option(config, "encode_escape_forward_slash", SWITCH, ...) end,
        encode_skip_unsupported_value_types = function(...)
            return set_option(config, "encode_skip_unsupported_value_types", SWITCH, ...)
        end,
        encode_indent = function(...) return set_indent(config, ...) end,
    }
end

-- The same with `encode` and `decode` that answer nil and the message where those of new() raise it.
local function new_safe()
    local instance = new()
    local unsafe_encode, unsafe_decode = instance.encode, instance.decode
    instance.new = new_safe
    instance.encode = function(...)
        if select("#", ...) ~= 1 then
            return bad_argument(1, "expected 1 argument")
        end
        local ok, text = pcall(unsafe_encode, (...))
        if not ok then
            return nil, text
        end
        return text
    end
    instance.decode = function(...)
        if select("#", ...) ~= 1 then
            return bad_argument(1, "expected 1 argument")
        end
        local ok, value = pcall(unsafe_decode, (...))
        if not ok then
            return nil, value
        end
        return value
    end
    return instance
end

return { new = new, new_safe = new_safe }
