-- ngx.location.capture and capture_multi. https://github.com/openresty/lua-nginx-module#ngxlocationcapture
-- The options of each subrequest cross as a flat run of values, the responses come back the same way. One without options, to a location
-- with nothing but a Lua content handler, runs inside: in the coroutine of the handler that asks for it.

local rt = ...

local type, rawset, error, tostring, pairs, select, unpack = type, rawset, error, tostring, pairs, select, unpack
local wait, py = rt.wait, rt.py
local OP_CAPTURE, OP_PLAIN = rt.ops.capture, rt.ops.capture_plain
local begin_inside, end_inside, hold_inside, start_inside = py.begin_inside, py.end_inside, py.hold_inside, rt.start_inside
local method_names, add_value = rt.method_names, rt.add_value

local PHASES = rt.phases("server_rewrite rewrite access precontent content")
local SHARE, COPY, FORWARD = 1, 2, 4

-- Append a table of strings and numbers, its size first.
local function flatten(flat, n, options)
    local count_at = n
    n = n + 1
    local count = 0
    for key, value in pairs(options) do
        if type(key) ~= "string" then
            error("attempt to use a non-string key in the \"vars\" option table", 4)
        end
        local kind = type(value)
        if kind ~= "string" and kind ~= "number" then
            error("attempt to use bad variable value type " .. kind, 4)
        end
        flat[n], flat[n + 1] = key, tostring(value)
        n = n + 2
        count = count + 1
    end
    flat[count_at] = count
    return n
end

local function pairs_option(flat, n, value, name)
    if value == nil then
        flat[n] = 0
        return n + 1
    elseif type(value) ~= "table" then
        error("Bad " .. name .. " option value", 4)
    end
    return flatten(flat, n, value)
end

local function flag_option(value, name, bit)
    if value == nil then
        return 0
    elseif type(value) ~= "boolean" then
        error("Bad " .. name .. " option value", 4)
    end
    return value and bit or 0
end

-- Append one request to `flat` from position n: uri, method, args, body, flags, state, vars, headers. `states`: what is to be in states
-- that are made once there can be no error any more, by their position.
local function request(flat, n, uri, opts, index, states)
    local kind = type(uri)
    if kind == "number" then
        uri = tostring(uri)
    elseif kind ~= "string" then
        error("bad argument #3 to '?' (string expected, got " .. (uri == nil and "nil" or kind) .. ")", 3)
    end
    flat[n] = uri
    if opts == nil then
        flat[n + 1], flat[n + 2], flat[n + 3], flat[n + 4], flat[n + 5], flat[n + 6], flat[n + 7] = "GET", false, false, 0, 0, 0, 0
        return n + 8
    end
    if type(opts) ~= "table" then
        error("expecting table as the 2nd argument for subrequest " .. index .. ", but got " .. type(opts), 3)
    end
    local args = opts.args
    kind = type(args)
    if kind == "table" then
        args = rt.encode_args(args, 3)
    elseif kind == "number" then
        args = tostring(args)
    elseif kind ~= "string" and kind ~= "nil" then
        error("Bad args option value", 3)
    end
    local flags = flag_option(opts.share_all_vars, "share_all_vars", SHARE) + flag_option(opts.copy_all_vars, "copy_all_vars", COPY)
    if opts.always_forward_body then
        flags = flags + FORWARD
    end
    local method = opts.method
    if method == nil then
        method = "GET"
    elseif type(method) ~= "number" then
        error("Bad http request method", 3)
    else
        local name = method_names[method]
        if not name then
            py.log(4, "unsupported HTTP method: " .. method)
            error("failed to adjust the subrequest: -1", 3)
        end
        method = name
    end
    local ctx = opts.ctx
    if ctx ~= nil and type(ctx) ~= "table" then
        error("Bad ctx option value type " .. type(ctx) .. ", expected a Lua table", 3)
    end
    local body = opts.body
    kind = type(body)
    if kind == "number" then
        body = tostring(body)
    elseif kind ~= "string" and kind ~= "nil" then
        error("Bad http request body", 3)
    end
    flat[n + 1], flat[n + 2], flat[n + 3], flat[n + 4], flat[n + 5] = method, args or false, body or false, flags, 0
    if ctx or method == "HEAD" then
        states[n + 5] = { ctx = ctx, filtered = method == "HEAD" and "head" or nil }
    end
    n = pairs_option(flat, n + 6, opts.vars, "vars")
    return pairs_option(flat, n, opts.headers, "headers")
end

local function make_states(flat, states)
    for at, state in pairs(states) do
        local id = rt.state_with_ctx(state.ctx)
        rt.state(id).filtered = state.filtered
        flat[at] = id
    end
end

-- The result table from status, truncated, body, and the number of headers that follow from position `at`.
local function response(flat, at)
    local header = {}
    local count = flat[at + 3]
    local res = { status = flat[at], truncated = flat[at + 1], body = flat[at + 2], header = header }
    at = at + 4
    for i = at, at + count * 2 - 2, 2 do
        add_value(header, flat[i], flat[i + 1])
    end
    return res, at + count * 2
end

-- Raise it if subrequests could not be made; their states are of no use then.
local function check(status, message, flat, states)
    if status == nil then
        for at in pairs(states) do
            rt.release(flat[at])
        end
        error(message, 3)
    end
end

local NONE = {}

local function responses(flat, at, count)
    if count == 0 then
        return
    end
    local res, next_at = response(flat, at)
    return res, responses(flat, next_at, count - 1)
end

-- The results of plain subrequests. Most have one header, and then no table is needed in between; each level of the recursion has all that
-- is left on the stack, so it is for a few only.
local FEW = 16

local function plain(left, status, truncated, body, count, key, value, ...)
    if count == 1 and left <= FEW then
        local res = { status = status, truncated = truncated, body = body, header = { [key] = value } }
        if left == 1 then
            return res
        end
        return res, plain(left - 1, ...)
    end
    check(status, truncated, NONE, NONE)
    return responses({ status, truncated, body, count, key, value, ... }, 1, left)
end

-- Subrequests run inside for a handler that has no threads, and does not share its modules with them.
local function may_run_inside(r)
    return not (r.group or r.watch or r.env)
end

local function result(body, status, kind, ...)
    if kind then
        return { status = status, truncated = false, body = body, header = { ["Content-Type"] = kind } }
    end
    return (response({ status, false, body, select("#", ...) / 2, ... }, 1))
end

local function stopped(out, ...)
    if type(out) == "string" then
        return result(out, end_inside())
    end
    hold_inside(out, ...)
    return true
end

-- Run a subrequest inside. Answers with its result, true if it has to go on outside, nil if it has to begin there.
local function inside(uri)
    local chunk = begin_inside(uri)
    if chunk then
        return stopped(start_inside(chunk))
    end
end

-- The results take the places of the URIs.
local function capture_inside(uris, count)
    local places, held = nil, 0
    for i = 1, count do
        local res = inside(uris[i])
        if res and res ~= true then
            uris[i] = res
        else
            places = places or {}
            if not res then
                -- the others are not to begin before this one
                for rest = i, count do
                    places[#places + 1] = rest
                end
                break
            end
            held = held + 1
            places[held] = i
        end
    end
    if places then
        local first = places[held + 1] or count + 1
        local flat, at = { wait(OP_PLAIN, held, unpack(uris, first, count)) }, 1
        check(flat[1], flat[2], NONE, NONE)
        for i = 1, #places do
            uris[places[i]], at = response(flat, at)
        end
    end
    return unpack(uris, 1, count)
end

local location = {}

function location.capture(...)
    local n = select("#", ...)
    if n ~= 1 and n ~= 2 then
        error("expecting one or two arguments", 2)
    end
    local r = rt.require_phase(PHASES, 2)
    local uri, opts = ...
    if opts == nil and type(uri) == "string" then
        local res = may_run_inside(r) and inside(uri)
        if res == true then
            return plain(1, wait(OP_PLAIN, 1))
        elseif res then
            return res
        end
        return plain(1, wait(OP_PLAIN, 0, uri))
    end
    local flat, states = {}, {}
    local last = request(flat, 1, uri, opts, 0, states) - 1
    make_states(flat, states)
    local results = { wait(OP_CAPTURE, 1, unpack(flat, 1, last)) }
    check(results[1], results[2], flat, states)
    return (response(results, 1))
end

function location.capture_multi(...)
    local n = select("#", ...)
    if n ~= 1 then
        error("only one argument is expected, but got " .. n, 2)
    end
    local requests = ...
    if type(requests) ~= "table" then
        rt.bad_argument(1, "table expected, got " .. type(requests), 2)
    end
    local count = #requests
    if count == 0 then
        error("at least one subrequest should be specified", 2)
    end
    local r = rt.require_phase(PHASES, 2)
    local flat, simple = {}, true
    for i = 1, count do
        local query = requests[i]
        if type(query) ~= "table" or #query ~= 1 or type(query[1]) ~= "string" then
            simple = false
            break
        end
        flat[i] = query[1]
    end
    if simple then
        if may_run_inside(r) then
            return capture_inside(flat, count)
        end
        return plain(count, wait(OP_PLAIN, 0, unpack(flat, 1, count)))
    end
    local states, at = {}, 1
    for i = 1, count do
        local query = requests[i]
        if query == nil then
            error("only array-like tables are allowed", 2)
        elseif type(query) ~= "table" then
            error("the query argument " .. (i - 1) .. " is not a table, but a " .. type(query), 2)
        end
        local nargs = #query
        if nargs ~= 1 and nargs ~= 2 then
            error("query argument " .. (i - 1) .. " expecting one or two arguments", 2)
        end
        at = request(flat, at, query[1], query[2], i - 1, states)
    end
    make_states(flat, states)
    local results = { wait(OP_CAPTURE, count, unpack(flat, 1, at - 1)) }
    check(results[1], results[2], flat, states)
    return responses(results, 1, count)
end

rawset(ngx, "location", location)

rt.getters.is_subrequest = function()
    rt.require_request(2)
    return py.is_subrequest()
end
