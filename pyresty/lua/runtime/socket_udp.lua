-- ngx.socket.udp. https://github.com/openresty/lua-nginx-module#ngxsocketudp

local rt = ...

local select, tonumber = select, tonumber
local wait, py, bad_argument, check_string, check_number = rt.wait, rt.py, rt.bad_argument, rt.check_string, rt.check_number
local io = rt.socket_io
local PHASES = io.PHASES
local check, refuse, to_integer, WAIT = io.check, io.refuse, io.to_integer, io.WAIT
local OP_CONNECT, OP_READ = rt.ops.udp_connect, rt.ops.udp_read

-- The fields of a socket object, where OpenResty has them; the largest datagram in bytes.
local NUMBER, TIMEOUT, LOCAL = 1, 2, 3
local LARGEST = 65536

local udp = {}

function udp.setpeername(...)
    local n = select("#", ...)
    local self, host, port = ...
    check(self, n, 2, 3, "ngx.socket.udp setpeername: expecting 2 or 3 arguments (including the object), but seen ", PHASES)
    host = check_string(host, 2)
    if n == 3 then
        local wrong
        port, wrong = io.to_port(check_number(port, 3))
        if not port then
            return nil, wrong
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
    local self, address = ...
    check(self, select("#", ...), 2, 2, "expecting 2 arguments, but got ", PHASES)
    address = py.socket_bind("udp", check_string(address, 2), 0)
    if not address then
        return nil, "bad address"
    end
    self[LOCAL] = address
    return 1
end

function udp.settimeout(...)
    local self, timeout = ...
    check(self, select("#", ...), 2, 2, "ngx.socket settimeout: expecting at least 2 arguments (including the object) but seen ")
    self[TIMEOUT] = tonumber(timeout) and to_integer(timeout) or 0
end

function udp.send(...)
    local self, data = ...
    check(self, select("#", ...), 2, 2, "expecting 2 arguments (including the object), but got ")
    local code = py.udp_check(self[NUMBER] or 0, "send")
    if code < 0 then
        return refuse(code)
    end
    local text, wrong = io.to_text(data)
    if wrong then
        bad_argument(2, wrong)
    end
    local ok, err = py.udp_send(self[NUMBER], text)
    if not ok then
        return nil, err
    end
    return 1
end

function udp.receive(...)
    local self, size = ...
    check(self, select("#", ...), 1, 2, "expecting 1 or 2 arguments (including the object), but got ")
    local number = self[NUMBER] or 0
    local code = py.udp_check(number, "receive")
    if code < 0 then
        return refuse(code)
    end
    size = size == nil and LARGEST or to_integer(check_number(size, 2))
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
    local self = ...
    check(self, select("#", ...), 1, 1, "expecting 1 argument (including the object) but seen ")
    local code = py.udp_close(self[NUMBER] or 0)
    if code < 0 then
        return refuse(code)
    end
    return 1
end

ngx.socket.udp = io.maker(udp)
