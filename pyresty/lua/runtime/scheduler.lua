-- The scheduler: runs a handler in a pooled coroutine until it is done or has to wait.
--
-- Python calls start() to run a handler and resume() when what it waited for is there; both answer with
--     code, rid, out, ...
-- code 0: done (then the handler's first result); code -1: failed (then message with traceback); code > 0: an operation to carry
-- out (then the thread's number and the operation's arguments). rid is the number under which this request's state is kept, 0 if it
-- is not; out is what the handler has printed since the last crossing, nil for nothing.
-- Only numbers, strings, booleans and nil cross: a Lua object held by Python may outlive its coroutine, and that crashes.

local rt = ...

local co_create, co_resume, co_yield, co_status, co_running =
    coroutine.create, coroutine.resume, coroutine.yield, coroutine.status, coroutine.running
local type, tostring, select, error, setmetatable, pairs = type, tostring, select, error, setmetatable, pairs
local traceback, getinfo = debug.traceback, debug.getinfo
local new_buffer = require("string.buffer").new
local gsub, sub, find, gmatch = string.gsub, string.sub, string.find, string.gmatch

local FINISHED, USER = 0, -1 -- first value of a yield: the handler is done; the user's own yield
local OP_YIELD = rt.ops.yield

rt.r = nil -- the state of the request whose Lua code is running

-- Per-request state, by number. Kept only while ngx.ctx or the loaded modules have to survive the handler.
local states, free_ids, last_id = {}, {}, 0
local free_states, nfree_states = {}, 0

local function new_state()
    if nfree_states > 0 then
        local r = free_states[nfree_states]
        free_states[nfree_states] = nil
        nfree_states = nfree_states - 1
        return r
    end
    return { out = new_buffer(256), id = 0, sent = false, exited = false }
end

local function keep(r)
    if r.id == 0 then
        local id = free_ids[#free_ids]
        if id then
            free_ids[#free_ids] = nil
        else
            last_id = last_id + 1
            id = last_id
        end
        states[id] = r
        r.id = id
    end
    return r.id
end
rt.keep = keep

local function drop(r)
    if r.id ~= 0 then
        states[r.id] = nil
        free_ids[#free_ids + 1] = r.id
        r.id = 0
    end
    r.ctx, r.env, r.loaded, r.arg, r.threads, r.on_abort, r.draft = nil, nil, nil, nil, nil, nil, nil
    r.sent, r.exited, r.eof = false, false, nil
    r.out:reset()
    if nfree_states < 256 then
        nfree_states = nfree_states + 1
        free_states[nfree_states] = r
    end
end

-- Waiting threads, by number: coroutine and state.
local waiting_co, waiting_r, free_tids, last_tid = {}, {}, {}, 0

-- Coroutines that have finished a handler and wait for the next.
local idle, nidle = {}, 0
local boxes = setmetatable({}, { __mode = "k" })

-- (The handler is called out of a table by number because a local's name would show up in tracebacks.)
local function worker(box, arg, arg2)
    while true do
        arg, arg2 = co_yield(FINISHED, (box[1](arg, arg2)))
    end
end

local function take_out(r)
    local out = r.out
    if #out > 0 then
        return out:get()
    end
end

-- Frames of our own runtime are shown as the C functions that they are in OpenResty.
local function clean(trace)
    local lines, pending = {}, nil
    for line in gmatch(trace, "[^\n]+") do
        if find(line, "^\t%(pyresty%)") or find(line, "^\t%[string \"%(pyresty%)") then
            local name = line:match("in function '([^']+)'")
            if name then
                pending = "\t[C]: in function '" .. name .. "'"
                if lines[#lines] and find(lines[#lines], "^\t%[C%]: in function 'error'") then
                    lines[#lines] = nil
                end
            end
        else
            if pending then
                lines[#lines + 1] = pending
                pending = nil
            end
            lines[#lines + 1] = rt.main_chunk_line and rt.main_chunk_line(line) or line
        end
    end
    return table.concat(lines, "\n")
end

local function failure(co, err, r)
    local kind = type(err)
    local message
    if kind == "string" or kind == "number" then
        message = tostring(err)
    else
        message = "unknown reason"
    end
    local parts, level, chain = { "stack traceback:" }, 0, co
    while chain do
        local trace = traceback(chain, "")
        trace = gsub(trace, "^\n?stack traceback:\n?", "")
        parts[#parts + 1] = "coroutine " .. level .. ":"
        local cleaned = clean(trace)
        if cleaned ~= "" then
            parts[#parts + 1] = cleaned
        end
        level = level + 1
        chain = rt.parent and rt.parent[chain]
    end
    return message .. "\n" .. table.concat(parts, "\n")
end
rt.failure = failure

local function finish(r, result)
    local out = take_out(r)
    local rid = r.id
    if rid == 0 and not r.ctx and not r.env then
        r.sent, r.exited, r.arg, r.eof, r.draft = false, false, nil, nil, nil
        if nfree_states < 256 then
            nfree_states = nfree_states + 1
            free_states[nfree_states] = r
        end
    elseif rid == 0 then
        rid = keep(r)
    end
    rt.r = nil
    return 0, rid, out, result
end

local function after(r, co, ok, op, ...)
    if not ok then
        rt.r = nil
        return -1, keep(r), take_out(r), failure(co, op, r)
    end
    if op == FINISHED then
        if nidle < 128 then
            nidle = nidle + 1
            idle[nidle] = co
        end
        return finish(r, (...))
    end
    if op == USER then
        op = OP_YIELD
    end
    local tid = free_tids[#free_tids]
    if tid then
        free_tids[#free_tids] = nil
    else
        last_tid = last_tid + 1
        tid = last_tid
    end
    waiting_co[tid], waiting_r[tid] = co, r
    rt.r = nil
    return op, keep(r), take_out(r), tid, ...
end

-- Run handler number `chunk` in phase `phase` for the request whose state is kept as `rid` (0 for none).
function rt.start(phase, chunk, rid, sent, a, b)
    local r
    if rid ~= 0 then
        r = states[rid]
    else
        r = new_state()
    end
    r.phase = phase
    r.sent = sent
    rt.r = r
    local fn, err = rt.instance(chunk, r)
    if not fn then
        rt.r = nil
        return -2, keep(r), nil, err
    end
    if nidle > 0 then
        local co = idle[nidle]
        idle[nidle] = nil
        nidle = nidle - 1
        boxes[co][1] = fn
        return after(r, co, co_resume(co, a, b))
    end
    local co, box = co_create(worker), { fn }
    boxes[co] = box
    return after(r, co, co_resume(co, box, a, b))
end

-- The usual way of a content handler: nothing is kept from earlier phases. Answers with the output alone if that is all there is.
local function after_content(r, co, ok, op, ...)
    if ok and op == FINISHED and not r.ctx and not r.env and r.id == 0 then
        nidle = nidle + 1
        idle[nidle] = co
        local out = r.out:get()
        r.sent, r.exited, r.eof, r.draft = false, false, nil, nil
        nfree_states = nfree_states + 1
        free_states[nfree_states] = r
        rt.r = nil
        return out
    end
    return after(r, co, ok, op, ...)
end

function rt.start_content(chunk)
    local r = new_state()
    r.phase = "content"
    rt.r = r
    local fn, err = rt.instance(chunk, r)
    if not fn then
        rt.r = nil
        return -2, keep(r), nil, err
    end
    if nidle > 0 then
        local co = idle[nidle]
        idle[nidle] = nil
        nidle = nidle - 1
        boxes[co][1] = fn
        return after_content(r, co, co_resume(co))
    end
    local co, box = co_create(worker), { fn }
    boxes[co] = box
    return after_content(r, co, co_resume(co, box))
end

-- Hand the results of an operation to the thread that waits for it.
function rt.resume(tid, ...)
    local co, r = waiting_co[tid], waiting_r[tid]
    waiting_co[tid], waiting_r[tid] = nil, nil
    free_tids[#free_tids + 1] = tid
    rt.r = r
    return after(r, co, co_resume(co, ...))
end

-- Forget a waiting thread (its request has ended).
function rt.cancel(tid)
    if waiting_co[tid] then
        waiting_co[tid], waiting_r[tid] = nil, nil
        free_tids[#free_tids + 1] = tid
    end
end

-- The request has ended: forget its state.
function rt.release(rid)
    local r = states[rid]
    if r then
        drop(r)
    end
end

-- How many states and waiting threads there are, for the tests that look for leaks.
function rt.counts()
    local n, t = 0, 0
    for _ in pairs(states) do n = n + 1 end
    for _ in pairs(waiting_co) do t = t + 1 end
    return n, t
end

-- Wait for an operation. In a user's coroutine this reaches the scheduler through coroutine.resume below.
function rt.wait(op, ...)
    return co_yield(op, ...)
end

-- coroutine.* as user code sees it: the user's yields end at the user's resume, our operations pass through it.

rt.parent = setmetatable({}, { __mode = "kv" }) -- user coroutine → the coroutine that resumed it
local user_threads = setmetatable({}, { __mode = "k" })

local function through(co, ok, op, ...)
    if not ok or co_status(co) == "dead" then
        return ok, op, ...
    end
    if op == USER then
        return true, ...
    end
    return through(co, co_resume(co, co_yield(op, ...)))
end

local user = {}
for name, fn in pairs(coroutine) do
    user[name] = fn
end

function user.create(fn)
    if type(fn) ~= "function" then
        error("bad argument #1 to 'create' (function expected, got " .. (fn == nil and "no value" or type(fn)) .. ")", 2)
    end
    local co = co_create(fn)
    user_threads[co] = true
    return co
end

function user.resume(co, ...)
    if type(co) ~= "thread" then
        error("bad argument #1 to 'resume' (coroutine expected)", 2)
    end
    if not user_threads[co] then
        return co_resume(co, ...)
    end
    rt.parent[co] = co_running()
    return through(co, co_resume(co, ...))
end

function user.yield(...)
    return co_yield(USER, ...)
end

local function wrapped(co, ok, ...)
    if not ok then
        local err = ...
        if type(err) == "string" then
            local where = getinfo(3, "Sl")
            if where and where.currentline > 0 then
                err = where.short_src .. ":" .. where.currentline .. ": " .. err
            end
        end
        error(err, 0)
    end
    return ...
end

function user.wrap(fn)
    local co = user.create(fn)
    return function(...)
        return wrapped(co, user.resume(co, ...))
    end
end

for name, fn in pairs(user) do
    coroutine[name] = fn
end

-- A state for a subrequest that is to have `ctx` as its ngx.ctx; answers its number.
function rt.state_with_ctx(ctx)
    local r = new_state()
    r.ctx = ctx
    return keep(r)
end
