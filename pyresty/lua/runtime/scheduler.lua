-- The scheduler: runs a handler in a pooled coroutine until it is done or has to wait.
--
-- Python calls start() to run a handler and resume() when what it waited for is there; both answer with
--     code, rid, out, ...
-- code 0: done (then the handler's first result); code -1: failed (then message with traceback); code -2: there is no such chunk; code
-- -3: the handler has several threads, which wait for what they have queued (thread.lua); code > 0: an operation to carry out (then the
-- thread's number and the operation's arguments). rid is the number under which this request's state is kept, 0 if it
-- is not; out is what the handler has printed since the last crossing, nil for nothing.
-- Only numbers, strings, booleans and nil cross: a Lua object held by Python may outlive its coroutine, and that crashes.

local rt = ...

local co_create, co_resume, co_yield = coroutine.create, coroutine.resume, coroutine.yield
local co_isyieldable = coroutine.isyieldable
local type, tostring, setmetatable, setfenv, pairs, error = type, tostring, setmetatable, setfenv, pairs, error
local G = _G
local getinfo = debug.getinfo
local new_buffer = require("string.buffer").new
local find, match, sub = string.find, string.match, string.sub
local concat = table.concat

-- The first value of a yield that is no operation: the handler is done; the user's own yield; an error to be passed up; a thread to
-- start; to wait for one.
local FINISHED, USER, KILLED, SPAWN, WAIT = 0, -1, -2, -3, -4
rt.FINISHED, rt.USER, rt.KILLED, rt.SPAWN, rt.WAIT = FINISHED, USER, KILLED, SPAWN, WAIT
rt.GROUP = -3

rt.parent = setmetatable({}, { __mode = "kv" }) -- user coroutine → the coroutine that resumed it

rt.r = nil -- the state of the request whose Lua code is running
rt.turn = 0 -- changes whenever Lua is entered: what is looked up once for a run of Lua code goes by it

-- Per-request state, by number. Kept only while ngx.ctx or the loaded modules have to survive the handler.
local states, ids = {}, { last = 0 }
local free_states, nfree_states = {}, 0

local function new_state()
    if nfree_states > 0 then
        local r = free_states[nfree_states]
        free_states[nfree_states] = nil
        nfree_states = nfree_states - 1
        return r
    end
    return { out = new_buffer(256), id = 0, sent = false, said = false }
end
rt.new_state = new_state

-- A number that is not in use: one that is free again, in the list, or the next.
local function take_number(numbers)
    local n = #numbers
    local number = numbers[n]
    if number then
        numbers[n] = nil
        return number
    end
    number = numbers.last + 1
    numbers.last = number
    return number
end

local function keep(r)
    if r.id == 0 then
        local id = take_number(ids)
        states[id] = r
        r.id = id
    end
    return r.id
end
rt.keep = keep

local function drop(r)
    if r.id ~= 0 then
        states[r.id] = nil
        ids[#ids + 1] = r.id
        r.id = 0
    end
    r.ctx, r.env, r.loaded, r.arg, r.group, r.on_abort, r.draft = nil, nil, nil, nil, nil, nil, nil
    r.sent, r.said, r.eof, r.watch, r.filtered = false, false, nil, nil, nil
    r.out:reset()
    if nfree_states < 256 then
        nfree_states = nfree_states + 1
        free_states[nfree_states] = r
    end
end

-- Waiting threads, by number: coroutine and state.
local waiting_co, waiting_r, tids = {}, {}, { last = 0 }

-- Coroutines that have finished a handler and wait for the next.
local idle, nidle = {}, 0
local boxes = setmetatable({}, { __mode = "k" })
rt.boxes = boxes

-- (The handler is called out of a table by number because a local's name would show up in tracebacks.)
-- box[2] holds the globals that the handler has instead of the real ones: loadstring and its like take them from the coroutine.
local function worker(box)
    while true do
        if box[2] ~= box[3] then
            box[3] = box[2]
            setfenv(0, box[2] or G)
        end
        co_yield(FINISHED, (box[1]()))
    end
end

local function take_out(r)
    local out = r.out
    if #out > 0 then
        return out:get()
    end
end

-- A function of the stack as OpenResty writes it down; `line` is where it stands if LuaJIT no longer knows.
local function frame(info, line)
    local text = "\t" .. info.short_src .. ":"
    if info.currentline > 0 then
        line = info.currentline
    end
    if line then
        text = text .. line .. ":"
    end
    if info.what == "main" or rt.mains[info.func] then
        return text .. " in main chunk"
    elseif info.namewhat ~= "" then
        return text .. " in function '" .. info.name .. "'"
    elseif info.what == "C" then
        return text .. " ?"
    end
    return text .. " in function <" .. info.short_src .. ":" .. info.linedefined .. ">"
end

-- The lines for the stack of a coroutine from `level` on, at most `most` of them. A run of frames of our own runtime is one C function, as it
-- is in OpenResty, under the name that the user called it by. `message`: of the error that has ended the coroutine.
local function stack(co, level, most, message)
    local lines, ours = {}, nil
    while true do
        local info = getinfo(co, level, "Snlf")
        if not info then
            break
        end
        level = level + 1
        if info.short_src == "(pyresty)" or find(info.short_src, "^%[builtin") then
            if #lines > 0 and find(lines[#lines], "\t[C]:", 1, true) == 1 then
                lines[#lines] = nil -- what our own code called
            end
            ours = info.namewhat ~= "" and "\t[C]: in function '" .. info.name .. "'" or "\t[C]: ?"
        else
            if #lines + (ours and 1 or 0) >= most then
                lines[#lines + 1] = "\t..."
                break
            end
            lines[#lines + 1] = ours
            ours = nil
            local at = #info.short_src + 1
            local known = message and #lines == 0 and info.what ~= "C" and sub(message, 1, at) == info.short_src .. ":"
            lines[#lines + 1] = frame(info, known and match(message, "^%d+", at + 1))
        end
    end
    return lines
end

-- ngx_http_lua_thread_get_traceback() shows this many.
local LEVELS = 22

function rt.walk(co, level)
    return concat(stack(co, level, LEVELS), "\n")
end

-- As debug.traceback(): the first and the last ten where there are many.
local FIRST, LAST = 10, 10
local function plain_walk(co, message)
    local lines = stack(co, 0, math.huge, message)
    if #lines < FIRST + 2 + LAST then
        return concat(lines, "\n")
    end
    return concat(lines, "\n", 1, FIRST) .. "\n\t...\n" .. concat(lines, "\n", #lines - LAST + 1)
end

-- Phases that OpenResty runs without a coroutine.
local PLAIN = { init = true, init_worker = true, exit_worker = true, set = true, log = true, header_filter = true, body_filter = true, balancer = true }
rt.PLAIN = PLAIN

local function failure(co, err, r)
    local kind = type(err)
    local message
    if kind == "string" or kind == "number" then
        message = tostring(err)
    elseif PLAIN[r.phase] then
        return (r.phase == "init" or r.phase == "init_worker") and "unknown error" or "unknown reason"
    else
        message = "unknown reason"
    end
    if PLAIN[r.phase] then
        return message .. "\nstack traceback:\n" .. plain_walk(co, message)
    end
    local parts, level, chain = { "stack traceback:" }, 0, co
    while chain do
        parts[#parts + 1] = "coroutine " .. level .. ":"
        local trace = rt.walk(chain, 0)
        if trace ~= "" then
            parts[#parts + 1] = trace
        end
        level = level + 1
        chain = rt.parent[chain]
        if r.group and chain == r.group.entry and not r.group.entry_alive then
            break
        end
    end
    return message .. "\n" .. concat(parts, "\n")
end
rt.failure = failure

local function finish(r, result)
    local out = take_out(r)
    local rid = 0
    if r.ctx or r.env then
        r.watch = nil
        rid = keep(r)
    else
        drop(r)
    end
    rt.r = nil
    return 0, rid, out, result
end
rt.finish, rt.take_out = finish, take_out

local function idle_again(co)
    if nidle < 128 then
        nidle = nidle + 1
        idle[nidle] = co
    end
end
rt.idle_again = idle_again

-- A number for a thread that waits.
local function new_tid(co, r)
    local tid = take_number(tids)
    waiting_co[tid], waiting_r[tid] = co, r
    return tid
end
rt.new_tid = new_tid

local function after(r, co, ok, op, ...)
    if r.group then
        return rt.group_after(r, co, ok, op, ...)
    end
    if not ok then
        rt.r = nil
        return -1, keep(r), take_out(r), failure(co, op, r)
    end
    if op == FINISHED then
        idle_again(co)
        return finish(r, (...))
    end
    if op == USER then -- nobody else is waiting for a turn
        return after(r, co, co_resume(co))
    elseif op == KILLED then
        local err, origin = ...
        rt.r = nil
        return -1, keep(r), take_out(r), failure(origin, err, r)
    elseif op == SPAWN or (r.watch and not PLAIN[r.phase]) then
        rt.new_group(r, co)
        return rt.group_after(r, co, ok, op, ...)
    end
    local tid = new_tid(co, r)
    rt.r = nil
    return op, keep(r), take_out(r), tid, ...
end

-- Run chunk number `chunk` for the state `r` in a pooled coroutine; `answer` makes the answer of where it stops.
local function launch(answer, r, chunk)
    rt.r = r
    rt.turn = rt.turn + 1
    local fn, env = rt.instance(chunk, r)
    if not fn then
        rt.r = nil
        return -2, keep(r), nil, env
    end
    if nidle > 0 then
        local co = idle[nidle]
        idle[nidle] = nil
        nidle = nidle - 1
        local box = boxes[co]
        box[1], box[2] = fn, env
        return answer(r, co, co_resume(co))
    end
    local co, box = co_create(worker), { fn, env }
    boxes[co] = box
    return answer(r, co, co_resume(co, box))
end

-- Run handler number `chunk` in phase `phase` for the request whose state is kept as `rid` (0 for none). `watch`: the client's going away
-- ends it (lua_check_client_abort).
function rt.start(phase, chunk, rid, sent, watch)
    local r
    if rid ~= 0 then
        r = states[rid]
    else
        r = new_state()
    end
    r.phase = phase
    r.sent = sent
    r.said = r.said or sent
    r.watch = watch
    return launch(after, r, chunk)
end

-- The usual end of a content handler: nothing is kept. Answers with the output alone.
local function ended(r, co)
    nidle = nidle + 1
    idle[nidle] = co
    local out = r.out:get()
    r.sent, r.said, r.eof, r.filtered, r.draft = false, false, nil, nil, nil
    nfree_states = nfree_states + 1
    free_states[nfree_states] = r
    rt.r = nil
    return out
end

local function after_content(r, co, ok, op, ...)
    if ok and op == FINISHED and not r.ctx and not r.env and r.id == 0 then
        return ended(r, co)
    end
    return after(r, co, ok, op, ...)
end

-- Run a content handler for which nothing is kept from earlier phases.
function rt.start_content(chunk)
    local r = new_state()
    r.phase = "content"
    return launch(after_content, r, chunk)
end

local function after_last(r, co, ok, op, ...)
    if ok and op == FINISHED and r.id == 0 then
        if r.ctx or r.env then
            r.ctx, r.env, r.loaded = nil, nil, nil
        end
        return ended(r, co)
    end
    return after(r, co, ok, op, ...)
end

-- As start_content, where no Lua comes after it that could want ngx.ctx or the modules.
function rt.start_last(chunk)
    local r = new_state()
    r.phase = "content"
    return launch(after_last, r, chunk)
end

local function back_in(outer, ...)
    rt.r = outer
    rt.turn = rt.turn + 1
    return ...
end

-- As start_last, for a subrequest of the handler that runs, whose turn it is again when this returns.
function rt.start_inside(chunk)
    local r = new_state()
    r.phase = "content"
    return back_in(rt.r, launch(after_last, r, chunk))
end

-- Hand the results of an operation to the thread that waits for it.
function rt.resume(tid, ...)
    local co, r = waiting_co[tid], waiting_r[tid]
    waiting_co[tid], waiting_r[tid] = nil, nil
    tids[#tids + 1] = tid
    rt.r = r
    rt.turn = rt.turn + 1
    if r.group then
        rt.group_resumed(r.group, co, tid)
        return rt.run_in_group(r.group, co, ...)
    end
    return after(r, co, co_resume(co, ...))
end

-- Forget a waiting thread (its request has ended).
function rt.cancel(tid)
    if waiting_co[tid] then
        waiting_co[tid], waiting_r[tid] = nil, nil
        tids[#tids + 1] = tid
    end
end

function rt.state(rid)
    return states[rid]
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
-- (Where that can't be, in a function that gsub calls, say, LuaJIT's message would name a line of ours.)
function rt.wait(op, ...)
    if not co_isyieldable() then
        error("attempt to yield across C-call boundary", 0)
    end
    return co_yield(op, ...)
end

-- A state for a subrequest that is to have `ctx` as its ngx.ctx; answers its number.
function rt.state_with_ctx(ctx)
    local r = new_state()
    r.ctx = ctx
    return keep(r)
end

-- The state of a subrequest, `id` or a new one, gets the globals and modules of its parent's; answers its number.
function rt.adopt(parent, id)
    local r, from = states[id] or new_state(), states[parent]
    r.env, r.loaded = from.env, from.loaded
    return keep(r)
end
