-- Escaping and query strings: ngx.escape_uri, unescape_uri, encode_args, decode_args.
-- https://github.com/openresty/lua-nginx-module#ngxescape_uri
-- Everything is a look-up in a table of all bytes; text that needs nothing done to it is found out by one scan and returned as it is.

local rt = ...

local type, tostring, rawset, error, pairs, select, next = type, tostring, rawset, error, pairs, select, next
local byte, char, find, format, gsub, sub = string.byte, string.char, string.find, string.format, string.gsub, string.sub
local concat, getinfo = table.concat, debug.getinfo
local py, DEBUG = rt.py, 8
local bad_argument, check_string = rt.bad_argument, rt.check_string

local MAX_ARGS, AMPERSAND = 100, 38

local encoded, decoded = {}, {}
for i = 0, 255 do
    local plain, upper = char(i), format("%02X", i)
    encoded[plain] = "%" .. upper
    for _, high in pairs({ sub(upper, 1, 1), sub(upper, 1, 1):lower() }) do
        for _, low in pairs({ sub(upper, 2), sub(upper, 2):lower() }) do
            decoded["%" .. high .. low] = plain
        end
    end
end

-- The bytes that each type of escaping escapes, as ngx_http_lua_escape_uri has them.
local WHOLE = "%z\1-\31\127-\255 #%%?"
local MEMCACHED = "[%z\1-\31 %%]"
local ESCAPED = {
    [0] = "[" .. WHOLE .. "]",
    [1] = "[" .. WHOLE .. "+]",
    [2] = "[^%w%-%._~!'%(%)%*]",
    [3] = "[%z\1-\31\127-\255 \"#%%']",
    [4] = "[%z\1-\31\127-\255 \"']",
    [5] = MEMCACHED,
    [6] = MEMCACHED,
}
local COMPONENT = ESCAPED[2]

local function text_of(value)
    return value and tostring(value) or ""
end
rt.text_of = text_of

local function escape(s)
    if find(s, COMPONENT) then
        return (gsub(s, COMPONENT, encoded))
    end
    return s
end

local function unescape(s)
    if find(s, "+", 1, true) then
        s = gsub(s, "%+", " ")
    end
    if find(s, "%", 1, true) then
        s = gsub(s, "%%%x%x", decoded)
    end
    return s
end

-- Raise an error as of the caller's caller; where that is our own scheduler, of nowhere.
local function raise(message)
    local info = getinfo(4, "S")
    error(message, info and info.short_src ~= "(pyresty)" and 4 or 0)
end

rawset(ngx, "escape_uri", function(s, kind)
    if type(s) ~= "string" then
        s = text_of(s)
    end
    if kind == nil then
        return escape(s)
    end
    if type(kind) ~= "number" then
        raise('"type" is not a number')
    elseif kind < 0 or kind > 6 then
        raise('"type" ' .. kind .. " out of range")
    end
    return (gsub(s, ESCAPED[kind - kind % 1], encoded))
end)

rawset(ngx, "unescape_uri", function(s)
    if type(s) ~= "string" then
        s = text_of(s)
    end
    return unescape(s)
end)

-- Add a pair to a table of arguments or headers: what occurs several times becomes an array.
local function add(t, key, value)
    local have = t[key]
    if have == nil then
        t[key] = value
    elseif type(have) == "table" then
        have[#have + 1] = value
    else
        t[key] = { have, value }
    end
end
rt.add_value = add

local function truncated(t, max)
    py.log(DEBUG, "lua hit query args limit " .. max)
    return t, "truncated"
end

-- Parse a query string into `t`. At most `max` pairs are read (0: all of them), and pairs with an empty name count, but not in the URI's
-- arguments if `in_uri`: there they only count for whether there were more. Answers "truncated" if there were more.
local function parse(t, s, max, in_uri)
    local from, count, empty, last = 1, 0, 0, #s
    while from <= last do
        local to = find(s, "&", from, true) or last + 1
        local equals = find(s, "=", from, true)
        local key, value
        if equals and equals < to then
            key, value = unescape(sub(s, from, equals - 1)), unescape(sub(s, equals + 1, to - 1))
        else
            key, value = unescape(sub(s, from, to - 1)), true
        end
        if key ~= "" then
            add(t, key, value)
            count = count + 1
        elseif in_uri then
            empty = empty + 1
        else
            count = count + 1
        end
        if count == max and max > 0 and to <= last then
            return truncated(t, max)
        end
        from = to + 1
    end
    if empty > 0 and max > 0 and count + empty + (byte(s, last) == AMPERSAND and 1 or 0) > max then
        return truncated(t, max)
    end
    return t
end
rt.parse_args = parse

-- A table of arguments as a query string; errors are those of the caller at `level`.
local function encode(args, level)
    local out, n = {}, 0
    for key, value in next, args do
        if type(key) ~= "string" then
            error('attempt to use a non-string key in the "args" option table', level + 1)
        end
        key = escape(key)
        local kind = type(value)
        if kind == "string" then
            n = n + 1
            out[n] = key .. "=" .. escape(value)
        elseif kind == "number" then
            n = n + 1
            out[n] = key .. "=" .. escape(tostring(value))
        elseif kind == "boolean" then
            if value then
                n = n + 1
                out[n] = key
            end
        elseif kind == "table" then
            for _, item in next, value do
                local item_kind = type(item)
                if item_kind == "string" or item_kind == "number" then
                    n = n + 1
                    out[n] = key .. "=" .. escape(tostring(item))
                elseif item_kind ~= "boolean" then
                    error("attempt to use " .. item_kind .. " as query arg value", level + 1)
                elseif item then
                    n = n + 1
                    out[n] = key
                end
            end
        else
            error("attempt to use " .. kind .. " as query arg value", level + 1)
        end
    end
    return concat(out, "&", 1, n)
end
rt.encode_args = encode

rawset(ngx, "encode_args", function(...)
    local n = select("#", ...)
    if n ~= 1 then
        error("expecting 1 argument but seen " .. n, 2)
    end
    local args = ...
    if type(args) ~= "table" then
        bad_argument(1, "table expected, got " .. type(args), 2)
    end
    return (encode(args, 2))
end)

rawset(ngx, "decode_args", function(...)
    local n = select("#", ...)
    if n ~= 1 and n ~= 2 then
        error("expecting 1 or 2 arguments but seen " .. n, 2)
    end
    local s, max = ...
    s = check_string(s, 1, 2)
    if n == 2 then
        max = rt.check_integer(max, 2, 2)
    else
        max = MAX_ARGS
    end
    return parse({}, s, max)
end)
