-- header_filter_by_lua*, body_filter_by_lua* and ngx.arg: code that runs on the way of the response, while the handler that makes the
-- response may be waiting. It runs for the handler's own state, so ngx.ctx is the same, in a coroutine apart, and never waits.
-- https://github.com/openresty/lua-nginx-module#body_filter_by_lua

local rt = ...

local co_create, co_resume, co_yield = coroutine._create, coroutine._resume, coroutine._yield
local type, tostring, rawset, setmetatable, setfenv, error = type, tostring, rawset, setmetatable, setfenv, error
local getinfo = debug.getinfo
local G = _G
local py, FINISHED = rt.py, rt.FINISHED

-- The piece of the body that a body filter is given: what is in it, whether it ends the response; and whether an end has been seen.
local chunk, last, seen_last

-- (The code is called out of a table by number because a local's name would show up in tracebacks.)
local function worker(box)
    while true do
        setfenv(0, box[2] or G)
        co_yield(FINISHED, (box[1]()))
    end
end

local spare -- the coroutine that has run a filter and waits for the next

-- Run a handler whose output goes through the filters piece by piece: all of it where the location has Lua filters, else until they have
-- let the head pass.
function rt.start_filtered(phase, number, rid, sent, watch, filters)
    if rid == 0 then
        rid = rt.state_with_ctx(nil)
    end
    rt.state(rid).filtered = filters and "all" or "head"
    return rt.start(phase, number, rid, sent, watch)
end

-- Where the user's code stands in a coroutine, as errors say it.
local function user_line(co)
    local level = 0
    while true do
        local info = getinfo(co, level, "Sl")
        if not info then
            return ""
        elseif info.currentline > 0 and info.source ~= "=(pyresty)" then
            return info.short_src .. ":" .. info.currentline .. ": "
        end
        level = level + 1
    end
end

-- Run chunk `number` in `phase` for the state kept as `rid` (0: none). Answers the state's number afterwards, and an error message or nil and
-- the code's result; third, the status that ngx.exit named.
local function run(phase, number, rid, sent)
    local lasting = rid ~= 0
    if not lasting then
        rid = rt.state_with_ctx(nil)
    end
    local r = rt.state(rid)
    local outer, outer_phase, outer_sent = rt.r, r.phase, r.sent
    r.phase, r.sent, r.exit_code = phase, sent, nil
    rt.r = r
    rt.turn = rt.turn + 1
    local co, box = spare, nil
    spare = nil
    if co then
        box = rt.boxes[co]
    else
        co, box = co_create(worker), {}
        rt.boxes[co] = box
    end
    box[1], box[2] = rt.instance(number, r)
    local ok, op, result = co_resume(co, box)
    local err
    if not ok then
        err = rt.failure(co, op, r)
    elseif op == FINISHED then
        spare = co
    else
        err = rt.failure(co, user_line(co) .. "attempt to yield across C-call boundary", r)
    end
    rt.r = outer
    r.phase, r.sent = outer_phase, outer_sent
    local code = r.exit_code
    if not lasting and not r.ctx and not r.env then
        rt.release(rid)
        rid = 0
    end
    return rid, err, code, result
end

-- Answers the state's number, an error message or nil, and the status that the code wants to end with.
function rt.header_filter(number, rid)
    local id, err, code = run("header_filter", number, rid, false)
    return id, err, code
end

-- Answers the state's number, an error message or nil, the piece and whether it is the last one, whether no more are wanted, and whether
-- the code's result is one of failure.
function rt.body_filter(number, rid, data, eof)
    chunk, last, seen_last = data, eof, false
    local id, err, _, result = run("body_filter", number, rid, true)
    data, eof, chunk = chunk, last, nil
    return id, err, data, eof, seen_last, type(result) == "number" and (result == -1 or result >= 300)
end

-- ngx.exit in a header filter only says how the response is to end; the code goes on.
function rt.exit_filter(status)
    rt.r.exit_code = status
end

rawset(ngx, "arg", setmetatable({}, {
    __index = function(_, number)
        local r = rt.r
        if not r or r.phase == "init" then
            error("no request found", 2)
        end
        if r.phase == "set" then
            return type(number) == "number" and py.get_arg(number) or nil
        elseif r.phase ~= "body_filter" then
            error("API disabled in the current context", 2)
        end
        if number == 1 then
            return chunk
        elseif number == 2 then
            return last
        end
    end,
    __newindex = function(_, number, value)
        rt.require_phase({ body_filter = true }, 2)
        number = rt.check_number(number, 2, 2)
        number = number - number % 1
        if number == 2 then
            last = value and true or false
            seen_last = last
            return
        elseif number ~= 1 then
            error("bad index: " .. number, 2)
        end
        local kind = type(value)
        if kind == "string" then
            chunk = value
        elseif kind == "number" then
            chunk = tostring(value)
        elseif kind == "nil" then
            chunk = ""
        elseif kind == "table" then
            local text, wrong = rt.joined(value)
            if not text then
                rt.bad_argument(3, wrong, 2)
            end
            chunk = text
        else
            error("bad chunk data type: " .. kind, 2)
        end
        seen_last = seen_last or last
    end,
}))
