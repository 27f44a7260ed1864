-- ngx.socket.tcp. https://github.com/openresty/lua-nginx-module#ngxsockettcp
-- A socket object is a table; the connection itself is Python's, known by a number.

local rt = ...

local type, rawset, error, tostring, tonumber, setmetatable, select, pairs, floor =
    type, rawset, error, tostring, tonumber, setmetatable, select, pairs, math.floor
local concat, sub, byte, find = table.concat, string.sub, string.byte, string.find
local wait, py, ops = rt.wait, rt.py, rt.ops
local bad_argument = rt.bad_argument
local null = ngx.null

local OP_CONNECT, OP_SENT, OP_RECEIVE, OP_ANY, OP_UNTIL = ops.connect, ops.wait_sent, ops.receive, ops.receive_any, ops.receive_until
local send, try_receive, close, keepalive = py.socket_send, py.socket_receive, py.socket_close, py.socket_keepalive

local PHASES = rt.phases("rewrite access content timer")

local tcp = {}
local meta = { __index = tcp }

local function expect_self(self, name, count)
    if type(self) ~= "table" or getmetatable(self) ~= meta then
        error("bad argument #1 to '" .. name .. "' (table expected, got " .. (self == nil and "no value" or type(self)) .. ")", 3)
    end
end

-- A number for a connection that is open and belongs to this request, or the error.
local function open_number(self)
    local number = self.number
    if not number then
        return nil, "closed"
    end
    return number
end

local function milliseconds(value, name)
    if value == nil then
        return nil
    end
    local n = tonumber(value)
    if not n then
        bad_argument(1, "number expected, got " .. type(value), 3)
    end
    return n
end

function tcp.settimeout(self, timeout)
    local n = milliseconds(timeout, "settimeout") or 0
    self.connect_timeout, self.send_timeout, self.read_timeout = n, n, n
end

function tcp.settimeouts(self, connect, send_, read)
    self.connect_timeout = milliseconds(connect, "settimeouts") or self.connect_timeout
    self.send_timeout = milliseconds(send_, "settimeouts") or self.send_timeout
    self.read_timeout = milliseconds(read, "settimeouts") or self.read_timeout
end

local function pool_of(options, n)
    if options == nil then
        return false
    end
    if type(options) ~= "table" then
        bad_argument(n, "table expected, got " .. type(options), 3)
    end
    local size = options.pool_size
    if size ~= nil then
        if type(size) ~= "number" then
            bad_argument(n, "bad \"pool_size\" option type: " .. type(size), 3)
        elseif size < 1 then
            bad_argument(n, "bad \"pool_size\" option value: " .. size, 3)
        end
    end
    if options.backlog ~= nil then
        error("the \"backlog\" option of tcpsock:connect is not supported by pyresty yet", 3)
    end
    local pool = options.pool
    if pool ~= nil and type(pool) ~= "string" and type(pool) ~= "number" then
        bad_argument(n, "bad \"pool\" option type: " .. type(pool), 3)
    end
    return pool and tostring(pool) or false, size
end

function tcp.connect(self, host, port, options)
    expect_self(self, "connect")
    rt.require_phase(PHASES, 2)
    if type(host) ~= "string" then
        if type(host) ~= "number" then
            bad_argument(1, "string expected, got " .. (host == nil and "nil" or type(host)), 2)
        end
        host = tostring(host)
    end
    local pool, size
    local unix = sub(host, 1, 5) == "unix:"
    if unix then
        pool, size = pool_of(port, 2)
        port = -1
    else
        local n = tonumber(port)
        if not n then
            bad_argument(2, "number expected, got " .. (port == nil and "nil" or type(port)), 2)
        end
        port = n
        if port < 0 or port > 65535 then
            return nil, "bad port number: " .. port
        end
        pool, size = pool_of(options, 3)
    end
    if self.number then
        close(self.number)
        self.number = nil
    end
    local number, reused = wait(OP_CONNECT, host, port, pool, self.connect_timeout)
    if not number then
        return nil, reused
    end
    self.number, self.reused, self.size = number, reused, size
    return 1
end

local function flatten(value, parts, n)
    for i = 1, #value do
        local item = value[i]
        local kind = type(item)
        if kind == "string" then
            parts[#parts + 1] = item
        elseif kind == "number" then
            parts[#parts + 1] = tostring(item)
        elseif kind == "boolean" or kind == "nil" then
            parts[#parts + 1] = tostring(item)
        elseif kind == "table" then
            flatten(item, parts, n)
        else
            bad_argument(1, "bad data type " .. kind .. " found", 4)
        end
    end
    return parts
end

function tcp.send(self, data)
    expect_self(self, "send")
    local kind = type(data)
    if kind ~= "string" then
        if kind == "number" or kind == "boolean" or kind == "nil" then
            data = tostring(data)
        elseif kind == "table" then
            data = concat(flatten(data, {}))
        else
            bad_argument(1, "string, number, boolean, nil, or array table expected, got " .. kind, 2)
        end
    end
    local number, err = open_number(self)
    if not number then
        return nil, err
    end
    local slow
    slow, err = send(number, data)
    if not slow then
        return nil, err
    end
    if slow == 1 then
        local ok
        ok, err = wait(OP_SENT, number, self.send_timeout)
        if not ok then
            return nil, err
        end
    end
    return #data
end

local function gone(self, data, err, partial)
    if data == nil and err ~= "timeout" then
        self.number = nil
    end
    return data, err, partial
end

function tcp.receive(self, pattern)
    expect_self(self, "receive")
    local mode
    if pattern == nil then
        mode = -1
    else
        local kind = type(pattern)
        if kind == "number" then
            mode = floor(pattern)
        elseif pattern == "*l" or pattern == "l" then
            mode = -1
        elseif pattern == "*a" or pattern == "a" then
            mode = -2
        elseif kind == "string" and tonumber(pattern) then
            mode = floor(tonumber(pattern))
        elseif kind == "string" then
            bad_argument(1, "bad pattern argument: " .. pattern, 2)
        else
            bad_argument(1, "bad pattern argument: string or number expected, got " .. kind, 2)
        end
        if mode < 0 and kind == "number" then
            bad_argument(1, "bad pattern argument: bad number", 2)
        end
    end
    local number, err = open_number(self)
    if not number then
        return nil, err
    end
    if mode == 0 then
        return ""
    end
    local data = try_receive(number, mode)
    if data then
        return data
    end
    return gone(self, wait(OP_RECEIVE, number, mode, self.read_timeout))
end

function tcp.receiveany(self, max)
    expect_self(self, "receiveany")
    local n = tonumber(max)
    if not n then
        bad_argument(1, "bad max argument: number expected", 2)
    end
    if n < 1 then
        bad_argument(1, "bad max argument: bad number", 2)
    end
    local number, err = open_number(self)
    if not number then
        return nil, err
    end
    return gone(self, wait(OP_ANY, number, floor(n), self.read_timeout))
end

function tcp.receiveuntil(self, pattern, options)
    expect_self(self, "receiveuntil")
    if type(pattern) ~= "string" then
        if type(pattern) ~= "number" then
            bad_argument(1, "string expected, got " .. (pattern == nil and "nil" or type(pattern)), 2)
        end
        pattern = tostring(pattern)
    end
    if pattern == "" then
        return nil, "pattern is empty"
    end
    local inclusive = false
    if options ~= nil then
        if type(options) ~= "table" then
            bad_argument(2, "table expected, got " .. type(options), 2)
        end
        inclusive = options.inclusive
        if inclusive ~= nil and type(inclusive) ~= "boolean" then
            bad_argument(2, "bad \"inclusive\" option value type: " .. type(inclusive), 2)
        end
        inclusive = inclusive or false
    end
    local reached = false -- the pattern came with the last piece of a read by size
    return function(size)
        local number, err = open_number(self)
        if not number then
            return nil, err
        end
        if size == nil then
            size = 0
        else
            size = tonumber(size)
            if not size then
                error("bad argument #1 to iterator (number expected)", 2)
            end
            if size == 0 then
                return ""
            elseif size < 0 then
                size = 0
            end
        end
        if reached then
            reached = false
            return nil, nil, nil
        end
        local data, done, partial = wait(OP_UNTIL, number, pattern, inclusive, size, self.read_timeout)
        if data == nil then
            return gone(self, nil, done, partial)
        end
        if size > 0 and done then
            if data == "" then
                return nil, nil, nil
            end
            reached = true
        end
        return data
    end
end

function tcp.close(self)
    expect_self(self, "close")
    local number = self.number
    if not number then
        return nil, "closed"
    end
    self.number = nil
    if not close(number) then
        return nil, "closed"
    end
    return 1
end

function tcp.setkeepalive(self, timeout, size)
    expect_self(self, "setkeepalive")
    local number = self.number
    if not number then
        return nil, "closed"
    end
    timeout = milliseconds(timeout, "setkeepalive") or -1
    size = milliseconds(size, "setkeepalive") or self.size or 0
    self.number = nil
    local err = keepalive(number, timeout, size)
    if err then
        return nil, err
    end
    return 1
end

function tcp.getreusedtimes(self)
    expect_self(self, "getreusedtimes")
    if not self.number then
        return nil, "closed"
    end
    return self.reused
end

function tcp.setoption(self, option, value)
    expect_self(self, "setoption")
    error("tcpsock:setoption is not supported by pyresty yet", 2)
end

function tcp.sslhandshake(self)
    error("tcpsock:sslhandshake is not supported by pyresty yet", 2)
end

local socket = {}

function socket.tcp()
    rt.require_phase(PHASES, 2)
    return setmetatable({ connect_timeout = 0, send_timeout = 0, read_timeout = 0 }, meta)
end

function socket.connect(host, port, options)
    local sock = socket.tcp()
    local ok, err = sock:connect(host, port, options)
    if not ok then
        return nil, err
    end
    return sock
end

socket.stream = socket.tcp

function socket.udp()
    error("ngx.socket.udp is not supported by pyresty yet", 2)
end

rawset(ngx, "socket", socket)
