-- Lua values to JSON text: one flat loop over an explicit stack of containers, writing into a string.buffer. A function
-- that called itself for each nested table would leave LuaJIT with many short traces; this loop has one head that every
-- trace comes back to.
--
-- What is an array, what is refused and how follows OpenResty's lua-cjson (2.1.0.11). A config is what
-- pyresty.cjson_core makes.

local ffi = require("ffi")
local bit = require("bit")
local buffer = require("string.buffer")
local new_table = require("table.new")
local decoder = require("pyresty.cjson_decode")

local C, cast = ffi.C, ffi.cast
local band, bnot, bor, bxor, lshift, tobit = bit.band, bit.bnot, bit.bor, bit.bxor, bit.lshift, bit.tobit
local abs, floor, huge = math.abs, math.floor, math.huge
local byte, char, format, gsub, rep = string.byte, string.char, string.format, string.gsub, string.rep
local getmetatable, next, rawget, tonumber, type = getmetatable, next, rawget, tonumber, type
local raw_metatable = debug.getmetatable
local rawlen = rawlen or function(t) return #t end -- rawlen is there where LuaJIT was built with Lua 5.2's __len
local null, array_mt, empty_array_mt = decoder.null, decoder.array_mt, decoder.empty_array_mt

ffi.cdef([[int pyresty_cjson_snprintf(char *s, size_t size, const char *format, ...) __asm__("snprintf");]])
local CHARACTERS = ffi.typeof("const char *")
local WORDS = ffi.typeof("const uint64_t *")

-- lua-cjson keeps the containers it is in on Lua's C stack, which has this many slots, whatever encode_max_depth allows.
local STACK_SLOTS = 8000
local INT_MAX = 0x7fffffff
local KEEP = 1024 -- a longer stack of keys is not kept

-- The lightuserdata that stands for []: an address that nothing else has while this is kept.
local address = ffi.new("uintptr_t[1]")
address[0] = cast("uintptr_t", address)
local empty_array = buffer.decode("\5" .. ffi.string(address, 8))

local escapes = {}
for c = 0, 31 do
    escapes[c] = format("\\u%04x", c)
end
escapes[127] = "\\u007f"
for character, letter in ('\bb\ff\nn\rr\tt""\\\\//'):gmatch("(.)(.)") do
    escapes[byte(character)] = "\\" .. letter
end

-- What strcspn is to look for, but "/", which is optional; it stops at a zero byte by itself.
local special = '"\\\127'
for c = 1, 31 do
    special = special .. char(c)
end

local function new_memory()
    return {
        out = buffer.new(),
        root = {}, -- holds the outermost value as if it were a container
        keys = new_table(KEEP, 0), -- of all objects that are being written
        -- the stack of containers
        tables = new_table(32, 0),
        positions = new_table(32, 0),
        lasts = new_table(32, 0),
        tops = new_table(32, 0),
        closers = new_table(32, 0),
    }
end

local spare = new_memory()

local ONES, HIGHS, SPACES = 0x0101010101010101ULL, 0x8080808080808080ULL, 0x2020202020202020ULL
local QUOTES, BACKSLASHES = 0x2222222222222222ULL, 0x5c5c5c5c5c5c5c5cULL
local SLASHES, DELETES = 0x2f2f2f2f2f2f2f2fULL, 0x7f7f7f7f7f7f7f7fULL

-- The high bits of those of eight bytes that are special (or "/"); a byte above such a one may have it wrongly.
local function special_bytes(word)
    return band(bnot(word), HIGHS, bor(word - SPACES, bxor(word, QUOTES) - ONES, bxor(word, BACKSLASHES) - ONES,
        bxor(word, SLASHES) - ONES, bxor(word, DELETES) - ONES))
end

-- LuaJIT aligns strings, so that the eight bytes around the end of one are all in the same page and may be read.
local wordwise = ffi.abi("le") and cast("uintptr_t", cast(CHARACTERS, special)) % 8 == 0

-- How many of the `n` characters of `s` come before the first of `reject`. Most strings are short and have none.
local function plain_length(s, n, reject)
    if n <= 16 and wordwise then
        local p = cast(WORDS, s)
        local found
        if n <= 8 then
            found = lshift(special_bytes(p[0]), 64 - 8 * n)
        else
            found = bor(special_bytes(p[0]), lshift(special_bytes(p[1]), 128 - 8 * n))
        end
        if found == 0 then
            return n
        end
    end
    return C.pyresty_cjson_strcspn(s, reject)
end

-- Put a string of which only the first `n` characters are known to need no escape.
local function put_escaped(out, s, n, reject)
    local p = cast(CHARACTERS, s)
    local at, length = 0, #s
    while true do
        out:putcdata(p + at, n)
        at = at + n
        if at == length then
            return
        end
        out:put(escapes[byte(s, at + 1)])
        at = at + 1
        n = C.pyresty_cjson_strcspn(p + at, reject)
    end
end

-- Put a string between quotes; `close` is the second one, and what comes after it.
local function put_string(out, s, close, reject)
    local n = plain_length(s, #s, reject)
    if n == #s then
        out:put('"', s, close)
    else
        out:put('"')
        put_escaped(out, s, n, reject)
        out:put(close)
    end
end

-- LuaJIT's own "%.14g" is exact in this range; beyond it the last digit may differ from C's, if rarely.
local LEAST_EXACT, MOST_EXACT = 1e-18, 1e38
local digits = ffi.new("char[32]")

-- A number as text; nil and a message if it may not be encoded.
local function number_text(config, v)
    if v - v ~= 0 then -- NaN or infinite
        local as = config.encode_invalid_numbers
        if not as then
            return nil, "Cannot serialise number: must not be NaN or Infinity"
        elseif as == "null" then
            return "null"
        end
        return v ~= v and "NaN" or v == huge and "Infinity" or "-Infinity"
    elseif v == 0 or abs(v) >= LEAST_EXACT and abs(v) < MOST_EXACT then
        return format(config.number_format, v)
    end
    local n = C.pyresty_cjson_snprintf(digits, 32, config.number_format, ffi.cast("double", v))
    return (gsub(ffi.string(digits, n), ",", ".")) -- a locale may have a decimal comma
end

-- How many elements a table has as an array; -1 if it is an object; nil and a message if it is too sparse.
local function array_length(config, t)
    local max, items = 0, 0
    for k in next, t do
        if type(k) ~= "number" or k < 1 or k > INT_MAX or floor(k) ~= k then
            return -1
        end
        if k > max then
            max = k
        end
        items = items + 1
    end
    local ratio = config.encode_sparse_ratio
    if ratio > 0 and max > items * ratio and max > config.encode_sparse_safe then
        if config.encode_sparse_convert then
            return -1
        end
        return nil, "Cannot serialise table: excessively sparse array"
    end
    return max
end

-- As array_length(), for a table with a metatable; and the table to take the elements from, as __len and __index are heeded.
local function proxy_length(config, t)
    local mt = raw_metatable(t)
    if mt == array_mt then
        return rawlen(t), t
    end
    local length, err
    local len = mt and rawget(mt, "__len")
    if len ~= nil then
        length = tonumber(len(t)) or 0
        length = length >= 1 and length <= INT_MAX and floor(length) or 0
    else
        length, err = array_length(config, t)
        if not length then
            return nil, err
        end
        if length < 0 or length == 0 and config.encode_empty_table_as_object then
            return mt == empty_array_mt and rawlen(t) or -1, t
        end
    end
    local elements = {}
    for i = 1, length do
        elements[i] = t[i]
    end
    return length, elements
end

local function push_keys(keys, top, t)
    for k in next, t do
        top = top + 1
        keys[top] = k
    end
    return top
end

-- Write `value` into memory.out. Answers true; nil and a message if it has no JSON form.
local function write(config, memory, value)
    local out, keys = memory.out, memory.keys
    local tables, positions, lasts, tops, closers = memory.tables, memory.positions, memory.lasts, memory.tops, memory.closers
    local reject, precise, indent = config.special, config.encode_number_precision == 14, config.encode_indent
    local root = memory.root
    root[1] = value
    -- The innermost container: its table; of an array the index, of an object the place in `keys`, of the last element
    -- written and of the last one there is; the bracket that closes it; and how many keys there are.
    local t, i, last, closer, top = root, 0, 1, "", 0
    local depth, slots, comma = 0, 1, false
    while true do
        if i == last then
            if depth == 0 then
                return true
            end
            depth = depth - 1
            if indent then
                out:put("\n", rep(indent, depth))
            end
            out:put(closer)
            t, i, last, closer, top = tables[depth], positions[depth], lasts[depth], closers[depth], tops[depth]
            tables[depth] = root -- keep nothing of the caller's
            slots = slots - (closer == "}" and 2 or 1)
            comma = true
            goto continue
        end

        do
            i = i + 1
            local in_object = closer == "}"
            local k = in_object and keys[i] or i
            local v = rawget(t, k)
            local kind = type(v)
            if in_object and type(k) ~= "string" then
                if type(k) ~= "number" then
                    return nil, format("Cannot serialise %s: table key must be a number or string", type(k))
                end
                local text, err = number_text(config, k)
                if not text then
                    return nil, err
                end
                k = text
            end
            if kind == "function" or kind == "thread" or kind == "cdata"
                or kind == "userdata" and v ~= null and v ~= empty_array then
                if not config.encode_skip_unsupported_value_types then
                    return nil, format("Cannot serialise %s: type not supported", kind)
                end
                goto continue
            end

            if comma then
                out:put(",")
            end
            comma = true
            if indent and depth > 0 then
                out:put("\n", rep(indent, depth))
            end
            if in_object then
                put_string(out, k, '":', reject)
                if indent then
                    out:put(" ")
                end
            end

            if kind == "string" then
                put_string(out, v, '"', reject)
            elseif kind == "number" then
                local integer, size = tobit(v), abs(v)
                if precise and v == integer and (v ~= 0 or 1 / v > 0) then -- not -0
                    out:put(integer)
                elseif precise and size >= LEAST_EXACT and size < MOST_EXACT then
                    out:put(v) -- as "%.14g"
                else
                    local text, err = number_text(config, v)
                    if not text then
                        return nil, err
                    end
                    out:put(text)
                end
            elseif kind == "boolean" then
                out:put(v and "true" or "false")
            elseif kind == "table" then
                local used = slots + (in_object and 2 or 1)
                if depth >= config.encode_max_depth or used + 2 > STACK_SLOTS then
                    return nil, format("Cannot serialise, excessive nesting (%d)", depth + 1)
                end
                local length, elements = -1, v
                local first = next(v)
                if getmetatable(v) ~= nil then
                    length, elements = proxy_length(config, v)
                elseif type(first) == "number" then
                    length, elements = array_length(config, v)
                    elements = elements or v
                elseif first == nil and not config.encode_empty_table_as_object then
                    length = 0
                end
                if not length then
                    return nil, elements
                elseif length == 0 then
                    out:put("[]")
                elseif first == nil and length < 0 then
                    out:put("{}")
                else
                    tables[depth], positions[depth], lasts[depth], closers[depth], tops[depth] = t, i, last, closer, top
                    depth, slots, comma = depth + 1, used, false
                    t = elements
                    if length > 0 then
                        i, last, closer = 0, length, "]"
                        out:put("[")
                    else
                        i, last, closer = top, push_keys(keys, top, t), "}"
                        top = last
                        out:put("{")
                    end
                end
            elseif v == empty_array then
                out:put("[]")
            else
                out:put("null")
            end
        end
        ::continue::
    end
end

-- Encode `value`. Answers the text; nil and a message if it has no JSON form. Raises what a __len or __index raises.
local function encode(config, value)
    local memory = spare or new_memory()
    spare = nil -- a metamethod that encodes too must not find it
    local ok, err = write(config, memory, value)
    if not ok then
        return nil, err
    end
    memory.root[1] = nil
    local text = memory.out:get()
    if not config.encode_keep_buffer then
        memory.out:free()
    end
    if memory.keys[KEEP + 1] ~= nil then
        memory.keys = new_table(KEEP, 0)
    end
    spare = memory
    return text
end

return { encode = encode, special = special, empty_array = empty_array, address = address }
