-- ngx.socket.tcp: connecting, pools, options. Reading and sending: socket_io.lua. https://github.com/openresty/lua-nginx-module#ngxsockettcp

local rt = ...

local type, rawset, error, tostring, setmetatable, select, pairs = type, rawset, error, tostring, setmetatable, select, pairs
local sub, lower, find = string.sub, string.lower, string.find
local wait, py = rt.wait, rt.py
local io = rt.socket_io
local argument_error, check, refuse, is_number, to_integer = io.argument_error, io.check, io.refuse, io.is_number, io.to_integer

local OP_CONNECT = rt.ops.connect
local try_connect, close, keepalive = py.socket_connect, py.socket_close, py.socket_keepalive

local PHASES = rt.phases(rt.YIELDING)

-- The fields of a socket object, where OpenResty has them.
local NUMBER, CONNECT_TIMEOUT, KEY, LOCAL = 1, 2, 3, 8

local tcp = {}
local meta = { __index = tcp }

for name, method in pairs(io.stream) do
    tcp[name] = method
end

function tcp.bind(...)
    local n = select("#", ...)
    if n ~= 2 and n ~= 3 then
        error("expecting 2 or 3 arguments, but got " .. n, 2)
    end
    rt.require_phase(PHASES, 2)
    local self, address, port = ...
    if type(self) ~= "table" then
        argument_error(1, "table expected, got " .. type(self))
    end
    if n == 3 then
        if not is_number(port) then
            return nil, "expecting port to be anumber but got type: " .. type(port)
        end
        port = to_integer(port)
        if port < 0 or port > 65535 then
            return nil, "bad port number: " .. port
        end
    end
    if type(address) ~= "string" and type(address) ~= "number" then
        argument_error(2, "string expected, got " .. type(address))
    end
    address = tostring(address)
    if not py.socket_bind(address) then
        return nil, "bad address"
    end
    if find(address, ":", 1, true) then
        address = "[" .. address .. "]"
    end
    self[LOCAL] = port and port > 0 and address .. ":" .. port or address
    return true
end

function tcp.connect(...)
    local n = select("#", ...)
    if n < 2 or n > 4 then
        error("ngx.socket connect: expecting 2, 3, or 4 arguments (including the object), but seen " .. n, 2)
    end
    rt.require_phase(PHASES, 2)
    local self, host, port = ...
    if type(self) ~= "table" then
        argument_error(1, "table expected, got " .. type(self))
    end
    if type(host) ~= "string" then
        if type(host) ~= "number" then
            argument_error(2, "string expected, got " .. type(host))
        end
        host = tostring(host)
    end
    local key
    local size, backlog = 0, -1
    local options = select(n, ...)
    if type(options) == "table" then
        local value = options.pool_size
        if is_number(value) then
            size = to_integer(value)
            if size <= 0 then
                argument_error(n, "bad \"pool_size\" option value: " .. size)
            end
        elseif value ~= nil then
            argument_error(n, "bad \"pool_size\" option type: " .. type(value))
        end
        value = options.backlog
        if is_number(value) then
            backlog = to_integer(value)
            if backlog < 0 then
                argument_error(n, "bad \"backlog\" option value: " .. backlog)
            end
            if size == 0 then
                size = -1 -- the configured one
            end
        end
        key = options.pool
        if key ~= nil and type(key) ~= "string" and type(key) ~= "number" then
            argument_error(n, "bad \"pool\" option type: " .. type(key))
        end
        n = n - 1
    end
    if n >= 3 and is_number(port) then
        key = key or host .. ":" .. port
        port = to_integer(port)
        if port < 0 or port > 65535 then
            return nil, "bad port number: " .. port
        end
    elseif lower(sub(host, 1, 5)) == "unix:" then
        key = key or host
        port = 0
    else
        return nil, "missing the port number"
    end
    self[KEY] = key
    local code, number = try_connect(self[NUMBER] or 0, tostring(key))
    if code < 0 then
        return refuse(code)
    end
    self[NUMBER] = number
    if code == 1 then
        return 1
    end
    return wait(OP_CONNECT, number, host, port, size, backlog, self[LOCAL], self[CONNECT_TIMEOUT] or 0)
end

function tcp.close(...)
    local self = ...
    check(self, select("#", ...), 1, 1, "expecting 1 argument (including the object) but seen ")
    local code = close(self[NUMBER] or 0)
    if code == 1 then
        return 1
    end
    return refuse(code)
end

function tcp.setkeepalive(...)
    local n = select("#", ...)
    local self, timeout, size = ...
    check(self, n, 1, 3, "expecting 1 to 3 arguments (including the object), but got ")
    if timeout ~= nil and not is_number(timeout) then
        argument_error(2, "number expected, got " .. type(timeout))
    elseif size ~= nil and not is_number(size) then
        argument_error(3, "number expected, got " .. type(size))
    end
    timeout, size = timeout and to_integer(timeout), size and to_integer(size)
    local code = keepalive(self[NUMBER] or 0, timeout, size)
    if code == 1 then
        return 1
    elseif code == 0 then
        argument_error(n, "bad \"pool_size\" option value: " .. (size or 0))
    elseif type(code) == "string" then
        return nil, code
    end
    return refuse(code)
end

function tcp.getreusedtimes(...)
    local self = ...
    check(self, select("#", ...), 1, 1, "expecting 1 argument (including the object), but got ")
    local times = py.socket_reused(self[NUMBER] or 0)
    if times < 0 then
        return refuse(times)
    end
    return times
end

rt.tcp = tcp -- for the rest of its methods: socket_tls.lua

local socket = {}

function socket.tcp(...)
    local n = select("#", ...)
    if n ~= 0 then
        error("expecting zero arguments, but got " .. n, 2)
    end
    rt.require_phase(PHASES, 2)
    return setmetatable({}, meta)
end

-- (A chunk of this name, for messages name the place that calls connect.)
socket.connect = load([[
    local sock = ngx.socket.tcp() local ok, err = sock:connect(...) if ok then return sock end return nil, err
]], "=ngx.socket.connect")

socket.stream = socket.tcp

rawset(ngx, "socket", socket)
