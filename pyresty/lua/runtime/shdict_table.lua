-- The entries of ngx.shared.DICT: found by a hash, in the order of their last use, and put right after a process has died among them.
--
-- What an entry takes in the zone is what it takes in OpenResty's (68 bytes and its key and value), so that a dictionary of the same size
-- holds as much; inside, the order of use is a ring from and to the zone's head, newest first. Of that ring the links to the next entry
-- are always whole, at every single store: whatever else is in a zone (links back, hash chains, the allocator) is made anew from them by
-- recover(). The head names the entry that is just being moved and the one that is just being overwritten.

local rt = ...

local ffi = require("ffi")
local C = ffi.C
local memory = rt.shdict_memory
local band, rshift = bit.band, bit.rshift
local alloc, free = memory.alloc, memory.free
local MASK = memory.MASK

ffi.cdef [[
int pyresty_compare(intptr_t, const char *, size_t) __asm__("memcmp");
void pyresty_copy_in(intptr_t, const char *, size_t) __asm__("memcpy");
void pyresty_copy_out(char *, intptr_t, size_t) __asm__("memcpy");
void pyresty_copy(intptr_t, intptr_t, size_t) __asm__("memcpy");
]]

-- Python's own hash of bytes: SipHash under a secret of this process and its children, so that nobody can make keys collide. Of its 64 bits
-- the lower ones. It is a C function because a loop over the key would be one inside of other traces, which LuaJIT compiles badly.
ffi.cdef('int pyresty_hash(const char *, size_t) __asm__("' .. rt.py.shdict_hash() .. '");')

local table_ = {}
rt.shdict_table = table_

-- An entry, as indexes from its place. A number is at NUMBER; a list has its ends there; the key begins at KEY, a string's bytes behind it.
local CHAIN, HASH, NEXT, PREV, EXPIRES, FLAGS, KEY_LENGTH, TYPE, LENGTH, NUMBER, BACK, KEY =
    0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 12, 13
-- In the head, which is chained like an entry: the entry that is being moved, the one that is being overwritten.
local MOVING, WRITING = 4, 5
-- An item of a list.
local ITEM_NEXT, ITEM_PREV, ITEM_LENGTH, ITEM_TYPE, ITEM_VALUE = 0, 1, 2, 3, 4
local FIRST, LAST = NUMBER, NUMBER + 1

-- Lua's own numbers of its types, as ngx_lua keeps them.
local BOOLEAN, NUMBER_TYPE, STRING, LIST = 1, 3, 4, 5

-- What ngx_lua's structures take.
local ENTRY_BYTES, LIST_BYTES, ITEM_BYTES = 68, 16, 21
local HEAD_BYTES, MAX_KEY = 80, 65535

table_.NEXT, table_.EXPIRES, table_.FLAGS, table_.KEY_LENGTH = NEXT, EXPIRES, FLAGS, KEY_LENGTH
table_.TYPE, table_.LENGTH, table_.NUMBER, table_.KEY, table_.WRITING = TYPE, LENGTH, NUMBER, KEY, WRITING
table_.CHAIN, table_.BACK, table_.HASH, table_.PREV, table_.FIRST, table_.LAST, table_.MOVING = CHAIN, BACK, HASH, PREV, FIRST, LAST, MOVING
table_.ITEM_NEXT, table_.ITEM_PREV, table_.ITEM_LENGTH = ITEM_NEXT, ITEM_PREV, ITEM_LENGTH
table_.ITEM_TYPE, table_.ITEM_VALUE = ITEM_TYPE, ITEM_VALUE
table_.HEAD_BYTES, table_.ITEM_BYTES = HEAD_BYTES, ITEM_BYTES
table_.BOOLEAN, table_.NUMBER_TYPE, table_.STRING, table_.LIST, table_.MAX_KEY = BOOLEAN, NUMBER_TYPE, STRING, LIST, MAX_KEY

-- Loops have functions of their own: on the usual path of everything here there is none, so that it can be compiled whole.
local function find_behind(zone, n, key, length, hash)
    local m = zone.m
    repeat
        n = m[n + CHAIN]
    until n == 0 or m[n + HASH] == hash and m[n + KEY_LENGTH] == length
        and C.pyresty_compare(zone.base + (n + KEY) * 4, key, length) == 0
    return n
end

-- The entry of a key, whether it has expired or not; 0 if there is none.
function table_.find(zone, key, length, hash)
    local m = zone.m
    local n = zone.h[band(hash, m[MASK])]
    if n == 0 then
        return 0
    elseif m[n + HASH] == hash and m[n + KEY_LENGTH] == length and C.pyresty_compare(zone.base + (n + KEY) * 4, key, length) == 0 then
        return n
    end
    n = m[n + CHAIN]
    if n == 0 then
        return 0
    elseif m[n + HASH] == hash and m[n + KEY_LENGTH] == length and C.pyresty_compare(zone.base + (n + KEY) * 4, key, length) == 0 then
        return n
    end
    return find_behind(zone, n, key, length, hash)
end

-- Make an entry the one used last.
function table_.touch(m, head, n)
    local first = m[head + NEXT]
    if first ~= n then
        local next, prev = m[n + NEXT], m[n + PREV]
        m[head + MOVING] = n
        m[prev + NEXT] = next
        m[next + PREV] = prev
        m[n + NEXT] = first
        m[n + PREV] = head
        m[first + PREV] = n
        m[head + NEXT] = n
        m[head + MOVING] = 0
    end
end

-- Free the items of a list; nothing for other entries.
local function drop_items(m, n)
    local item = m[n + FIRST]
    m[n + FIRST], m[n + LAST], m[n + LENGTH] = 0, 0, 0
    while item ~= 0 do
        local next = m[item + ITEM_NEXT]
        free(m, item)
        item = next
    end
end
table_.drop_items = drop_items

local function remove(zone, head, n)
    local m, h = zone.m, zone.h
    local next, prev = m[n + NEXT], m[n + PREV]
    m[prev + NEXT] = next
    m[next + PREV] = prev
    local after, before = m[n + CHAIN], m[n + BACK]
    if before == 0 then
        h[band(m[n + HASH], m[MASK])] = after
    else
        m[before + CHAIN] = after
    end
    if after ~= 0 then
        m[after + BACK] = before
    end
    if m[n + TYPE] == LIST then
        drop_items(m, n)
    end
    free(m, n)
end
table_.remove = remove

-- Remove the last entry if it has expired. Returns whether it had.
local function drop_expired(zone, head, now)
    local last = zone.m[head + PREV]
    local expires = zone.f[rshift(last + EXPIRES, 1)] -- 0 for the head itself
    if expires == 0 or expires > now then
        return false
    end
    remove(zone, head, last)
    return true
end

-- Remove one or two entries from the end if they have expired. ngx_http_lua_shdict_expire() with n = 1
function table_.sweep(zone, head, now)
    return drop_expired(zone, head, now) and drop_expired(zone, head, now)
end

-- The same, after the last entry, whether it has expired or not. False if there is none. ngx_http_lua_shdict_expire() with n = 0
local function evict(zone, head, now)
    local last = zone.m[head + PREV]
    if last == head then
        return false
    end
    remove(zone, head, last)
    if drop_expired(zone, head, now) then
        drop_expired(zone, head, now)
    end
    return true
end
table_.evict = evict

local function entry_bytes(length, kind, size)
    if kind == LIST then
        return band(ENTRY_BYTES + length + LIST_BYTES + 7, -8)
    end
    return ENTRY_BYTES + length + size
end
table_.entry_bytes = entry_bytes

-- Room for an entry; 0 if there is none.
function table_.room(m, length, kind, size)
    return alloc(m, entry_bytes(length, kind, size))
end

local function evict_more(zone, head, now, need)
    for _ = 2, 30 do
        if not evict(zone, head, now) then
            return 0
        end
        local n = alloc(zone.m, need)
        if n ~= 0 then
            return n
        end
    end
    return 0
end

-- Room for an entry, for which up to 30 times what is at the end goes. Returns 0 if there is none even so; and whether something had to go.
function table_.forced_room(zone, head, now, length, kind, size)
    if not evict(zone, head, now) then
        return 0, false
    end
    local need = entry_bytes(length, kind, size)
    local n = alloc(zone.m, need)
    return n ~= 0 and n or evict_more(zone, head, now, need), true
end

-- Begin an entry in the room `n` that it has got. It counts once insert() is called, when the rest is there too.
function table_.prepare(zone, n, key, length, hash, kind, size)
    local m = zone.m
    m[n + HASH], m[n + KEY_LENGTH], m[n + TYPE], m[n + LENGTH] = hash, length, kind, size
    m[n + FIRST], m[n + LAST] = 0, 0
    C.pyresty_copy_in(zone.base + (n + KEY) * 4, key, length)
end

function table_.insert(zone, head, n)
    local m, h = zone.m, zone.h
    local bucket = band(m[n + HASH], m[MASK])
    local first = m[head + NEXT]
    local after = h[bucket]
    m[n + CHAIN] = after
    m[n + BACK] = 0
    if after ~= 0 then
        m[after + BACK] = n
    end
    h[bucket] = n
    m[n + NEXT] = first
    m[n + PREV] = head
    m[first + PREV] = n
    m[head + NEXT] = n
end

-- Add an item to a list, at its beginning or its end; the value is a string or a number of `size` bytes. False if there is no memory.
function table_.push(zone, n, left, value, kind, size)
    local m = zone.m
    local item = alloc(m, ITEM_BYTES + size)
    if item == 0 then
        return false
    end
    m[item + ITEM_LENGTH], m[item + ITEM_TYPE] = size, kind
    if kind == NUMBER_TYPE then
        zone.f[rshift(item + ITEM_VALUE, 1)] = value
    else
        C.pyresty_copy_in(zone.base + (item + ITEM_VALUE) * 4, value, size)
    end
    local first, last = m[n + FIRST], m[n + LAST]
    m[item + ITEM_NEXT], m[item + ITEM_PREV] = left and first or 0, left and 0 or last
    if first == 0 then
        m[n + FIRST], m[n + LAST] = item, item
    elseif left then
        m[first + ITEM_PREV] = item
        m[n + FIRST] = item
    else
        m[last + ITEM_NEXT] = item
        m[n + LAST] = item
    end
    m[n + LENGTH] = m[n + LENGTH] + 1
    return true
end

-- Take an item away. The list may be empty then.
function table_.pop(m, n, item)
    local next, prev = m[item + ITEM_NEXT], m[item + ITEM_PREV]
    m[prev == 0 and n + FIRST or prev + ITEM_NEXT] = next
    m[next == 0 and n + LAST or next + ITEM_PREV] = prev
    m[n + LENGTH] = m[n + LENGTH] - 1
    free(m, item)
end

-- Make a new zone ready: its head and its name take a chunk each, as in nginx. nil if it is too small for them.
function table_.format(zone, name)
    local m = zone.m
    local head, text = alloc(m, HEAD_BYTES), alloc(m, #name + 27)
    if head == 0 or text == 0 then
        return nil
    end
    m[head + NEXT], m[head + PREV], m[head + MOVING], m[head + WRITING] = head, head, 0, 0
    m[memory.HEAD] = head
    m[memory.NAME], m[memory.NAME_BYTES] = text, #name + 27
    C.pyresty_copy_in(zone.base + text * 4, name, #name)
    return true
end
