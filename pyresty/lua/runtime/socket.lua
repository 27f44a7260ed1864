-- ngx.socket.tcp: connecting, pools, options. Reading and sending: socket_io.lua. https://github.com/openresty/lua-nginx-module#ngxsockettcp

local rt = ...

local type, rawset, tostring, select, pairs = type, rawset, tostring, select, pairs
local sub, lower = string.sub, string.lower
local wait, py, bad_argument, check_string = rt.wait, rt.py, rt.bad_argument, rt.check_string
local io = rt.socket_io
local PHASES = io.PHASES
local check, refuse, is_number, to_integer, to_port = io.check, io.refuse, io.is_number, io.to_integer, io.to_port

local OP_CONNECT = rt.ops.connect
local try_connect, close, keepalive = py.socket_connect, py.socket_close, py.socket_keepalive

-- The fields of a socket object, where OpenResty has them.
local NUMBER, CONNECT_TIMEOUT, KEY, LOCAL = 1, 2, 3, 8

local tcp = {}

for name, method in pairs(io.stream) do
    tcp[name] = method
end

function tcp.bind(...)
    local n = select("#", ...)
    local self, address, port = ...
    check(self, n, 2, 3, "expecting 2 or 3 arguments, but got ", PHASES)
    if n == 3 then
        if not is_number(port) then
            return nil, "expecting port to be anumber but got type: " .. type(port)
        end
        local wrong
        port, wrong = to_port(port)
        if not port then
            return nil, wrong
        end
    end
    address = py.socket_bind("tcp", check_string(address, 2), port or 0)
    if not address then
        return nil, "bad address"
    end
    self[LOCAL] = address
    return true
end

-- The pool's size, 0 for none and -1 for the configured one, its backlog, -1 for none, and its name or nil: what the table of options,
-- which is argument n of connect, says.
local function pool_options(options, n)
    local size, backlog, key = options.pool_size, options.backlog, options.pool
    if is_number(size) then
        size = to_integer(size)
        if size <= 0 then
            bad_argument(n, "bad \"pool_size\" option value: " .. size, 3)
        end
    elseif size ~= nil then
        bad_argument(n, "bad \"pool_size\" option type: " .. type(size), 3)
    end
    if is_number(backlog) then
        backlog = to_integer(backlog)
        if backlog < 0 then
            bad_argument(n, "bad \"backlog\" option value: " .. backlog, 3)
        end
        size = size or -1
    else
        backlog = -1
    end
    if key ~= nil and type(key) ~= "string" and type(key) ~= "number" then
        bad_argument(n, "bad \"pool\" option type: " .. type(key), 3)
    end
    return size or 0, backlog, key
end

function tcp.connect(...)
    local n = select("#", ...)
    local self, host, port = ...
    check(self, n, 2, 4, "ngx.socket connect: expecting 2, 3, or 4 arguments (including the object), but seen ", PHASES)
    host = check_string(host, 2)
    local size, backlog, key = 0, -1, nil
    local options = select(n, ...)
    if type(options) == "table" then
        size, backlog, key = pool_options(options, n)
        n = n - 1
    end
    if n >= 3 and is_number(port) then
        key = key or host .. ":" .. port
        local wrong
        port, wrong = to_port(port)
        if not port then
            return nil, wrong
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
        bad_argument(2, "number expected, got " .. type(timeout))
    elseif size ~= nil and not is_number(size) then
        bad_argument(3, "number expected, got " .. type(size))
    end
    timeout, size = timeout and to_integer(timeout), size and to_integer(size)
    local code = keepalive(self[NUMBER] or 0, timeout, size)
    if code == 1 then
        return 1
    elseif code == 0 then
        bad_argument(n, "bad \"pool_size\" option value: " .. (size or 0))
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

local socket = { tcp = io.maker(tcp) }

-- (A chunk of this name, for messages name the place that calls connect.)
socket.connect = load([[
    local sock = ngx.socket.tcp() local ok, err = sock:connect(...) if ok then return sock end return nil, err
]], "=ngx.socket.connect")

socket.stream = socket.tcp

rawset(ngx, "socket", socket)
