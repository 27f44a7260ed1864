-- TLS on cosockets. https://github.com/openresty/lua-nginx-module#tcpsocksslhandshake
-- A session is a cdata that holds a number of Python's; its finalizer gives the number back.

local rt = ...

local type, error, select, tostring, tonumber = type, error, select, tostring, tonumber
local ffi = require("ffi")
local cast, gc = ffi.cast, ffi.gc
local wait, py = rt.wait, rt.py
local OP_SSLHANDSHAKE = rt.ops.sslhandshake
local tcp, connected_once = rt.tcp, rt.socket_io.connected_once

-- The fields of a socket object (socket.lua), where OpenResty has them.
local CONNECT_TIMEOUT, CLIENT_CERT, CLIENT_KEY, STORE = 2, 6, 7, 10

local REFUSED = {
    [-1] = "closed", [-2] = "bad request", [-3] = "socket busy connecting", [-4] = "socket busy reading",
    [-5] = "socket busy writing",
}

local function number_of(pointer)
    return tonumber(cast("uintptr_t", pointer))
end

local function free(pointer)
    py.ssl_free_session(number_of(pointer))
end

-- The cdata for a session of Python's; for 0 none.
local function session_object(number)
    if number == 0 then
        return nil
    end
    return gc(cast("void *", number), free)
end

function tcp.sslhandshake(self, reused, name, verify, status, ...)
    local n = select("#", ...)
    if not self or n > 0 then
        error("ngx.socket sslhandshake: expecting 1 ~ 5 arguments (including the object), but seen " .. (self and 5 + n or 0), 2)
    end
    local number = connected_once(self)
    local code = py.socket_secured(number)
    if code < 0 then
        return nil, REFUSED[code]
    end
    local given = type(reused) == "cdata" and reused ~= nil
    local wanted = reused ~= false
    if code == 1 then
        if given then
            return reused
        elseif not wanted then
            return true
        end
        return session_object(py.socket_session(number, false) or 0)
    end
    if status then
        return nil, "no OCSP support"
    end
    local cert, key = self[CLIENT_CERT], self[CLIENT_KEY]
    if cert then
        cert, key = rt.certificate_pem(cert), rt.private_key_pem(key)
        if not cert then
            return nil, "invalid client certificate chain"
        elseif not key then
            return nil, "ssl set client private key failed"
        end
    end
    local store = self[STORE]
    local saved, err = wait(OP_SSLHANDSHAKE, number, given and number_of(reused) or 0, given or wanted, name or nil,
        verify and true or false, cert, key, self[CONNECT_TIMEOUT] or 0, verify and store and number_of(store) or 0)
    self[STORE] = nil
    if not saved then
        return nil, err
    elseif not wanted then
        return true
    end
    return session_object(saved)
end

function tcp.getsslsession(self)
    if not self then
        error("ngx.socket getfd: expecting the cosocket object, but seen none", 2)
    end
    local saved, err = py.socket_session(connected_once(self), true)
    if not saved then
        return nil, err
    end
    return session_object(saved)
end

function tcp.setclientcert(self, cert, key)
    if not cert and not key then
        self[CLIENT_CERT], self[CLIENT_KEY] = nil, nil
        return true
    elseif not cert or not key then
        return nil, "client certificate must be supplied with corresponding private key"
    elseif type(cert) ~= "cdata" then
        return nil, "bad cert arg: cdata expected, got " .. type(cert)
    elseif type(key) ~= "cdata" then
        return nil, "bad pkey arg: cdata expected, got " .. type(key)
    end
    self[CLIENT_CERT], self[CLIENT_KEY] = cert, key
    return true
end

function tcp.settrustedstore(self, store)
    if store ~= nil and type(store) ~= "cdata" then
        return nil, "bad store arg: cdata expected, got " .. type(store)
    end
    local code = py.socket_secured(connected_once(self))
    if code < 0 then
        return nil, REFUSED[code]
    elseif code == 1 then
        return nil, "ssl handshake already done; trusted store cannot be changed on an established TLS connection"
    end
    self[STORE] = store
    return true
end

local function pointer_getter(context)
    return function(self)
        if not self then
            error("ngx.socket getfd: expecting the cosocket object, but seen none", 2)
        end
        local pointer, err = py.socket_ssl_pointer(connected_once(self), context)
        if not pointer then
            return nil, err
        end
        return cast("void *", pointer)
    end
end

tcp.getsslpointer, tcp.getsslctx = pointer_getter(false), pointer_getter(true)

-- For lualib: a text that tells certificates with their keys apart.
package.preload["pyresty.tls"] = function()
    return {
        identity = function(cert, key)
            return ngx.md5((rt.certificate_pem(cert) or tostring(cert)) .. (rt.private_key_pem(key) or tostring(key)))
        end,
    }
end
