-- ngx.socket.udp. https://github.com/openresty/lua-nginx-module#ngxsocketudp

local rt = ...

local type, error, tostring, setmetatable, select, tonumber = type, error, tostring, setmetatable, select, tonumber
local find = string.find
local wait, py = rt.wait, rt.py
local io = rt.socket_io
local argument_error, refuse, to_integer, WAIT = io.argument_error, io.refuse, io.to_integer, io.WAIT
local OP_CONNECT, OP_READ = rt.ops.udp_connect, rt.ops.udp_read

local PHASES = rt.phases(rt.YIELDING)

-- The fields of a socket object, where OpenResty has them; the largest datagram in bytes.
local NUMBER, TIMEOUT, LOCAL = 1, 2, 3
local LARGEST = 65536

local udp = {}
local meta = { __index = udp }

local function check_object(self)
    if type(self) ~= "table" then
        argument_error(1, "table expected, got " .. type(self), 3)
    end
end

local function check_address(value)
    if type(value) ~= "string" and type(value) ~= "number" then
        argument_error(2, "string expected, got " .. type(value), 3)
    end
    return tostring(value)
end

function udp.setpeername(...)
    local n = select("#", ...)
    if n ~= 2 and n ~= 3 then
        error("ngx.socket.udp setpeername: expecting 2 or 3 arguments (including the object), but seen " .. n, 2)
    end
    rt.require_phase(PHASES, 2)
    local self, host, port = ...
    check_object(self)
    host = check_address(host)
    if n == 3 then
        if not io.is_number(port) then
            argument_error(3, "number expected, got " .. type(port))
        end
        port = to_integer(port)
        if port < 0 or port > 65535 then
            return nil, "bad port number: " .. port
        end
    end
    local code, number = py.udp_open(self[NUMBER] or 0)
    if code < 0 then
        return refuse(code)
    end
    self[NUMBER] = number
    return wait(OP_CONNECT, number, host, port or 0, self[LOCAL])
end

function udp.bind(...)
    local n = select("#", ...)
    if n ~= 2 then
        error("expecting 2 arguments, but got " .. n, 2)
    end
    rt.require_phase(PHASES, 2)
    local self, address = ...
    check_object(self)
    address = check_address(address)
    if not py.socket_bind(address) then
        return nil, "bad address"
    end
    self[LOCAL] = find(address, ":", 1, true) and "[" .. address .. "]" or address
    return 1
end

function udp.settimeout(...)
    local n = select("#", ...)
    if n ~= 2 then
        error("ngx.socket settimeout: expecting at least 2 arguments (including the object) but seen " .. n, 2)
    end
    local self, timeout = ...
    check_object(self)
    self[TIMEOUT] = tonumber(timeout) and to_integer(timeout) or 0
end

function udp.send(...)
    local n = select("#", ...)
    if n ~= 2 then
        error("expecting 2 arguments (including the object), but got " .. n, 2)
    end
    local self, data = ...
    check_object(self)
    local code = py.udp_check(self[NUMBER] or 0, "send")
    if code < 0 then
        return refuse(code)
    end
    local text, wrong = io.to_text(data)
    if wrong then
        argument_error(2, wrong)
    end
    local ok, err = py.udp_send(self[NUMBER], text)
    if not ok then
        return nil, err
    end
    return 1
end

function udp.receive(...)
    local n = select("#", ...)
    if n ~= 1 and n ~= 2 then
        error("expecting 1 or 2 arguments (including the object), but got " .. n, 2)
    end
    local self, size = ...
    check_object(self)
    local number = self[NUMBER] or 0
    local code = py.udp_check(number, "receive")
    if code < 0 then
        return refuse(code)
    end
    if size ~= nil and not tonumber(size) then
        argument_error(2, "number expected, got " .. type(size))
    end
    size = size and to_integer(size) or LARGEST
    if size < 0 or size > LARGEST then
        size = LARGEST
    end
    local data, err = py.udp_receive(number, size)
    if data == WAIT then
        return wait(OP_READ, number, size, self[TIMEOUT] or 0)
    elseif not data then
        return nil, err
    end
    return data
end

function udp.close(...)
    local n = select("#", ...)
    if n ~= 1 then
        error("expecting 1 argument (including the object) but seen " .. n, 2)
    end
    local self = ...
    check_object(self)
    local code = py.udp_close(self[NUMBER] or 0)
    if code < 0 then
        return refuse(code)
    end
    return 1
end

function ngx.socket.udp(...)
    local n = select("#", ...)
    if n ~= 0 then
        error("expecting zero arguments, but got " .. n, 2)
    end
    rt.require_phase(PHASES, 2)
    return setmetatable({}, meta)
end
