-- ngx.timer: functions that run later, in no request of a client. https://github.com/openresty/lua-nginx-module#ngxtimerat
-- The function and its arguments stay here, under a number; Python keeps the time.

local rt = ...

local co_create = coroutine._create
local error, rawset, select, unpack = error, rawset, select, unpack
local getinfo = debug.getinfo
local py, bad_argument = rt.py, rt.bad_argument

local timers, last_id = {}, 0

local function create(every, ...)
    local n = select("#", ...)
    if n < 2 then
        error("expecting at least 2 arguments but got " .. n, 3)
    end
    local delay, fn = ...
    local ms = rt.check_number(delay, 1, 3) * 1000
    ms = ms - ms % 1
    if every and ms == 0 then
        error("delay cannot be zero", 3)
    end
    if not rt.is_lua(fn) then
        bad_argument(2, "Lua function expected", 3)
    end
    local r = rt.r
    if r and r.phase == "exit_worker" then
        error("API disabled in the context of exit_worker_by_lua*", 3)
    elseif not r or r.phase == "init" then
        error("no request", 3)
    end
    local refused = py.timer_refused(ms)
    if refused then
        return nil, refused
    end
    last_id = last_id + 1
    timers[last_id] = { fn = fn, every = every, env = r.env, loaded = r.loaded, n = n - 2, select(3, ...) }
    py.timer_at(last_id, ms, every)
    return 1
end

-- The time of timer `id` has come. `last` says that it will not come again.
function rt.start_timer(id, premature, last)
    local timer = timers[id]
    if last then
        timers[id] = nil
    end
    local r = rt.new_state()
    r.phase, r.env, r.loaded = "timer", timer.env, timer.loaded
    local co = co_create(timer.fn)
    rt.own_coroutine(co)
    rt.r = r
    rt.turn = rt.turn + 1
    return rt.run_in_group(rt.new_group(r, co), co, premature, unpack(timer, 1, timer.n))
end

-- Where the function of a timer that cannot run is defined.
function rt.drop_timer(id, last)
    local info = getinfo(timers[id].fn, "S")
    if last then
        timers[id] = nil
    end
    return info.source .. ":" .. info.linedefined
end

rawset(ngx, "timer", {
    at = function(...)
        local made, err = create(false, ...)
        if made then
            return made
        end
        return nil, err
    end,
    every = function(...)
        local made, err = create(true, ...)
        if made then
            return made
        end
        return nil, err
    end,
    running_count = function()
        return (py.timer_counts())
    end,
    pending_count = function()
        return (select(2, py.timer_counts()))
    end,
})
