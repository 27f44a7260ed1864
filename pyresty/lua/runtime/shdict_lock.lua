-- The lock of a shared dictionary, and what to do when whoever had it has died: make everything anew from what is always whole.
--
-- The mutex is process-shared and robust, so the next one that wants it is told that its owner has died. It also tells its own process
-- that it has it already: then a Lua error (a stack overflow) has broken off what held it, which is the same case.
-- pthread_mutex_lock(3), pthread_mutex_consistent(3)

local rt = ...

local ffi = require("ffi")
local C = ffi.C
local memory, table_ = rt.shdict_memory, rt.shdict_table
local band = bit.band
local collectgarbage, error = collectgarbage, error
local fits, entry_bytes = memory.fits, table_.entry_bytes
local HEAD, MASK, NAME, NAME_BYTES = memory.HEAD, memory.MASK, memory.NAME, memory.NAME_BYTES
local CHAIN, BACK, HASH, NEXT, PREV = table_.CHAIN, table_.BACK, table_.HASH, table_.NEXT, table_.PREV
local MOVING, WRITING = table_.MOVING, table_.WRITING
local KEY_LENGTH, TYPE, LENGTH, FIRST, LAST = table_.KEY_LENGTH, table_.TYPE, table_.LENGTH, table_.FIRST, table_.LAST
local ITEM_NEXT, ITEM_PREV, ITEM_LENGTH = table_.ITEM_NEXT, table_.ITEM_PREV, table_.ITEM_LENGTH
local HEAD_BYTES, ITEM_BYTES, LIST, STRING, MAX_KEY = table_.HEAD_BYTES, table_.ITEM_BYTES, table_.LIST, table_.STRING, table_.MAX_KEY

local EDEADLK, EOWNERDEAD = 35, 130

-- Go through the items of a list and put right its other links; false for a list without items.
local function mend_list(m, n, used)
    local count, last, item = 0, 0, m[n + FIRST]
    while item ~= 0 and fits(m, item, ITEM_BYTES) and not used[item] do
        local bytes = ITEM_BYTES + m[item + ITEM_LENGTH]
        if bytes < ITEM_BYTES or not fits(m, item, bytes) then
            break
        end
        used[item] = bytes
        m[item + ITEM_PREV] = last
        count, last, item = count + 1, item, m[item + ITEM_NEXT]
    end
    if last == 0 then
        return false
    end
    m[last + ITEM_NEXT] = 0
    m[n + LAST], m[n + LENGTH] = last, count
    return true
end

-- Whether an entry is whole; what it takes is then in `used`.
local function whole(m, n, used)
    if not fits(m, n, entry_bytes(1, STRING, 0)) or used[n] then
        return false
    end
    local length, kind, size = m[n + KEY_LENGTH], m[n + TYPE], m[n + LENGTH]
    if length < 1 or length > MAX_KEY or kind < 1 or kind > LIST or size < 0 or not fits(m, n, entry_bytes(length, kind, size)) then
        return false
    end
    if kind == LIST and not mend_list(m, n, used) then
        return false
    end
    used[n] = entry_bytes(length, kind, size)
    return true
end

-- Put a zone right. The entry that was being overwritten is lost, nothing else is. Returns how many entries there are.
local function recover(zone)
    local m, h = zone.m, zone.h
    local head, text = m[HEAD], m[NAME]
    local used = { [head] = HEAD_BYTES, [text] = m[NAME_BYTES] }
    local entries, count = {}, 0
    local moving, writing = m[head + MOVING], m[head + WRITING]
    local seen = {}
    local n = m[head + NEXT]
    while n ~= head and not seen[n] and fits(m, n, entry_bytes(1, STRING, 0)) do
        seen[n] = true
        if n ~= writing and whole(m, n, used) then
            count = count + 1
            entries[count] = n
        end
        n = m[n + NEXT]
    end
    if moving ~= 0 and moving ~= writing and not seen[moving] and whole(m, moving, used) then
        table.insert(entries, 1, moving)
        count = count + 1
    end
    -- From the end, so that the ring can be followed at any moment of this too.
    local after = head
    for i = count, 1, -1 do
        m[entries[i] + NEXT] = after
        m[after + PREV] = entries[i]
        after = entries[i]
    end
    m[head + NEXT] = after
    m[after + PREV] = head
    ffi.fill(h, (m[MASK] + 1) * 4)
    for i = 1, count do
        local entry = entries[i]
        local bucket = band(m[entry + HASH], m[MASK])
        local next = h[bucket]
        m[entry + CHAIN], m[entry + BACK] = next, 0
        if next ~= 0 then
            m[next + BACK] = entry
        end
        h[bucket] = entry
    end
    memory.rebuild(m, used)
    m[head + MOVING], m[head + WRITING] = 0, 0
    return count
end

local function after_death(zone, code)
    if code ~= EDEADLK and code ~= EOWNERDEAD then
        error("pthread_mutex_lock() failed (" .. code .. ")")
    end
    local running = collectgarbage("isrunning")
    collectgarbage("stop")
    local count = recover(zone)
    if code == EOWNERDEAD then
        C.pyresty_mutex_consistent(zone.base)
    end
    rt.py.shdict_recovered(zone.name, count)
    if running then
        collectgarbage("restart")
    end
end

function table_.lock(zone)
    local code = C.pyresty_mutex_lock(zone.base)
    if code ~= 0 then
        after_death(zone, code)
    end
end

function table_.unlock(zone)
    C.pyresty_mutex_unlock(zone.base)
end
