-- What all stream sockets have, connected by us or the client's own: timeouts, reading and sending. Methods for the metatables of
-- socket.lua and req_socket.lua, and their checks. https://github.com/openresty/lua-nginx-module#ngxsockettcp
-- A socket object is a table; what it stands for is Python's, known by a number. Calls that find what they want return it at once; the
-- others wait for an operation.

local rt = ...

local type, error, tostring, tonumber, select, setmetatable = type, error, tostring, tonumber, select, setmetatable
local floor, ceil = math.floor, math.ceil
local sub, find = string.sub, string.find
local bad_argument, check_string = rt.bad_argument, rt.check_string
local wait, py, ops = rt.wait, rt.py, rt.ops

local OP_READ, OP_SENT = ops.read, ops.sent
local try_send, try_line, try_receive, try_any, try_until =
    py.socket_send, py.socket_line, py.socket_receive, py.socket_any, py.socket_until
local refused = py.socket_refused

-- The fields of a socket object, where OpenResty has them.
local NUMBER, CONNECT_TIMEOUT, SEND_TIMEOUT, READ_TIMEOUT = 1, 2, 4, 5

-- What Python answers instead of data (api/socket.py).
local BAD_REQUEST, WAIT = -2, -6
local REFUSED = {
    [-1] = "closed", [-3] = "socket busy connecting", [-4] = "socket busy reading", [-5] = "socket busy writing",
    [-7] = "socket busy",
}

local PHASES = rt.phases(rt.YIELDING)

local stream = {}
local io = { stream = stream, WAIT = WAIT, PHASES = PHASES }
rt.socket_io = io

-- The function that makes socket objects with these methods: ngx.socket.tcp, ngx.socket.udp.
function io.maker(methods)
    methods.__index = methods
    return function(...)
        local n = select("#", ...)
        if n ~= 0 then
            error("expecting zero arguments, but got " .. n, 2)
        end
        rt.require_phase(PHASES, 2)
        return setmetatable({}, methods)
    end
end

-- Check a call of a method: its number of arguments, the object counted; its phase, where only `phases` may call it; and the object.
local function check(self, n, least, most, expecting, phases)
    if n < least or n > most then
        error(expecting .. n, 3)
    end
    if phases then
        rt.require_phase(phases, 3)
    end
    if type(self) ~= "table" then
        bad_argument(1, "table expected, got " .. type(self), 3)
    end
end
io.check = check

-- (To be called as a tail call: then level 2 is the user's call.)
local function refuse(code)
    if code == BAD_REQUEST then
        error("bad request", 2)
    end
    return nil, REFUSED[code]
end
io.refuse = refuse

local function is_number(value)
    local kind = type(value)
    return kind == "number" or kind == "string" and tonumber(value) ~= nil
end
io.is_number = is_number

-- lua_tointeger
local function to_integer(value)
    value = tonumber(value)
    return value < 0 and ceil(value) or floor(value)
end
io.to_integer = to_integer

-- The port that a number or numeric string is; or nil and what is wrong with it.
function io.to_port(value)
    local port = to_integer(value)
    if port < 0 or port > 65535 then
        return nil, "bad port number: " .. port
    end
    return port
end

local function milliseconds(value)
    local n = is_number(value) and to_integer(value) or 0
    if n < 0 or n >= 2147483648 then
        error("bad timeout value", 3)
    end
    return n
end
io.milliseconds = milliseconds

function stream.settimeout(...)
    local self, timeout = ...
    check(self, select("#", ...), 2, 2, "ngx.socket settimeout: expecting 2 arguments (including the object) but seen ")
    timeout = milliseconds(timeout)
    self[CONNECT_TIMEOUT], self[SEND_TIMEOUT], self[READ_TIMEOUT] = timeout, timeout, timeout
end

function stream.settimeouts(...)
    local self, connect, send, read = ...
    check(self, select("#", ...), 4, 4, "ngx.socket settimeouts: expecting 4 arguments (including the object) but seen ")
    self[CONNECT_TIMEOUT], self[SEND_TIMEOUT], self[READ_TIMEOUT] = milliseconds(connect), milliseconds(send), milliseconds(read)
end

-- What send was given, as a string; or nil and what is wrong with it.
local function to_text(data)
    local kind = type(data)
    if kind == "string" then
        return data
    elseif kind == "number" or kind == "boolean" or kind == "nil" then
        return data == 0 and "0" or tostring(data)
    elseif kind == "table" then
        return rt.joined(data)
    end
    return nil, "string, number, boolean, nil, or array table expected, got " .. kind
end
io.to_text = to_text

function stream.send(...)
    local self, data = ...
    check(self, select("#", ...), 2, 2, "expecting 2 arguments (including the object), but got ")
    local number = self[NUMBER] or 0
    if type(data) ~= "string" then
        local wrong
        data, wrong = to_text(data)
        if wrong then
            local code = refused(number, false)
            if code ~= 0 then
                return refuse(code)
            end
            bad_argument(2, wrong)
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

-- The results of receive and receiveany: what came at once, or what comes. (To be called as a tail call, for refuse.)
local function received(self, number, data, err, partial)
    if type(data) == "string" then
        return data
    elseif not data then
        return nil, err, partial
    elseif data == WAIT then
        return wait(OP_READ, number, self[READ_TIMEOUT] or 0)
    end
    return refuse(data)
end

function stream.receive(...)
    local self, pattern = ...
    local n = select("#", ...)
    check(self, n, 1, 2, "expecting 1 or 2 arguments (including the object), but got ")
    local number = self[NUMBER] or 0
    local mode = LINE
    if n ~= 1 and pattern ~= "*l" then
        local wrong
        mode, wrong = read_mode(pattern)
        if not mode or mode == 0 then
            local code = refused(number, true)
            if code ~= 0 then
                return refuse(code)
            elseif mode then
                return ""
            end
            bad_argument(2, wrong)
        end
    end
    if mode == LINE then
        return received(self, number, try_line(number))
    end
    return received(self, number, try_receive(number, mode))
end

function stream.receiveany(...)
    local self, max = ...
    check(self, select("#", ...), 2, 2, "expecting 2 arguments (including the object), but got ")
    local number = self[NUMBER] or 0
    if not is_number(max) or to_integer(max) <= 0 then
        local code = refused(number, true)
        if code ~= 0 then
            return refuse(code)
        end
        bad_argument(2, "bad max argument")
    end
    return received(self, number, try_any(number, to_integer(max)))
end

function stream.receiveuntil(...)
    local n = select("#", ...)
    local self, pattern, options = ...
    check(self, n, 2, 3, "expecting 2 or 3 arguments (including the object), but got ")
    local inclusive = false
    if n == 3 then
        if type(options) ~= "table" then
            bad_argument(3, "table expected, got " .. type(options))
        end
        inclusive = options.inclusive
        if inclusive ~= nil and type(inclusive) ~= "boolean" then
            error("bad \"inclusive\" option value type: " .. type(inclusive), 2)
        end
        inclusive = inclusive or false
    end
    pattern = check_string(pattern, 2)
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
                bad_argument(1, "number expected, got " .. type(size))
            end
            size = to_integer(size)
            if size < 0 then
                size = 0
            end
        end
        local number = self[NUMBER] or 0
        if reached and refused(number, true) == 0 then
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

-- The number of a socket for a method that asks for no connection, but for there having been one; `self` is its object.
local function connected_once(self)
    local number = self[NUMBER]
    if not number then
        error("socket is never created nor connected", 3)
    end
    return number
end
io.connected_once = connected_once

function stream.setoption(self, option, value)
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

function stream.getoption(self, option)
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

function stream.getfd(self)
    if not self then
        error("ngx.socket getfd: expecting the cosocket object, but seen none", 2)
    end
    local fd = py.socket_fd(connected_once(self))
    if fd < 0 then
        return refuse(fd)
    end
    return fd
end
