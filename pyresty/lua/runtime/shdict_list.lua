-- ngx.shared.DICT: lists. lpush, rpush, lpop, rpop, llen.
-- https://github.com/openresty/lua-nginx-module#ngxshareddictlpush

local rt = ...

local ffi = require("ffi")
local C = ffi.C
local memory, table_, dict = rt.shdict_memory, rt.shdict_table, rt.shdict
local type, error, select = type, error, select
local rshift = bit.rshift
local now_ms, check_string, key_of, kind_of = rt.now_ms, rt.check_string, rt.shdict_key_of, rt.shdict_kind_of
local find, touch, remove, sweep = table_.find, table_.touch, table_.remove, table_.sweep
local lock, unlock = table_.lock, table_.unlock
local HEAD = memory.HEAD
local EXPIRES, FLAGS, TYPE, LENGTH, FIRST, LAST = table_.EXPIRES, table_.FLAGS, table_.TYPE, table_.LENGTH, table_.FIRST, table_.LAST
local ITEM_LENGTH, ITEM_TYPE, ITEM_VALUE = table_.ITEM_LENGTH, table_.ITEM_TYPE, table_.ITEM_VALUE
local NUMBER_TYPE, LIST = table_.NUMBER_TYPE, table_.LIST

local buffer_size = 4096
local buffer = ffi.new("char[?]", buffer_size)

-- The zone and the key of a call with `given` arguments that has to have `wanted`; for a bad key nil and a message.
local function arguments(given, wanted, self, key)
    if given ~= wanted then
        error("expecting " .. wanted .. " arguments, but only seen " .. given, 3)
    end
    local zone = type(self) == "table" and self[1]
    if type(zone) ~= "table" or not zone.m then
        error("bad \"zone\" argument", 3)
    end
    local name, err = key_of(key ~= nil and check_string(key, 2, 3) or nil)
    if err then
        return nil, err
    end
    return zone, name
end

-- The entry of a key, with the lock taken and what has expired at the end gone: its index, 0 for none; and whether it has expired.
local function open_entry(zone, key, hash, now)
    local m = zone.m
    local head = m[HEAD]
    lock(zone)
    sweep(zone, head, now)
    local n = find(zone, key, #key, hash)
    if n == 0 then
        return 0, false
    end
    local expires = zone.f[rshift(n + EXPIRES, 1)]
    if expires ~= 0 and expires <= now then
        return n, true
    end
    touch(m, head, n)
    return n, false
end

-- ngx_http_lua_shdict_push_helper()
local function push(left, given, self, key, value)
    local zone, name = arguments(given, 3, self, key)
    if not zone then
        return nil, name
    end
    local kind, size = kind_of(value)
    if not kind then
        return nil, "bad value type"
    end
    local m = zone.m
    local head, hash = m[HEAD], C.pyresty_hash(name, #name)
    local n, expired = open_entry(zone, name, hash, now_ms())
    if expired then
        if m[n + TYPE] == LIST then
            table_.drop_items(m, n)
            zone.f[rshift(n + EXPIRES, 1)] = 0
            touch(m, head, n)
        else
            remove(zone, head, n)
            n = 0
        end
    elseif n ~= 0 and m[n + TYPE] ~= LIST then
        unlock(zone)
        return nil, "value not a list"
    end
    if n == 0 then
        n = table_.room(m, #name, LIST, 0)
        if n == 0 then
            unlock(zone)
            return false, "no memory"
        end
        table_.prepare(zone, n, name, #name, hash, LIST, 0)
        m[n + FLAGS] = 0
        zone.f[rshift(n + EXPIRES, 1)] = 0
        table_.insert(zone, head, n)
    end
    local done = table_.push(zone, n, left, value, kind, size)
    local length = m[n + LENGTH]
    if length == 0 then
        remove(zone, head, n)
    end
    unlock(zone)
    if not done then
        return nil, "no memory"
    end
    return length
end

-- ngx_http_lua_shdict_pop_helper()
local function pop(left, given, self, key)
    local zone, name = arguments(given, 2, self, key)
    if not zone then
        return nil, name
    end
    local m = zone.m
    local n, expired = open_entry(zone, name, C.pyresty_hash(name, #name), now_ms())
    if n == 0 or expired then
        unlock(zone)
        return nil
    elseif m[n + TYPE] ~= LIST then
        unlock(zone)
        return nil, "value not a list"
    end
    local item = m[n + (left and FIRST or LAST)]
    local value
    if m[item + ITEM_TYPE] == NUMBER_TYPE then
        value = zone.f[rshift(item + ITEM_VALUE, 1)]
    else
        local size = m[item + ITEM_LENGTH]
        if size > buffer_size then
            unlock(zone)
            buffer_size, buffer = size, ffi.new("char[?]", size)
            return pop(left, given, self, key)
        end
        C.pyresty_copy_out(buffer, zone.base + (item + ITEM_VALUE) * 4, size)
        value = size
    end
    local is_number = m[item + ITEM_TYPE] == NUMBER_TYPE
    if m[n + LENGTH] == 1 then
        remove(zone, m[HEAD], n)
    else
        table_.pop(m, n, item)
    end
    unlock(zone)
    return is_number and value or ffi.string(buffer, value)
end

function dict.lpush(...)
    return push(true, select("#", ...), ...)
end

function dict.rpush(...)
    return push(false, select("#", ...), ...)
end

function dict.lpop(...)
    return pop(true, select("#", ...), ...)
end

function dict.rpop(...)
    return pop(false, select("#", ...), ...)
end

function dict.llen(...)
    local zone, name = arguments(select("#", ...), 2, ...)
    if not zone then
        return nil, name
    end
    local m = zone.m
    local n, expired = open_entry(zone, name, C.pyresty_hash(name, #name), now_ms())
    local length, is_list = 0, true
    if n ~= 0 and not expired then
        length, is_list = m[n + LENGTH], m[n + TYPE] == LIST
    end
    unlock(zone)
    if not is_list then
        return nil, "value not a list"
    end
    return length
end
