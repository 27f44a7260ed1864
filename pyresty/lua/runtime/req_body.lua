-- ngx.req: the request's body. https://github.com/openresty/lua-nginx-module#ngxreqread_body

local rt = ...

local type, error, select = type, error, select
local sub = string.sub
local require_request, require_phase, check_string, check_integer = rt.require_request, rt.require_phase, rt.check_string, rt.check_integer
local py, wait, req = rt.py, rt.wait, ngx.req
local new_buffer = require("string.buffer").new

local OP_READ_BODY = rt.ops.read_body
local READING = rt.phases("server_rewrite rewrite access precontent content")
local MAX_ARGS = 100

local function no_arguments(n)
    if n ~= 0 then
        error("expecting 0 arguments but seen " .. n, 3)
    end
end

function req.read_body(...)
    no_arguments(select("#", ...))
    require_phase(READING, 2)
    if not py.body_read() then
        wait(OP_READ_BODY)
    end
end

function req.discard_body(...)
    no_arguments(select("#", ...))
    require_request(2)
    if not py.discard_body() then
        error("failed to discard request body", 2)
    end
end

function req.get_body_data(...)
    local n = select("#", ...)
    if n > 1 then
        error("expecting 0 or 1 arguments but seen " .. n, 2)
    end
    local max = 0
    if n == 1 then
        max = check_integer((...), 1, 2)
    end
    require_request(2)
    local data = py.body_data()
    if data and max > 0 and #data > max then
        return sub(data, 1, max)
    end
    return data
end

function req.get_body_file(...)
    no_arguments(select("#", ...))
    require_request(2)
    return py.body_file()
end

function req.get_post_args(...)
    local n = select("#", ...)
    if n > 1 then
        error("expecting 0 or 1 arguments but seen " .. n, 2)
    end
    local max = MAX_ARGS
    if n == 1 then
        max = check_integer((...), 1, 2)
    end
    require_request(2)
    local state = py.body_state()
    if state == "unread" then
        error("no request body found; maybe you should turn on lua_need_request_body?", 2)
    elseif state == "file" then
        return nil, "request body in temp file not supported"
    end
    return rt.parse_args({}, py.body_data() or "", max)
end

-- Refuse to replace a body that has not been read.
local function replaceable(level)
    local state = py.body_state()
    if state == "discarded" then
        error("request body already discarded asynchronously", level + 1)
    elseif state == "unread" then
        error("request body not read yet", level + 1)
    end
end

function req.set_body_data(...)
    local n = select("#", ...)
    if n ~= 1 then
        error("expecting 1 arguments but seen " .. n, 2)
    end
    local data = check_string((...), 1, 2)
    require_request(2)
    replaceable(2)
    py.set_body_data(data)
end

function req.set_body_file(...)
    local n = select("#", ...)
    if n ~= 1 and n ~= 2 then
        error("expecting 1 or 2 arguments but seen " .. n, 2)
    end
    local name, clean = ...
    name = check_string(name, 1, 2)
    require_request(2)
    replaceable(2)
    if n == 2 then
        rt.check_boolean(clean, 2, 2)
    end
    local err = py.set_body_file(name, clean or false)
    if err then
        error(err, 2)
    end
end

-- A body put together piece by piece: r.draft is what is in memory of it, r.draft_size how much that may be.

function req.init_body(...)
    local n = select("#", ...)
    if n > 1 then
        error("expecting 0 or 1 argument but seen " .. n, 2)
    end
    local r = require_request(2)
    replaceable(2)
    local size
    if n == 1 then
        size = check_integer((...), 1, 2)
        if size < 0 then
            error("bad size argument: " .. size, 2)
        end
    end
    local usual = py.init_body()
    r.draft, r.draft_size = new_buffer(), size or usual
end

-- Write the draft to the body's temporary file. The functions that a user calls raise what goes wrong.
local function write(draft)
    local err = py.append_body(draft:get())
    if err then
        error(err, 3)
    end
end

function req.append_body(...)
    local n = select("#", ...)
    if n ~= 1 then
        error("expecting 1 arguments but seen " .. n, 2)
    end
    local data = check_string((...), 1, 2)
    local r = require_request(2)
    local draft = r.draft
    if not draft then
        error("request_body not initialized", 2)
    end
    draft:put(data)
    if #draft > r.draft_size then
        write(draft)
    end
end

function req.finish_body(...)
    local n = select("#", ...)
    if n ~= 0 then
        error("expecting 0 argument but seen " .. n, 2)
    end
    local r = require_request(2)
    local draft = r.draft
    if not draft then
        error("request_body not initialized", 2)
    end
    r.draft = nil
    if py.body_state() == "memory" then
        py.set_body_data(draft:get())
        return
    end
    write(draft)
    py.set_length()
end
