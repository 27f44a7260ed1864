-- Light threads: ngx.thread.spawn, wait, kill and ngx.on_abort. https://github.com/openresty/lua-nginx-module#ngxthreadspawn
--
-- A handler that spawns a thread becomes a group: its entry thread and the user threads below it. One of them runs at a time; the others
-- wait for an operation (by number, in the scheduler's tables), for a child, or in the queue of those that are ready. While a group has
-- something ready Python is not asked; what its threads ask for meanwhile is queued there (py.queue), and begins when Lua returns.

local rt = ...

local co_create, co_resume, co_yield, co_status, co_running =
    coroutine._create, coroutine._resume, coroutine._yield, coroutine._status, coroutine._running
local type, error, rawset, select, setmetatable, pairs, unpack = type, error, rawset, select, setmetatable, pairs, unpack
local getlocal = debug.getlocal
local py, bad_argument, require_phase, is_lua = rt.py, rt.bad_argument, rt.require_phase, rt.is_lua
local keep, take_out, failure = rt.keep, rt.take_out, rt.failure
local USER, KILLED, FINISHED, SPAWN, WAIT, GROUP = rt.USER, rt.KILLED, rt.FINISHED, rt.SPAWN, rt.WAIT, rt.GROUP

local PHASES = rt.phases(rt.YIELDING)
local ERR = 4

-- More answers to Python (scheduler.lua has the others): the entry thread failed (then its message, and whether subrequests run); an
-- operation that ends the handler (then its arguments); nobody to tell that the client has gone.
local GROUP_OP, GROUP_FAILED, ABORTED = -5, -6, -4

-- Operations that end the handler: no other thread runs after one of them.
local final = {}
for _, name in pairs({ "exit", "exec", "redirect", "jump" }) do
    final[rt.ops[name]] = true
end
-- A thread that waits for subrequests cannot be aborted.
local subrequests = { [rt.ops.capture] = true, [rt.ops.capture_plain] = true }

-- User threads, wherever they run → what is known of them:
--   group, parent (the coroutine that spawned it), base (the light thread that coroutine is in), status (running, zombie, dead),
--   waited (its parent is in ngx.thread.wait for it), results (of a zombie), tid (of the operation it waits for)
local threads = setmetatable({}, { __mode = "k" })
rt.threads = threads

function rt.new_group(r, entry)
    local group = { r = r, entry = entry, entry_alive = true, alive = 0, first = 1, last = 0, subrequests = 0, tids = {},
        members = {} }
    r.group = group
    return group
end

local function add(group, co, parent, base)
    local info = { group = group, parent = parent, base = base, status = "running" }
    threads[co] = info
    group.alive = group.alive + 1
    group.members[#group.members + 1] = info
end

-- The handler has ended. (A weak table's values are held as long as its keys live: a thread that is held by the stack of its parent must
-- not lead to it.)
local function dissolve(group)
    for _, info in pairs(group.members) do
        info.group, info.parent, info.base, info.results, info.waited = nil, nil, nil, nil, nil
        info.status = "dead"
    end
    group.ended = true
    group.r.group, group.r.on_abort = nil, nil
end

local function post(group, co, value)
    local last = group.last + 1
    group.last = last
    group[last] = { co, value }
end

local group_after

-- Resume a thread of the group: group.running is what is known of it, nil for the entry thread.
local function run(group, co, ...)
    group.running = threads[co]
    return group_after(group.r, co, co_resume(co, ...))
end
rt.run_in_group = run

-- The next thread that is ready; if there is none, Python's turn.
local function next_ready(group)
    local first = group.first
    if first <= group.last then
        local ready = group[first]
        group[first] = nil
        group.first = first + 1
        return run(group, ready[1], ready[2])
    end
    group.first, group.last = 1, 0
    local r = group.r
    if not group.entry_alive and group.alive == 0 then
        dissolve(group)
        return rt.finish(r)
    end
    rt.r = nil
    return GROUP, keep(r), (take_out(r))
end

local function is_alive(co, group)
    local info = threads[co]
    if info then
        return info.status == "running"
    elseif co == group.entry then
        return group.entry_alive
    end
    return co_status(co) ~= "dead"
end

-- A user thread has ended: its parent gets the results, now if it waits for them.
local function ended(group, info, ...)
    group.alive = group.alive - 1
    if not is_alive(info.parent, group) then
        info.status = "dead"
        return next_ready(group)
    end
    if not info.waited then
        info.status = "zombie"
        info.results = { n = select("#", ...), ... }
        return next_ready(group)
    end
    info.status = "dead"
    for _, other in pairs(info.waited) do
        other.waited = nil
    end
    return run(group, info.base, ...)
end

-- What ngx.thread.wait gives for a failed thread: as in OpenResty all that its last frame held, and then the error.
local function left_behind(co, err)
    local values, n = {}, 0
    while true do
        local name, value = getlocal(co, 0, n + 1)
        if not name then
            break
        end
        n = n + 1
        values[n] = value
    end
    values[n + 1] = err
    return unpack(values, 1, n + 1)
end

local function failed(group, co, err, origin)
    local r, info = group.r, threads[co]
    local message = failure(origin or co, err, r)
    if not info then
        rt.r = nil
        return GROUP_FAILED, keep(r), take_out(r) or nil, message, group.subrequests > 0
    end
    py.log(ERR, "lua user thread aborted: runtime error: " .. message)
    return ended(group, info, false, left_behind(origin or co, err))
end

-- Go on after a thread of a group has stopped.
function group_after(r, co, ok, ...)
    local group = r.group
    local info = threads[co]
    local op, child = ...
    if not ok then
        return failed(group, co, op)
    end
    if info then
        if co_status(co) == "dead" then
            return ended(group, info, true, ...)
        end
    elseif op == FINISHED or co_status(co) == "dead" then
        group.entry_alive = false
        if op == FINISHED then
            rt.idle_again(co)
        end
        return next_ready(group)
    end
    if op == USER then
        if group.first > group.last then
            return run(group, co)
        end
        post(group, co)
        return next_ready(group)
    elseif op == SPAWN then
        add(group, child, rt.spawner, co)
        rt.spawner = nil
        post(group, co, child)
        return run(group, select(2, ...))
    elseif op == WAIT then
        return next_ready(group)
    elseif op == KILLED then
        return failed(group, co, select(2, ...))
    end
    if final[op] then
        rt.r = nil
        return GROUP_OP, keep(r), take_out(r) or nil, ...
    end
    local tid = rt.new_tid(co, r)
    group.tids[tid] = op
    if info then
        info.tid = tid
    end
    if subrequests[op] then
        group.subrequests = group.subrequests + 1
    end
    py.queue(tid, ...)
    return next_ready(group)
end
rt.group_after = group_after

-- The operation of thread number `tid` is over.
function rt.group_resumed(group, co, tid)
    if subrequests[group.tids[tid]] then
        group.subrequests = group.subrequests - 1
    end
    group.tids[tid] = nil
    local info = threads[co]
    if info then
        info.tid = nil
    end
end

-- The handler has ended with threads in it: forget them.
function rt.end_group(rid)
    local r = rt.state(rid)
    local group = r and r.group
    if group then
        for tid in pairs(group.tids) do
            rt.cancel(tid)
        end
        dissolve(group)
    end
end

-- The client has gone. With ngx.on_abort its function runs as one more thread, else the handler ends.
function rt.client_aborted(rid)
    local r = rt.state(rid)
    local group = r and r.group
    local co = r and r.on_abort
    if not group or co == false then -- it has run
        return GROUP, rid, nil
    elseif not co then
        return ABORTED, rid
    end
    r.on_abort = false
    add(group, co, group.entry, group.entry)
    rt.parent[co] = group.entry
    rt.r = r
    rt.turn = rt.turn + 1
    return run(group, co)
end

-- Refuse to end the handler while one of its threads waits for subrequests; level is that of the user's call.
function rt.check_abortable(r, level)
    if r.group and r.group.subrequests > 0 then
        error("attempt to abort with pending subrequests", level + 1)
    end
end

local thread = {}

function thread.spawn(fn, ...)
    if not is_lua(fn) then
        bad_argument(1, "Lua function expected", 2)
    end
    require_phase(PHASES, 2)
    local co = co_create(fn)
    rt.own_coroutine(co)
    rt.parent[co] = co_running()
    rt.spawner = co_running()
    return co_yield(SPAWN, co, ...)
end

function thread.wait(...)
    require_phase(PHASES, 2)
    local count = select("#", ...)
    if count == 0 then
        error("at least one coroutine should be specified", 2)
    end
    local me, waited = co_running(), {}
    for i = 1, count do
        local co = select(i, ...)
        if type(co) ~= "thread" then
            bad_argument(i, "lua thread expected", 2)
        end
        local info = threads[co]
        if not info then
            error(rt.is_own(co) and "attempt to wait on a coroutine that is not a user thread" or "no co ctx found", 2)
        elseif info.parent ~= me then
            error("only the parent coroutine can wait on the thread", 2)
        end
        if info.status == "zombie" then
            local results = info.results
            info.status, info.results = "dead", nil
            return unpack(results, 1, results.n)
        elseif info.status == "running" then
            waited[#waited + 1] = info
        elseif i == count then
            return nil, "already waited or killed"
        end
    end
    for _, info in pairs(waited) do
        info.waited = waited
    end
    return co_yield(WAIT)
end

function thread.kill(co)
    require_phase(PHASES, 2)
    if type(co) ~= "thread" then
        bad_argument(1, "lua thread expected", 2)
    end
    local info = threads[co]
    if not info then
        if not rt.is_own(co) then
            error("no co ctx found", 2)
        end
        return nil, "not user thread"
    elseif info.parent ~= co_running() then
        return nil, "killer not parent"
    end
    local group = info.group
    if info.tid and subrequests[group.tids[info.tid]] then
        return nil, "pending subrequests"
    elseif info.status == "zombie" then
        info.status = "dead"
        return nil, "already terminated"
    elseif info.status == "dead" then
        return nil, "already waited or killed"
    end
    info.status = "dead"
    group.alive = group.alive - 1
    if info.tid then
        py.unqueue(info.tid, group.tids[info.tid])
        group.tids[info.tid] = nil
        rt.cancel(info.tid)
    end
    for i = group.first, group.last do
        if group[i][1] == co then
            table.remove(group, i)
            group.last = group.last - 1
            break
        end
    end
    return 1
end

rawset(ngx, "thread", thread)

rawset(ngx, "on_abort", function(fn)
    local r = rt.require_client(2)
    if r.on_abort ~= nil then
        return nil, "duplicate call"
    elseif not r.watch then
        return nil, "lua_check_client_abort is off"
    elseif not is_lua(fn) then
        bad_argument(1, "Lua function expected", 2)
    end
    local co = co_create(fn)
    rt.own_coroutine(co)
    r.on_abort = co
    return 1
end)
