-- JSON text to Lua values, by way of LuaJIT's own serialisation format: one flat loop rewrites the text into that format
-- (https://luajit.org/ext_buffer.html, "Serialization Format Specification"), and string.buffer's decoder, which is C and knows
-- the size of every table beforehand, builds the values. The loop makes no Lua object at all.
--
-- What is accepted and how the rest is refused follows OpenResty's lua-cjson (2.1.0.11). A config is what pyresty.cjson_core makes.

local ffi = require("ffi")
local buffer = require("string.buffer")
local tokens = require("pyresty.cjson_tokens")

local cast, copy, tostr = ffi.cast, ffi.copy, ffi.string
local byte, format = string.byte, string.format
local max, min = math.max, math.min
local pcall, setmetatable = pcall, setmetatable
local skip, quoted, number, unexpected = tokens.skip, tokens.quoted, tokens.number, tokens.unexpected

local INT = ffi.typeof("int32_t *")
local COUNT = ffi.typeof("uint32_t *")
local DOUBLE = ffi.typeof("double *")

-- Tags of the serialisation format. The length of a string and the number of values of a table may be LONG and four bytes.
local FALSE, TRUE, NULL, NUMBER, EMPTY, OBJECT, ARRAY, METATABLE = 1, 2, 3, 7, 8, 9, 12, 14
local STRING, LONG = tokens.STRING, tokens.LONG
local DOCUMENT = 0 -- as if what holds the outermost value were a container
local SERIALISED_DEPTH = 100 -- string.buffer builds no deeper

-- lua-cjson keeps the containers it is in on Lua's C stack, which has this many slots, whatever decode_max_depth allows.
local STACK_SLOTS = 8000

local TEXT_TRUE = cast(INT, "true")[0]
local TEXT_ALSE = cast(INT, "alse")[0]
local TEXT_NULL = cast(INT, "null")[0]

local array_mt, empty_array_mt = {}, {}
local null = buffer.decode(string.char(NULL))

-- Working memory for texts of up to `size` bytes. The worst text takes four bytes for each of its own ("[1.],"), and eight for each
-- container that is open.
local function new_memory(size)
    local depth = min(size, STACK_SLOTS)
    return {
        size = size,
        text = ffi.new("uint8_t[?]", size + 16),
        out = ffi.new("uint8_t[?]", 4 * size + 8 * depth + 64),
        stack = ffi.new("int32_t[?]", 2 * depth + 2),
        decoder = buffer.new({ metatable = { array_mt } }),
    }
end

local LEAST, KEEP = 4096, 262144 -- memory is made for texts of so many bytes at least, and kept if it is not for more
local spare = new_memory(LEAST)

-- Where the next token begins, from `at` on, and its first byte.
local function token_at(text, at, comments)
    local c = text[at]
    if c > 32 and c ~= 47 then
        return at, c
    end
    at = skip(text, at, comments)
    return at, text[at]
end

-- Rewrite memory.text into memory.out, from index 1. Answers the index after it, and how deep containers are nested; nil and a
-- message if the text is not JSON.
local function rewrite(config, memory)
    local text, out, stack = memory.text, memory.out, memory.stack
    local comments, strict = config.decode_allow_comment, not config.decode_invalid_numbers
    local max_depth, tagged = config.decode_max_depth, config.decode_array_with_array_mt
    local at, o = 0, 1
    local kind, head, count = DOCUMENT, 0, 0 -- the innermost container: its tag, where that is, how many values it has so far
    local depth, deepest, slots = 0, 0, 1
    local after_value = false
    out[0] = DOCUMENT
    while true do
        local c
        at, c = token_at(text, at, comments)
        if after_value then
            if c == 44 and kind ~= DOCUMENT then
                at, c = token_at(text, at + 1, comments)
            elseif kind == OBJECT and c == 125 then
                cast(COUNT, out + head + 2)[0] = count
                goto close
            elseif kind == ARRAY and c == 93 then
                cast(COUNT, out + head + 2)[0] = count + 1 -- the first is at index 1, so there is one more
                goto close
            elseif kind == DOCUMENT and c == 0 then
                return o, deepest
            else
                return nil, unexpected(config, text, at, out,
                    kind == OBJECT and "comma or object end" or kind == ARRAY and "comma or array end" or "the end")
            end
        elseif kind == OBJECT and c == 125 or kind == ARRAY and c == 93 then
            out[head] = EMPTY
            o = head + 1
            goto close
        end

        if kind == OBJECT then
            local after, after_o
            if c == 34 then
                after, after_o = quoted(text, at, out, o)
            end
            if not after then
                return nil, unexpected(config, text, at, out, "object key string")
            end
            at, c = token_at(text, after, comments)
            o = after_o
            if c ~= 58 then
                return nil, unexpected(config, text, at, out, "colon")
            end
            at, c = token_at(text, at + 1, comments)
        end

        count = count + 1
        after_value = true
        if c == 34 then
            local after, after_o = quoted(text, at, out, o)
            if not after then
                return nil, unexpected(config, text, at, out, "value")
            end
            at, o = after, after_o
        elseif c == 123 or c == 91 then
            at = at + 1
            stack[depth * 2], stack[depth * 2 + 1] = head, count
            depth = depth + 1
            deepest = max(deepest, depth)
            kind = c == 123 and OBJECT or ARRAY
            slots = slots + (kind == OBJECT and 2 or 1)
            if depth > max_depth or slots >= STACK_SLOTS then
                return nil, format("Found too many nested data structures (%d) at character %d", depth, at)
            end
            if tagged and kind == ARRAY then
                out[o], out[o + 1] = METATABLE, 0
                o = o + 2
            end
            head, count = o, 0
            out[o], out[o + 1] = kind, LONG
            o = o + 6
            after_value = false
        elseif c == 116 and cast(INT, text + at)[0] == TEXT_TRUE then
            out[o] = TRUE
            at = at + 4
            o = o + 1
        elseif c == 102 and cast(INT, text + at + 1)[0] == TEXT_ALSE then
            out[o] = FALSE
            at = at + 5
            o = o + 1
        elseif c == 110 and cast(INT, text + at)[0] == TEXT_NULL then
            out[o] = NULL
            at = at + 4
            o = o + 1
        else
            local after, value
            if c >= 48 and c <= 57 or c == 45 or not strict and (c == 43 or c == 73 or c == 78 or c == 105 or c == 110) then
                after, value = number(text, at, strict)
            end
            if not after then
                return nil, unexpected(config, text, at, out, "value")
            end
            at = after
            out[o] = NUMBER
            cast(DOUBLE, out + o + 1)[0] = value
            o = o + 9
        end
        goto continue

        ::close::
        slots = slots - (kind == OBJECT and 2 or 1)
        depth = depth - 1
        head, count = stack[depth * 2], stack[depth * 2 + 1]
        kind = out[head]
        at = at + 1
        after_value = true
        ::continue::
    end
end

-- Build the value of memory.out where string.buffer cannot: nested too deep, or a key that occurs twice, where the last one wins.
local function build(memory)
    local out, o = memory.out, 1
    local parents, lefts, keys, depth = {}, {}, {}, 0
    local document = {}
    -- The container being filled, how many values it lacks, and the next one's index: false if a string comes first.
    local t, left, key = document, 1, 1
    while true do
        while left == 0 do
            if depth == 0 then
                return document[1]
            end
            t, left, key = parents[depth], lefts[depth], keys[depth]
            depth = depth - 1
        end
        left = left - 1
        local field = key
        local value, tag, mt
        repeat
            tag = out[o]
            o = o + 1
            if tag >= STRING then
                local n = tag - STRING
                if tag == LONG then
                    n = cast(COUNT, out + o)[0] - STRING
                    o = o + 4
                end
                local s = tostr(out + o, n)
                o = o + n
                if field then
                    value = s
                else
                    field = s
                end
            elseif tag == METATABLE then
                mt = array_mt
                o = o + 1
            elseif tag == NUMBER then
                value = cast(DOUBLE, out + o)[0]
                o = o + 8
            elseif tag == NULL then
                value = null
            elseif tag <= TRUE then
                value = tag == TRUE
            else
                value = setmetatable({}, mt)
            end
        until value ~= nil
        t[field] = value
        if key then
            key = key + 1
        end
        if tag == OBJECT or tag == ARRAY then
            depth = depth + 1
            parents[depth], lefts[depth], keys[depth] = t, left, key
            t, left, key = value, cast(COUNT, out + o + 1)[0], false
            if tag == ARRAY then
                left, key = left - 1, 1
            end
            o = o + 5
        end
    end
end

-- Decode `text`, a string. Answers the value, never nil; or nil and a message if it is not JSON.
local function decode(config, text)
    local length = #text
    if length >= 2 and (byte(text, 1) == 0 or byte(text, 2) == 0) then
        return nil, "JSON parser does not support UTF-16 or UTF-32"
    end
    local memory = spare
    spare = nil -- a finaliser that runs meanwhile and decodes too must not find it
    if not memory or length > memory.size then
        memory = new_memory(max(LEAST, length + length / 2))
    end
    copy(memory.text, text, length + 1)
    local value
    local size, deepest = rewrite(config, memory)
    if size then
        local decoder, built = memory.decoder, false
        if deepest <= SERIALISED_DEPTH then
            decoder:set(memory.out + 1, size - 1)
            built, value = pcall(decoder.decode, decoder)
        end
        if not built then
            value = build(memory)
        end
        deepest = nil
    end
    if memory.size <= KEEP then
        spare = memory
    end
    return value, deepest
end

return { decode = decode, null = null, array_mt = array_mt, empty_array_mt = empty_array_mt }
