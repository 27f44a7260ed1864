-- The module ngx.semaphore. https://github.com/openresty/lua-resty-core/blob/master/lib/ngx/semaphore.md
-- A semaphore is a count and the numbers of those that wait; Python holds a future for each of them.

local rt = ...

local type, error, setmetatable, tonumber, ipairs = type, error, setmetatable, tonumber, ipairs
local remove = table.remove
local py, wait = rt.py, rt.wait
local OP_WAIT = rt.ops.semaphore_wait

local PHASES = rt.phases(rt.YIELDING)
local last_number = 0

local semaphore = {}
local meta = { __index = semaphore }

local function check(self)
    if type(self) ~= "table" or type(self.sem) ~= "table" then
        error("not a semaphore instance", 3)
    end
    return self.sem
end

function semaphore.new(n)
    n = tonumber(n) or 0
    if n < 0 then
        error("no negative number", 2)
    end
    return setmetatable({ sem = { count = n - n % 1 } }, meta)
end

function semaphore.wait(self, seconds)
    local sem = check(self)
    local r = rt.r
    if not r or r.phase == "init" then
        error("no request found", 2)
    end
    local ms = tonumber(seconds) * 1000
    if ms < 0 then
        error("no negative number", 2)
    end
    if not PHASES[r.phase] then
        return nil, "API disabled in the context of " .. rt.context(r.phase)
    end
    if sem.count > 0 and not sem[1] then
        sem.count = sem.count - 1
        return true
    elseif ms < 1 then
        return nil, "timeout"
    end
    last_number = last_number + 1
    local group = r.group
    local waiter = { number = last_number, group = group, info = group and group.running }
    sem[#sem + 1] = waiter
    if wait(OP_WAIT, waiter.number, ms) then
        return true, nil
    end
    for i, other in ipairs(sem) do
        if other == waiter then
            remove(sem, i)
            break
        end
    end
    return false, "timeout"
end

-- Whether it still waits. In a group of threads the operation may not have begun yet, so Python may not know of it.
local function waits(waiter)
    local group = waiter.group
    if group then
        return not group.ended and (not waiter.info or waiter.info.status == "running")
    end
    return py.semaphore_waits(waiter.number)
end

function semaphore.post(self, n)
    local sem = check(self)
    local count = n and tonumber(n) or 1
    if count < 1 then
        error("positive number required", 2)
    end
    count = sem.count + count - count % 1
    while count > 0 and sem[1] do
        local waiter = remove(sem, 1)
        if waits(waiter) then
            py.semaphore_wake(waiter.number)
            count = count - 1
        end
    end
    sem.count = count
    return true
end

-- How many may pass; negative: how many wait.
function semaphore.count(self)
    local sem = check(self)
    local waiting = 0
    for _, waiter in ipairs(sem) do
        if waits(waiter) then
            waiting = waiting + 1
        end
    end
    return sem.count - waiting
end

package.preload["ngx.semaphore"] = function()
    return semaphore
end
