-- ngx.socket.tcp. https://github.com/openresty/lua-nginx-module#ngxsockettcp
-- A socket object is a table; what it stands for is Python's, known by a number. Calls that find what they want return it at once; the
-- others wait for an operation.

local rt = ...

local type, rawset, error, tostring, tonumber, setmetatable, select, next, floor, ceil =
    type, rawset, error, tostring, tonumber, setmetatable, select, next, math.floor, math.ceil
local concat, sub, lower, find = table.concat, string.sub, string.lower, string.find
local getinfo = debug.getinfo
local wait, py, ops = rt.wait, rt.py, rt.ops

local OP_CONNECT, OP_READ, OP_SENT = ops.connect, ops.read, ops.sent
local try_connect, try_send, try_line, try_receive, try_any, try_until =
    py.socket_connect, py.socket_send, py.socket_line, py.socket_receive, py.socket_any, py.socket_until
local check_read, check_send, close, keepalive = py.socket_check_read, py.socket_check_send, py.socket_close, py.socket_keepalive

local PHASES = rt.phases("rewrite access content timer")

-- The fields of a socket object, where OpenResty has them.
local NUMBER, CONNECT_TIMEOUT, KEY, SEND_TIMEOUT, READ_TIMEOUT, LOCAL = 1, 2, 3, 4, 5, 8

-- What Python answers instead of data (api/socket.py).
local BAD_REQUEST, WAIT = -2, -6
local REFUSED = {
    [-1] = "closed", [-3] = "socket busy connecting", [-4] = "socket busy reading", [-5] = "socket busy writing",
}

local tcp = {}
local meta = { __index = tcp }

-- Raise an argument error as luaL_argerror words it; n counts the object, which in a method call is no argument.
local function argument_error(n, message)
    local info = getinfo(2, "n")
    local name = info.name or "?"
    if info.namewhat == "method" then
        n = n - 1
        if n == 0 then
            error("calling '" .. name .. "' on bad self (" .. message .. ")", 3)
        end
    end
    error("bad argument #" .. n .. " to '" .. name .. "' (" .. message .. ")", 3)
end

local function typename(value, n, count)
    return n > count and "no value" or type(value)
end

-- (To be called as a tail call: then level 2 is the user's call.)
local function refuse(code)
    if code == BAD_REQUEST then
        error("bad request", 2)
    end
    return nil, REFUSED[code]
end

local function is_number(value)
    local kind = type(value)
    return kind == "number" or kind == "string" and tonumber(value) ~= nil
end

-- lua_tointeger
local function to_integer(value)
    value = tonumber(value)
    return value < 0 and ceil(value) or floor(value)
end

local function milliseconds(value)
    local n = is_number(value) and to_integer(value) or 0
    if n < 0 or n >= 2147483648 then
        error("bad timeout value", 3)
    end
    return n
end

function tcp.settimeout(...)
    local n = select("#", ...)
    if n ~= 2 then
        error("ngx.socket settimeout: expecting 2 arguments (including the object) but seen " .. n, 2)
    end
    local self, timeout = ...
    timeout = milliseconds(timeout)
    self[CONNECT_TIMEOUT], self[SEND_TIMEOUT], self[READ_TIMEOUT] = timeout, timeout, timeout
end

function tcp.settimeouts(...)
    local n = select("#", ...)
    if n ~= 4 then
        error("ngx.socket settimeouts: expecting 4 arguments (including the object) but seen " .. n, 2)
    end
    local self, connect, send, read = ...
    self[CONNECT_TIMEOUT], self[SEND_TIMEOUT], self[READ_TIMEOUT] = milliseconds(connect), milliseconds(send), milliseconds(read)
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

-- The strings of a nested array, in order; or nil and what is wrong with it.
local function collect(value, parts)
    local max = 0
    for key in next, value do
        if type(key) ~= "number" or key < 1 or floor(key) ~= key then
            return nil, "non-array table found"
        elseif key > max then
            max = key
        end
    end
    for i = 1, max do
        local item = value[i]
        local kind = type(item)
        if kind == "string" then
            parts[#parts + 1] = item
        elseif kind == "number" then
            parts[#parts + 1] = tostring(item)
        elseif kind == "table" then
            local ok, err = collect(item, parts)
            if not ok then
                return nil, err
            end
        else
            return nil, "bad data type " .. kind .. " found"
        end
    end
    return parts
end

function tcp.send(...)
    local n = select("#", ...)
    if n ~= 2 then
        error("expecting 2 arguments (including the object), but got " .. n, 2)
    end
    local self, data = ...
    local kind = type(data)
    if type(self) ~= "table" then
        argument_error(1, "table expected, got " .. type(self))
    end
    local number = self[NUMBER] or 0
    if kind ~= "string" then
        local wrong
        if kind == "number" or kind == "boolean" or kind == "nil" then
            data = tostring(data)
        elseif kind == "table" then
            data, wrong = collect(data, {})
            data = data and concat(data)
        else
            wrong = "string, number, boolean, nil, or array table expected, got " .. kind
        end
        if wrong then
            local code = check_send(number)
            if code ~= 0 then
                return refuse(code)
            end
            argument_error(2, wrong)
        end
    end
    local sent, err = try_send(number, data)
    if not sent then
        return nil, err
    elseif sent >= 0 then
        return sent
    elseif sent ~= WAIT then
        return refuse(sent)
    end
    sent, err = wait(OP_SENT, number, self[SEND_TIMEOUT] or 0)
    if not sent then
        return nil, err
    end
    return #data
end

local LINE, ALL = -1, -2
local PATTERNS = { ["*l"] = LINE, ["*a"] = ALL }

-- The size or pattern of receive; or nil and what is wrong with it.
local function read_mode(pattern)
    if is_number(pattern) then
        local size = to_integer(pattern)
        if size < 0 then
            return nil, "bad number argument"
        end
        return size
    elseif type(pattern) ~= "string" then
        return nil, "bad argument"
    end
    local mode = PATTERNS[pattern]
    if mode then
        return mode
    elseif #pattern == 2 and sub(pattern, 1, 1) == "*" then
        return nil, "bad pattern argument"
    end
    return nil, "bad pattern argument: " .. sub(pattern, 1, (find(pattern, "\0", 1, true) or 0) - 1)
end

function tcp.receive(...)
    local n = select("#", ...)
    local self, pattern = ...
    local mode = LINE
    if n ~= 1 then
        if n ~= 2 then
            error("expecting 1 or 2 arguments (including the object), but got " .. n, 2)
        end
        if pattern ~= "*l" then
            local wrong
            mode, wrong = read_mode(pattern)
            if not mode or mode == 0 then
                local code = check_read(self[NUMBER] or 0)
                if code ~= 0 then
                    return refuse(code)
                elseif mode then
                    return ""
                end
                argument_error(2, wrong)
            end
        end
    end
    if type(self) ~= "table" then
        argument_error(1, "table expected, got " .. type(self))
    end
    local number = self[NUMBER] or 0
    local data, err, partial
    if mode == LINE then
        data, err, partial = try_line(number)
    else
        data, err, partial = try_receive(number, mode)
    end
    if type(data) == "string" then
        return data
    elseif not data then
        return nil, err, partial
    elseif data == WAIT then
        return wait(OP_READ, number, self[READ_TIMEOUT] or 0)
    end
    return refuse(data)
end

function tcp.receiveany(...)
    local n = select("#", ...)
    if n ~= 2 then
        error("expecting 2 arguments (including the object), but got " .. n, 2)
    end
    local self, max = ...
    if type(self) ~= "table" then
        argument_error(1, "table expected, got " .. type(self))
    end
    local number = self[NUMBER] or 0
    if not is_number(max) or to_integer(max) <= 0 then
        local code = check_read(number)
        if code ~= 0 then
            return refuse(code)
        end
        argument_error(2, "bad max argument")
    end
    local data, err, partial = try_any(number, to_integer(max))
    if type(data) == "string" then
        return data
    elseif not data then
        return nil, err, partial
    elseif data == WAIT then
        return wait(OP_READ, number, self[READ_TIMEOUT] or 0)
    end
    return refuse(data)
end

function tcp.receiveuntil(...)
    local n = select("#", ...)
    if n ~= 2 and n ~= 3 then
        error("expecting 2 or 3 arguments (including the object), but got " .. n, 2)
    end
    local self, pattern, options = ...
    local inclusive = false
    if n == 3 then
        if type(options) ~= "table" then
            argument_error(3, "table expected, got " .. type(options))
        end
        inclusive = options.inclusive
        if inclusive ~= nil and type(inclusive) ~= "boolean" then
            error("bad \"inclusive\" option value type: " .. type(inclusive), 2)
        end
        inclusive = inclusive or false
    end
    if type(self) ~= "table" then
        argument_error(1, "table expected, got " .. type(self))
    end
    if type(pattern) ~= "string" then
        if type(pattern) ~= "number" then
            argument_error(2, "string expected, got " .. type(pattern))
        end
        pattern = tostring(pattern)
    end
    if pattern == "" then
        return nil, "pattern is empty"
    end
    local reached = false -- a read by size has come to the pattern: the next one says so

    local function deliver(sized, data, done, partial)
        if not data then
            return nil, done, partial
        end
        reached = sized and done
        return data
    end

    return function(...)
        local count = select("#", ...)
        if count > 1 then
            error("expecting 0 or 1 argument, but seen " .. count, 2)
        end
        local size = 0
        if count == 1 then
            size = ...
            if not is_number(size) then
                argument_error(1, "number expected, got " .. type(size))
            end
            size = to_integer(size)
            if size < 0 then
                size = 0
            end
        end
        local number = self[NUMBER] or 0
        if reached and check_read(number) == 0 then
            reached = false
            return nil, nil, nil
        end
        local data, done, partial = try_until(number, pattern, inclusive, size)
        if type(data) == "number" then
            if data == WAIT then
                return deliver(size > 0, wait(OP_READ, number, self[READ_TIMEOUT] or 0))
            end
            return refuse(data)
        end
        return deliver(size > 0, data, done, partial)
    end
end

function tcp.close(...)
    local n = select("#", ...)
    if n ~= 1 then
        error("expecting 1 argument (including the object) but seen " .. n, 2)
    end
    local self = ...
    if type(self) ~= "table" then
        argument_error(1, "table expected, got " .. type(self))
    end
    local code = close(self[NUMBER] or 0)
    if code == 1 then
        return 1
    end
    return refuse(code)
end

function tcp.setkeepalive(...)
    local n = select("#", ...)
    if n < 1 or n > 3 then
        error("expecting 1 to 3 arguments (including the object), but got " .. n, 2)
    end
    local self, timeout, size = ...
    if type(self) ~= "table" then
        argument_error(1, "table expected, got " .. type(self))
    end
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
    local n = select("#", ...)
    if n ~= 1 then
        error("expecting 1 argument (including the object), but got " .. n, 2)
    end
    local self = ...
    if type(self) ~= "table" then
        argument_error(1, "table expected, got " .. type(self))
    end
    local times = py.socket_reused(self[NUMBER] or 0)
    if times < 0 then
        return refuse(times)
    end
    return times
end

local function connected_once(self)
    local number = self[NUMBER]
    if not number then
        error("socket is never created nor connected", 3)
    end
    return number
end

function tcp.setoption(self, option, value)
    if option == nil then
        return nil, "missing the \"option\" argument"
    elseif value == nil then
        return nil, "missing the \"value\" argument"
    end
    local number = connected_once(self)
    if type(value) == "boolean" then
        value = value and 1 or 0
    elseif type(value) ~= "number" then
        error("bad argument #3 to 'setoption' (cannot convert '" .. type(value) .. "' to 'int')", 2)
    end
    local code, err = py.socket_option(number, tostring(option), to_integer(value))
    if code == 1 then
        return true
    elseif not code then
        return nil, err
    end
    return refuse(code)
end

function tcp.getoption(self, option)
    local number = connected_once(self)
    if option == nil then
        return nil, "missing the \"option\" argument"
    end
    local value, err = py.socket_option(number, tostring(option), nil)
    if not value then
        return nil, err
    elseif value < 0 then
        return refuse(value)
    end
    return value
end

function tcp.getfd(self)
    if not self then
        error("ngx.socket getfd: expecting the cosocket object, but seen none", 2)
    end
    local fd = py.socket_fd(connected_once(self))
    if fd < 0 then
        return refuse(fd)
    end
    return fd
end

for _, name in ipairs({ "sslhandshake", "setclientcert", "settrustedstore", "getsslpointer", "getsslctx", "getsslsession" }) do
    tcp[name] = function()
        error("tcpsock:" .. name .. " is not supported by pyresty yet", 2)
    end
end

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

function socket.udp()
    error("ngx.socket.udp is not supported by pyresty yet", 2)
end

rawset(ngx, "socket", socket)

function ngx.req.socket()
    error("ngx.req.socket is not supported by pyresty yet", 2)
end
