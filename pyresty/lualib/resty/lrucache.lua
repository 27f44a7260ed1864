-- resty.lrucache: a table of at most so many entries, of which the one not used for longest goes first.
-- Interface: https://github.com/openresty/lua-resty-lrucache
--
-- Entries live in numbered places. The places form a ring through place 0, which stands for none: from it, `after` leads from the entry used
-- last to the free places, `before` the other way. So taking a free place and evicting are the same: the place in front of 0.

local now = ngx.now
local new_table = require "table.new"
local clear = require "table.clear"
local setmetatable, type = setmetatable, type

local NEVER = -1

local _M = { _VERSION = "0.13" }
local mt = { __index = _M }


local function unlink(after, before, place)
    local a, b = after[place], before[place]
    after[b], before[a] = a, b
end


local function move_to_front(self, place)
    local after, before = self.after, self.before
    if after[0] == place then
        return
    end
    unlink(after, before, place)
    local first = after[0]
    after[place], before[place] = first, 0
    before[first], after[0] = place, place
end


local function move_to_back(self, place)
    local after, before = self.after, self.before
    unlink(after, before, place)
    local last = before[0]
    before[place], after[place] = last, 0
    after[last], before[0] = place, place
end


-- A cache for `size` entries; nil and a message if that is below 1.
function _M.new(size)
    if size < 1 then
        return nil, "size too small"
    end
    local after, before = new_table(size, 1), new_table(size, 1)
    for i = 0, size do
        after[i], before[i] = i + 1, i - 1
    end
    after[size], before[0] = 0, size
    return setmetatable({
        size = size,
        items = 0,
        places = {},
        after = after,
        before = before,
        keys = new_table(size, 0),
        values = new_table(size, 0),
        expires = new_table(size, 0),
        flags = new_table(size, 0),
    }, mt)
end


-- How many entries there are, expired ones too.
function _M.count(self)
    return self.items
end


function _M.capacity(self)
    return self.size
end


-- The value, nil, and its flags; of an expired entry nil, the value and its flags.
function _M.get(self, key)
    local place = self.places[key]
    local value = place and self.values[place]
    if value == nil then
        return nil
    end
    move_to_front(self, place)
    local expires = self.expires[place]
    if expires >= 0 and expires < now() then
        return nil, value, self.flags[place]
    end
    return value, nil, self.flags[place]
end


function _M.delete(self, key)
    local place = self.places[key]
    if not place then
        return false
    end
    self.places[key] = nil
    self.keys[place], self.values[place] = nil, nil
    self.items = self.items - 1
    move_to_back(self, place)
    return true
end


-- Set the value, for `ttl` seconds if that is given; `flags` is any number from 0.
function _M.set(self, key, value, ttl, flags)
    local places = self.places
    local place = places[key]
    if not place then
        place = self.before[0]
        local old = self.keys[place]
        if old ~= nil then
            places[old] = nil
        else
            self.items = self.items + 1
        end
        places[key] = place
        self.keys[place] = key
    end
    move_to_front(self, place)
    self.values[place] = value
    self.expires[place] = ttl and now() + ttl or NEVER
    self.flags[place] = type(flags) == "number" and flags >= 0 and flags or 0
end


-- The keys, the one used last first: `max` of them (nil or 0: all), in the table `res` if that is given.
function _M.get_keys(self, max, res)
    if not max or max == 0 then
        max = self.items
    end
    res = res or new_table(max < self.items and max or self.items, 0)
    local after, keys = self.after, self.keys
    local place, n = after[0], 0
    while n < max and place ~= 0 and keys[place] ~= nil do
        n = n + 1
        res[n] = keys[place]
        place = after[place]
    end
    res[n + 1] = nil
    return res
end


function _M.flush_all(self)
    clear(self.places)
    clear(self.keys)
    clear(self.values)
    self.items = 0
end


return _M
