-- coroutine.* as user code sees it: the user's yields end at the user's resume, our operations pass through it to the scheduler.
-- https://github.com/openresty/lua-nginx-module#coroutinecreate

local rt = ...

local co_create, co_resume, co_yield, co_status, co_running =
    coroutine.create, coroutine.resume, coroutine.yield, coroutine.status, coroutine.running
local type, setmetatable, pairs, select, error = type, setmetatable, pairs, select, error
local getinfo = debug.getinfo
local parent, boxes = rt.parent, rt.boxes
local USER, KILLED, PLAIN = rt.USER, rt.KILLED, rt.PLAIN

local user_threads = setmetatable({}, { __mode = "k" })
local killed = setmetatable({}, { __mode = "k" }) -- what an error in a wrapped coroutine has ended → the coroutine of the error

-- While an operation passes through them: its coroutine is still running, those that have resumed one another down to it are normal.
local passing = setmetatable({}, { __mode = "k" })

local through

local function passed(co, resumer, ...)
    passing[co], passing[resumer] = nil, nil
    return through(co, co_resume(co, ...))
end

local function pass(co, ...)
    local resumer = co_running()
    passing[co], passing[resumer] = passing[co] or "running", "normal"
    return passed(co, resumer, rt.wait(...))
end

function through(co, ok, ...)
    if not ok or co_status(co) == "dead" then
        return ok, ...
    end
    local op, err, origin = ...
    if op == USER then
        return true, select(2, ...)
    elseif op == KILLED then
        killed[co] = origin
        return false, err
    end
    return pass(co, ...)
end

-- Whether coroutine.* is our own here: filters, and code that belongs to no request, have the standard one.
local STANDARD = { init = true, header_filter = true, body_filter = true }
local YIELDABLE = rt.phases(rt.YIELDING)

local function is_standard()
    local r = rt.r
    return not r or STANDARD[r.phase]
end

local function ours(level)
    if is_standard() then
        return false
    elseif not YIELDABLE[rt.r.phase] then
        rt.require_phase(YIELDABLE, level + 1)
    end
    return true
end

-- The API's own functions count as C's.
local function is_lua(fn)
    if type(fn) ~= "function" then
        return false
    end
    local info = getinfo(fn, "S")
    return info.what ~= "C" and info.source ~= "=(pyresty)"
end
rt.is_lua = is_lua

-- A coroutine of which our own scheduler knows: the user's yields in it don't end at whoever resumed it.
function rt.own_coroutine(co)
    user_threads[co] = true
end

function rt.is_own(co)
    return user_threads[co] or boxes[co]
end

-- A user's coroutine, for functions that a user calls.
local function new_thread(fn)
    if not is_lua(fn) then
        rt.bad_argument(1, "Lua function expected", 3)
    end
    ours(3)
    local co = co_create(fn)
    user_threads[co] = true
    return co
end

local user = {}

function user.create(fn)
    if is_standard() then
        return co_create(fn)
    end
    local co = new_thread(fn)
    return co
end

local function state(co)
    local info = rt.threads[co]
    if info then
        return info.status == "running" and (co_status(co) == "normal" and "normal" or passing[co]) or info.status
    end
    local status = killed[co] and "dead" or passing[co] or co_status(co)
    -- a handler's own coroutine is its request's: one that waits is running, and nobody may resume it
    return status == "suspended" and boxes[co] and "running" or status
end

function user.resume(co, ...)
    if type(co) ~= "thread" then
        rt.bad_argument(1, "coroutine expected", 2)
    end
    if not (user_threads[co] or boxes[co]) or not ours(2) then
        return co_resume(co, ...)
    end
    local status = state(co)
    if status ~= "suspended" then
        return false, "cannot resume " .. status .. " coroutine"
    end
    parent[co] = co_running()
    return through(co, co_resume(co, ...))
end

function user.yield(...)
    if ours(2) then
        return co_yield(USER, ...)
    elseif boxes[co_running()] then -- which is no coroutine as far as the user can see
        error("attempt to yield across C-call boundary", 2)
    end
    return co_yield(...)
end

function user.status(co)
    if type(co) ~= "thread" then
        rt.bad_argument(1, "coroutine expected", 2)
    end
    ours(2)
    return state(co)
end

-- Phases that OpenResty runs without a coroutine are not in one as far as the user can see.
function user.running()
    local co, r = co_running(), rt.r
    if boxes[co] and r and PLAIN[r.phase] then
        return nil
    end
    return co
end

-- An error in a wrapped coroutine ends the one that called it too, whatever pcall is around it: the error is gone on the way up, to the
-- next coroutine.resume or the end of the handler.
local function wrapped(co, ok, ...)
    if not ok then
        return co_yield(KILLED, (...), killed[co] or co)
    end
    return ...
end

function user.wrap(fn)
    if is_standard() then
        return coroutine._wrap(fn)
    end
    local co = new_thread(fn)
    return function(...)
        local status = state(co)
        if status ~= "suspended" then
            return false, "cannot resume " .. status .. " coroutine"
        end
        parent[co] = co_running()
        return wrapped(co, through(co, co_resume(co, ...)))
    end
end

for name, fn in pairs(user) do
    coroutine["_" .. name] = coroutine[name]
    coroutine[name] = fn
end
