-- ngx.shared.DICT: the methods for one string, number or boolean. Lists are in shdict_list.lua, expiry and what goes through all
-- entries in shdict_zone.lua.
-- https://github.com/openresty/lua-nginx-module#ngxshareddict
--
-- A method holds the zone's lock from where it has checked its arguments to where it has its result; nothing in between can fail.

local rt = ...

local ffi = require("ffi")
local C = ffi.C
local memory, table_ = rt.shdict_memory, rt.shdict_table
local type, tostring, tonumber, error = type, tostring, tonumber, error
local rshift, floor = bit.rshift, math.floor
local to_string = ffi.string
local now_ms = rt.now_ms
local find, touch, remove, sweep = table_.find, table_.touch, table_.remove, table_.sweep
local lock, unlock = table_.lock, table_.unlock
local room, forced_room, prepare, insert = table_.room, table_.forced_room, table_.prepare, table_.insert
local HEAD = memory.HEAD
local EXPIRES, FLAGS, KEY_LENGTH = table_.EXPIRES, table_.FLAGS, table_.KEY_LENGTH
local TYPE, LENGTH, NUMBER, KEY, WRITING = table_.TYPE, table_.LENGTH, table_.NUMBER, table_.KEY, table_.WRITING
local BOOLEAN, NUMBER_TYPE, STRING, LIST, MAX_KEY = table_.BOOLEAN, table_.NUMBER_TYPE, table_.STRING, table_.LIST, table_.MAX_KEY

local buffer_size = 4096
local buffer = ffi.new("char[?]", buffer_size)
local double, int = ffi.new("double[1]"), ffi.new("int[1]")

local dict = {}
dict.__index = dict
rt.shdict = dict

-- The zone of a method's first argument; for functions that a user calls.
local function zone_of(self)
    local zone = type(self) == "table" and self[1]
    if type(zone) ~= "table" or not zone.m then
        error("bad \"zone\" argument", 3)
    end
    return zone
end

-- A key as a string; nil and a message for what can't be one.
local function key_of(key)
    if type(key) ~= "string" then
        if key == nil then
            return nil, "nil key"
        end
        key = tostring(key)
    end
    if key == "" then
        return nil, "empty key"
    elseif #key > MAX_KEY then
        return nil, "key too long"
    end
    return key
end

-- The type of a string or number that is to be stored, and its size in bytes; nil for other values.
local function kind_of(value)
    local kind = type(value)
    if kind == "string" then
        return STRING, #value
    elseif kind == "number" then
        return NUMBER_TYPE, 8
    end
end

rt.shdict_zone_of, rt.shdict_key_of, rt.shdict_kind_of = zone_of, key_of, kind_of

-- Room in the buffer that values go through.
local function grow(size)
    buffer_size = size
    buffer = ffi.new("char[?]", size)
end

-- The value of an entry, read while the lock is held; a string is then in the buffer, and its length is what is given. A list: nothing.
local function read(zone, n)
    local m = zone.m
    local kind = m[n + TYPE]
    if kind == NUMBER_TYPE then
        return kind, zone.f[rshift(n + NUMBER, 1)]
    end
    local length = m[n + LENGTH]
    if kind == BOOLEAN then
        return kind, m[n + NUMBER]
    elseif kind == STRING and length <= buffer_size then
        C.pyresty_copy_out(buffer, zone.base + (n + KEY) * 4 + m[n + KEY_LENGTH], length)
    end
    return kind, length
end

local function value_of(kind, value)
    if kind == NUMBER_TYPE then
        return value
    elseif kind == STRING then
        return to_string(buffer, value)
    end
    return value ~= 0
end

function dict.get(self, key)
    local zone = zone_of(self)
    local err
    key, err = key_of(key)
    if err then
        return nil, err
    end
    local m, length, now = zone.m, #key, now_ms()
    local head, hash = m[HEAD], C.pyresty_hash(key, length)
    lock(zone)
    sweep(zone, head, now)
    local n = find(zone, key, length, hash)
    if n == 0 then
        unlock(zone)
        return nil
    end
    local expires = zone.f[rshift(n + EXPIRES, 1)]
    if expires ~= 0 and expires <= now then
        unlock(zone)
        return nil
    end
    touch(m, head, n)
    local kind, value = read(zone, n)
    local flags = m[n + FLAGS]
    unlock(zone)
    if kind == LIST then
        return nil, "value is a list"
    elseif kind == STRING and value > buffer_size then
        grow(value)
        return dict.get(self, key)
    end
    if flags ~= 0 then
        return value_of(kind, value), flags
    end
    return value_of(kind, value)
end

function dict.get_stale(self, key)
    local zone = zone_of(self)
    local err
    key, err = key_of(key)
    if err then
        return nil, err
    end
    local m, length, now = zone.m, #key, now_ms()
    local head, hash = m[HEAD], C.pyresty_hash(key, length)
    lock(zone)
    local n = find(zone, key, length, hash)
    if n == 0 then
        unlock(zone)
        return nil
    end
    local expires = zone.f[rshift(n + EXPIRES, 1)]
    local stale = expires ~= 0 and expires <= now
    if not stale then
        touch(m, head, n)
    end
    local kind, value = read(zone, n)
    local flags = m[n + FLAGS]
    unlock(zone)
    if kind == LIST then
        return nil, "value is a list"
    elseif kind == STRING and value > buffer_size then
        grow(value)
        return dict.get_stale(self, key)
    end
    return value_of(kind, value), flags ~= 0 and flags or nil, stale
end

-- Write what can change in an entry. A string has its room already.
local function write(zone, n, kind, value, size, expires, flags)
    local m = zone.m
    m[n + TYPE] = kind
    m[n + FLAGS] = flags
    zone.f[rshift(n + EXPIRES, 1)] = expires
    if kind == NUMBER_TYPE then
        zone.f[rshift(n + NUMBER, 1)] = value
    elseif kind == STRING then
        C.pyresty_copy_in(zone.base + (n + KEY) * 4 + m[n + KEY_LENGTH], value, size)
    else
        m[n + NUMBER] = value
    end
end

-- A new entry, first in the order of use, for which others go if there is no room and `safe` is not set.
-- Returns whether it is there, and whether others had to go.
local function add_entry(zone, head, now, key, length, hash, kind, value, size, expires, flags, safe)
    local forcible = false
    local n = room(zone.m, length, kind, size)
    if n == 0 then
        if safe then
            return false, false
        end
        n, forcible = forced_room(zone, head, now, length, kind, size)
        if n == 0 then
            return false, forcible
        end
    end
    prepare(zone, n, key, length, hash, kind, size)
    write(zone, n, kind, value, size, expires, flags)
    insert(zone, head, n)
    return true, forcible
end

-- set, add and replace. ngx_http_lua_ffi_shdict_store()
local function store(self, key, value, exptime, flags, add, replace, safe)
    local zone = zone_of(self)
    if not exptime then
        exptime = 0
    elseif exptime < 0 then
        error('bad "exptime" argument', 2)
    end
    local err
    key, err = key_of(key)
    if err then
        return nil, err
    end
    local kind, size = kind_of(value)
    if not kind then
        if value == nil then
            if add or replace then
                return false, "attempt to add or replace nil values", false
            end
            kind, size = 0, -1
        elseif type(value) == "boolean" then
            kind, value, size = BOOLEAN, value and 1 or 0, 1
        else
            return nil, "bad value type"
        end
    end
    int[0] = flags or 0
    flags = int[0]
    local m, length, now = zone.m, #key, now_ms()
    local head, hash = m[HEAD], C.pyresty_hash(key, length)
    local expires = exptime > 0 and floor(exptime * 1000) or 0
    if expires > 0 then
        expires = expires + now
    end

    lock(zone)
    sweep(zone, head, now)
    local n = find(zone, key, length, hash)
    if n == 0 then
        if replace then
            unlock(zone)
            return false, "not found", false
        end
    else
        local ends = zone.f[rshift(n + EXPIRES, 1)]
        if ends ~= 0 and ends <= now then
            if replace then
                unlock(zone)
                return false, "not found", false
            end
        else
            touch(m, head, n)
            if add then
                unlock(zone)
                return false, "exists", false
            end
        end
        if m[n + LENGTH] == size and m[n + TYPE] ~= LIST then
            touch(m, head, n)
            m[head + WRITING] = n
            write(zone, n, kind, value, size, expires, flags)
            m[head + WRITING] = 0
            unlock(zone)
            return true, nil, false
        end
        remove(zone, head, n)
    end
    if kind == 0 then
        unlock(zone)
        return true, nil, false
    end
    local done, forcible = add_entry(zone, head, now, key, length, hash, kind, value, size, expires, flags, safe)
    unlock(zone)
    if not done then
        return false, "no memory", forcible
    end
    return true, nil, forcible
end

function dict.set(self, key, value, exptime, flags)
    return store(self, key, value, exptime, flags, false, false, false)
end

function dict.safe_set(self, key, value, exptime, flags)
    return store(self, key, value, exptime, flags, false, false, true)
end

function dict.add(self, key, value, exptime, flags)
    return store(self, key, value, exptime, flags, true, false, false)
end

function dict.safe_add(self, key, value, exptime, flags)
    return store(self, key, value, exptime, flags, true, false, true)
end

function dict.replace(self, key, value, exptime, flags)
    return store(self, key, value, exptime, flags, false, true, false)
end

function dict.delete(self, key)
    return store(self, key, nil, nil, nil, false, false, false)
end

-- A number given as an optional argument, or as a string.
local function number_of(value, name)
    local number = tonumber(value)
    if not number then
        error("bad " .. name .. " arg: number expected, got " .. type(value), 3)
    end
    return number
end

function dict.incr(self, key, value, init, init_ttl)
    local zone = zone_of(self)
    local err
    key, err = key_of(key)
    if err then
        return nil, err
    end
    if type(value) ~= "number" then
        double[0] = tonumber(value) -- raises the FFI's own error for what is no number, as in lua-resty-core
        value = double[0]
    end
    if init and type(init) ~= "number" then
        init = number_of(init, "init")
    end
    local ttl = 0
    if init_ttl ~= nil then
        ttl = type(init_ttl) == "number" and init_ttl or number_of(init_ttl, "init_ttl")
        if ttl < 0 then
            error('bad "init_ttl" argument', 2)
        elseif not init then
            error('must provide "init" when providing "init_ttl"', 2)
        end
        ttl = floor(ttl * 1000)
    end
    local m, f, length, now = zone.m, zone.f, #key, now_ms()
    local head, hash = m[HEAD], C.pyresty_hash(key, length)

    lock(zone)
    sweep(zone, head, now)
    local n = find(zone, key, length, hash)
    local ends = n ~= 0 and f[rshift(n + EXPIRES, 1)] or 1
    if ends == 0 or ends > now then
        touch(m, head, n)
        if m[n + TYPE] ~= NUMBER_TYPE then
            unlock(zone)
            return nil, "not a number"
        end
        value = value + f[rshift(n + NUMBER, 1)]
        f[rshift(n + NUMBER, 1)] = value
        unlock(zone)
        if not init then
            return value
        end
        return value, nil, false
    elseif not init then
        unlock(zone)
        return nil, "not found"
    end
    value = value + init
    local expires = ttl > 0 and now + ttl or 0
    if n ~= 0 then
        if m[n + LENGTH] == 8 and m[n + TYPE] ~= LIST then
            touch(m, head, n)
            m[head + WRITING] = n
            write(zone, n, NUMBER_TYPE, value, 8, expires, 0)
            m[head + WRITING] = 0
            unlock(zone)
            return value, nil, false
        end
        remove(zone, head, n)
    end
    local done, forcible = add_entry(zone, head, now, key, length, hash, NUMBER_TYPE, value, 8, expires, 0, false)
    unlock(zone)
    if not done then
        return nil, "no memory"
    end
    return value, nil, forcible
end
