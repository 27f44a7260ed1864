-- Checks that a zone of a shared dictionary is sound: everything that is said twice in it has to agree. The layout is written down here a
-- second time, apart from runtime/shdict_*.lua.

local rt = ...

local band, rshift, lshift = bit.band, bit.rshift, bit.lshift
local ceil = math.ceil

local PAGES, FIRST, FREE_PAGES, HEAD, MASK, NAME, NAME_BYTES, FREE, TABLE = 17, 18, 19, 20, 21, 22, 23, 26, 176
local DESCRIPTOR, KIND, COUNT, NEXT_PAGE, CHAIN_OF_PAGE, FRESH = 6, 0, 1, 2, 4, 5
local UNUSED, BIG, REST, PAGE, MAX_CHUNK = 0, 12, 13, 4096, 2048
local CHAIN, HASH, NEXT, PREV, KEY_LENGTH, TYPE, LENGTH, FIRST_ITEM, LAST_ITEM, BACK, KEY = 0, 1, 2, 3, 7, 8, 9, 10, 11, 12, 13
local LIST, HEAD_BYTES = 5, 80

local function shift_of(bytes)
    local shift = 3
    while lshift(1, shift) < bytes do
        shift = shift + 1
    end
    return shift
end

local RESERVED = { [3] = 8, [4] = 2, [5] = 1 } -- by shift

-- nil, or what is wrong with the allocator, if exactly the places of `used` (index → bytes) are in use.
local function check_pages(m, used)
    local counts, free_pages, runs = {}, 0, 0
    for place, bytes in pairs(used) do
        local page = TABLE + rshift(place - m[FIRST], 10) * DESCRIPTOR
        local shift = bytes <= MAX_CHUNK and shift_of(bytes) or BIG
        if m[page + KIND] ~= shift then
            return "a chunk is in a page of another size"
        elseif shift == BIG and m[page + COUNT] ~= ceil(bytes / PAGE) then
            return "a run of pages has the wrong length"
        end
        counts[page] = (counts[page] or RESERVED[shift] or 0) + 1
    end
    local page, last = TABLE, TABLE + m[PAGES] * DESCRIPTOR
    while page < last do
        local shift, count = m[page + KIND], m[page + COUNT]
        if shift == UNUSED then
            if m[page + (count - 1) * DESCRIPTOR + CHAIN_OF_PAGE] ~= page then
                return "the end of a free run does not know its beginning"
            elseif page + count * DESCRIPTOR < last and m[page + count * DESCRIPTOR + KIND] == UNUSED then
                return "two free runs are not joined"
            end
            free_pages, runs = free_pages + count, runs + 1
            page = page + count * DESCRIPTOR
        elseif shift == BIG then
            if counts[page] ~= 1 then
                return "a run of pages is lost"
            end
            page = page + count * DESCRIPTOR
        elseif shift == REST then
            return "a page belongs to no run"
        else
            if count ~= counts[page] then
                return "a page has " .. count .. " chunks in use, and not " .. (counts[page] or 0)
            end
            local chunk, free = m[page + CHAIN_OF_PAGE], rshift(PAGE, shift) - m[page + FRESH]
            while chunk ~= 0 do
                if used[chunk] then
                    return "a free chunk is in use"
                end
                free, chunk = free + 1, m[chunk]
            end
            if free ~= rshift(PAGE, shift) - count then
                return "a free chunk is lost"
            end
            page = page + DESCRIPTOR
        end
    end
    if free_pages ~= m[FREE_PAGES] then
        return "the number of free pages is wrong"
    end
    local at = m[FREE + NEXT_PAGE]
    while at ~= FREE do
        runs, at = runs - 1, m[at + NEXT_PAGE]
    end
    return runs ~= 0 and "the list of free runs is wrong" or nil
end

-- Note the places of a list's items; what is wrong with it, or nil.
local function check_items(m, n, used)
    local item, before, count = m[n + FIRST_ITEM], 0, 0
    while item ~= 0 do
        if used[item] then
            return "an item is there twice"
        elseif m[item + 1] ~= before then
            return "an item's link back is wrong"
        end
        used[item] = 21 + m[item + 2]
        count, before, item = count + 1, item, m[item]
    end
    if before ~= m[n + LAST_ITEM] or count ~= m[n + LENGTH] or count == 0 then
        return "a list's end or length is wrong"
    end
end

-- nil, or what is wrong with the dictionary `name`; and how many entries it has.
function rt.check(name)
    local zone = ngx.shared[name][1]
    local m, h = zone.m, zone.h
    local head = m[HEAD]
    local used, count, before = { [head] = HEAD_BYTES, [m[NAME]] = m[NAME_BYTES] }, 0, head
    local n = m[head + NEXT]
    while n ~= head do
        if m[n + PREV] ~= before then
            return "an entry's link back is wrong"
        elseif used[n] then
            return "an entry is there twice"
        end
        local length, size = m[n + KEY_LENGTH], m[n + LENGTH]
        local wrong
        if m[n + TYPE] == LIST then
            used[n] = ceil((68 + length + 16) / 8) * 8
            wrong = check_items(m, n, used)
        else
            used[n] = 68 + length + size
        end
        if wrong then
            return wrong
        end
        local at, last = h[band(m[n + HASH], m[MASK])], 0
        while at ~= n and at ~= 0 do
            if m[at + BACK] ~= last then
                return "a hash chain's link back is wrong"
            end
            at, last = m[at + CHAIN], at
        end
        if at == 0 then
            return "an entry is not found by its hash"
        end
        local key = require("ffi").string(require("ffi").cast("char *", zone.base + (n + KEY) * 4), length)
        if require("ffi").C.pyresty_hash(key, length) ~= m[n + HASH] then
            return "an entry has the hash of another key"
        end
        count, before, n = count + 1, n, m[n + NEXT]
    end
    if m[head + PREV] ~= before then
        return "the head's link back is wrong"
    elseif m[head + 4] ~= 0 or m[head + 5] ~= 0 then
        return "the head still names an entry that is being changed"
    end
    local entries = count
    for bucket = 0, m[MASK] do
        local at = h[bucket]
        while at ~= 0 do
            count, at = count - 1, m[at + CHAIN]
        end
    end
    if count ~= 0 then
        return "hash chains and entries differ in number"
    end
    return check_pages(m, used), entries
end
