-- ngx.shared: the dictionaries by name, and the methods that are about when entries expire and about all entries.
-- https://github.com/openresty/lua-nginx-module#ngxshareddict

local rt = ...

local ffi = require("ffi")
local C = ffi.C
local memory, table_, dict = rt.shdict_memory, rt.shdict_table, rt.shdict
local type, tonumber, error, rawset, select, setmetatable = type, tonumber, error, rawset, select, setmetatable
local rshift, floor = bit.rshift, math.floor
local now_ms, check_integer, bad_argument = rt.now_ms, rt.check_integer, rt.bad_argument
local zone_of, key_of = rt.shdict_zone_of, rt.shdict_key_of
local lock, unlock, find, remove, evict = table_.lock, table_.unlock, table_.find, table_.remove, table_.evict
local HEAD = memory.HEAD
local NEXT, PREV, EXPIRES, KEY_LENGTH, KEY = table_.NEXT, table_.PREV, table_.EXPIRES, table_.KEY_LENGTH, table_.KEY

-- How many keys get_keys() gives unless it is told.
local MOST_KEYS = 1024

local buffer_size = 65536
local buffer

local shared = {}
rawset(ngx, "shared", shared)

-- Make the zone `name` of `size` bytes at the address `base` a dictionary; see memory.open(). Returns a message if it can't be one.
function rt.add_dictionary(name, base, size, chains)
    local zone, err, new = memory.open(base, size, chains)
    if not zone then
        return err
    end
    zone.name = name
    if new then
        if not table_.format(zone, name) then
            return "ngx_slab_alloc() failed: no memory"
        end
        memory.finish(zone.m)
    end
    shared[name] = setmetatable({ zone }, dict)
end

-- The zone and the number of a call of flush_expired or get_keys.
local function zone_and_number(default, ...)
    local given = select("#", ...)
    if given ~= 1 and given ~= 2 then
        error("expecting 1 or 2 argument(s), but saw " .. given, 3)
    end
    local self, number = ...
    if type(self) ~= "table" then
        bad_argument(1, "table expected, got " .. type(self), 3)
    end
    local zone = self[1]
    if type(zone) ~= "table" or not zone.m then
        error("bad user data for the ngx_shm_zone_t pointer", 3)
    end
    if given == 2 then
        return zone, (check_integer(number, 2, 3))
    end
    return zone, default
end

function dict.flush_all(self)
    local zone = zone_of(self)
    local m, f, now = zone.m, zone.f, now_ms()
    local head = m[HEAD]
    lock(zone)
    local n = m[head + NEXT]
    while n ~= head do
        f[rshift(n + EXPIRES, 1)] = 1
        n = m[n + NEXT]
    end
    evict(zone, head, now)
    unlock(zone)
end

function dict.flush_expired(...)
    local zone, most = zone_and_number(0, ...)
    local m, f, now = zone.m, zone.f, now_ms()
    local head = m[HEAD]
    local freed = 0
    lock(zone)
    local n = m[head + PREV]
    while n ~= head do
        local before = m[n + PREV]
        local expires = f[rshift(n + EXPIRES, 1)]
        if expires ~= 0 and expires <= now then
            remove(zone, head, n)
            freed = freed + 1
            if freed == most then
                break
            end
        end
        n = before
    end
    unlock(zone)
    return freed
end

-- The least recently used come first, as in OpenResty.
function dict.get_keys(...)
    local zone, most = zone_and_number(MOST_KEYS, ...)
    local m, f, now = zone.m, zone.f, now_ms()
    local head = m[HEAD]
    buffer = buffer or ffi.new("char[?]", buffer_size)
    local lengths = ffi.cast("int32_t *", buffer)
    local address = tonumber(ffi.cast("intptr_t", buffer))
    local count, place = 0, 0
    lock(zone)
    -- Each key as its length in four bytes, and itself, up to the next multiple of four.
    local n = m[head + PREV]
    while n ~= head do
        local expires = f[rshift(n + EXPIRES, 1)]
        if expires == 0 or expires > now then
            local length = m[n + KEY_LENGTH]
            local after = place + 1 + rshift(length + 3, 2)
            if after * 4 <= buffer_size then
                lengths[place] = length
                C.pyresty_copy(address + (place + 1) * 4, zone.base + (n + KEY) * 4, length)
            end
            count, place = count + 1, after
            if count == most then
                break
            end
        end
        n = m[n + PREV]
    end
    unlock(zone)
    if place * 4 > buffer_size then
        buffer_size, buffer = place * 8, nil
        return dict.get_keys(...)
    end
    local keys = {}
    local at = 0
    for i = 1, count do
        keys[i] = ffi.string(buffer + (at + 1) * 4, lengths[at])
        at = at + 1 + rshift(lengths[at] + 3, 2)
    end
    return keys
end

-- When the entry of a key expires, in ms, or 0 for never; nil and a message if there is none. `expires` is stored if it is given.
local function expiry(zone, key, expires)
    local err
    key, err = key_of(key)
    if err then
        return nil, err
    end
    local hash = C.pyresty_hash(key, #key)
    lock(zone)
    local n = find(zone, key, #key, hash)
    local ends
    if n ~= 0 then
        ends = zone.f[rshift(n + EXPIRES, 1)]
        if expires then
            zone.f[rshift(n + EXPIRES, 1)] = expires
        end
    end
    unlock(zone)
    if not ends then
        return nil, "not found"
    end
    return ends
end

function dict.ttl(self, key)
    local expires, err = expiry(zone_of(self), key)
    if not expires then
        return nil, err
    end
    return expires == 0 and 0 or (expires - now_ms()) / 1000
end

function dict.expire(self, key, exptime)
    local zone = zone_of(self)
    if not exptime then
        error('bad "exptime" argument', 2)
    end
    local ms = exptime * 1000
    local expires, err = expiry(zone, key, ms >= 1 and floor(ms) + now_ms() or 0)
    if not expires then
        return nil, err
    end
    return true
end

function dict.capacity(self)
    return zone_of(self).size
end

function dict.free_space(self)
    local zone = zone_of(self)
    lock(zone)
    local bytes = memory.free_space(zone.m)
    unlock(zone)
    return bytes
end
