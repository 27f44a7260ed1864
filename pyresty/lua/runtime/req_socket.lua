-- ngx.req.socket: the request's body, or with `raw` all that the client sends and gets, as a socket.
-- https://github.com/openresty/lua-nginx-module#ngxreqsocket

local rt = ...

local error, pairs, setmetatable, select = error, pairs, setmetatable, select
local wait, py = rt.wait, rt.py
local stream = rt.socket_io.stream
local OP_RAW_SOCKET = rt.ops.raw_socket

local PHASES = rt.phases("server_rewrite rewrite access precontent content")
local NUMBER = 1

local raw, body = {}, {}
raw.__index, body.__index = raw, body
for name, method in pairs(stream) do
    raw[name] = method
    if name ~= "send" then
        body[name] = method
    end
end

function ngx.req.socket(...)
    local n = select("#", ...)
    if n > 1 then
        error("expecting 0 or 1 argument, but got " .. n, 2)
    end
    local wanted_raw = ...
    local r = rt.require_phase(PHASES, 2)
    if py.is_subrequest() then
        error("attempt to read the request body in a subrequest", 2)
    end
    local number, err
    if wanted_raw then
        number, err = wait(OP_RAW_SOCKET)
    else
        number, err = py.body_socket()
    end
    if not number then
        return nil, err
    end
    if wanted_raw then
        r.sent = true
        r.eof = "raw request socket acquired"
    end
    return setmetatable({ [NUMBER] = number }, wanted_raw and raw or body)
end
