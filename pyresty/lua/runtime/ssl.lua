-- ngx.ssl, ngx.ssl.clienthello, ngx.ssl.session; and what ngx.ocsp can't do.
-- https://github.com/openresty/lua-resty-core/blob/master/lib/ngx/ssl.md
-- Parsed certificates and keys are C data that hold a number; their PEM stays here under it.

local rt = ...

local ffi = require "ffi"
local error, type, tonumber, ipairs, pairs, sub = error, type, tonumber, ipairs, pairs, string.sub
local py, check_string, check_number = rt.py, rt.check_string, rt.check_number

-- -- certificates and keys as objects

local texts, last = {}, 0

local function forget(object)
    texts[object.number] = nil
end

local function kind(name)
    local ctype = ffi.typeof("struct { int number; int " .. name .. "; }")
    local function make(pem)
        last = last + 1
        texts[last] = pem
        local object = ffi.gc(ctype(last), forget)
        return object
    end
    local function text(object)
        if type(object) == "cdata" and ffi.istype(ctype, object) then
            return texts[object.number]
        end
    end
    return make, text
end

local new_certificate, certificate_pem = kind("certificate")
local new_key, key_pem = kind("key")

-- The PEM of what parse_pem_cert and parse_pem_priv_key have made; nil for anything else.
rt.certificate_pem, rt.private_key_pem = certificate_pem, key_pem

-- -- ngx.ssl

local ssl = {}

local function request()
    if not rt.r or rt.r.phase == "init" then
        error("no request found", 3)
    end
    return rt.r
end

function ssl.clear_certs()
    request()
    return py.ssl_clear_certs()
end

function ssl.set_der_cert(der)
    request()
    check_string(der, 1)
    local pem, err = py.ssl_cert_der_to_pem(der)
    if not pem then
        return nil, err
    end
    return py.ssl_set_cert(pem)
end

function ssl.set_der_priv_key(der)
    request()
    check_string(der, 1)
    local pem, err = py.ssl_key_der_to_pem(der)
    if not pem then
        return nil, err
    end
    return py.ssl_set_key(pem)
end

function ssl.set_cert(certificate)
    request()
    local pem = certificate_pem(certificate)
    if not pem then
        return nil, "invalid certificate chain"
    end
    return py.ssl_set_cert(pem)
end

function ssl.set_priv_key(key)
    request()
    local pem = key_pem(key)
    if not pem then
        return nil, "invalid private key"
    end
    return py.ssl_set_key(pem)
end

function ssl.cert_pem_to_der(pem)
    return py.ssl_cert_pem_to_der(check_string(pem, 1))
end

function ssl.priv_key_pem_to_der(pem, passphrase)
    return py.ssl_key_pem_to_der(check_string(pem, 1), passphrase and check_string(passphrase, 2))
end

function ssl.parse_der_cert(der)
    if type(der) ~= "string" or der == "" then
        return nil, "invalid argument"
    end
    local pem, err = py.ssl_cert_der_to_pem(der)
    if not pem then
        return nil, err
    end
    return new_certificate(pem)
end

function ssl.parse_der_priv_key(der)
    if type(der) ~= "string" or der == "" then
        return nil, "invalid argument"
    end
    local pem, err = py.ssl_key_der_to_pem(der)
    if not pem then
        return nil, err
    end
    return new_key(pem)
end

function ssl.parse_pem_cert(pem)
    local der, err = py.ssl_cert_pem_to_der(check_string(pem, 1))
    if not der then
        return nil, err
    end
    return ssl.parse_der_cert(der)
end

function ssl.parse_pem_priv_key(pem)
    local der, err = py.ssl_key_pem_to_der(check_string(pem, 1))
    if not der then
        return nil, err
    end
    return ssl.parse_der_priv_key(der)
end

function ssl.verify_client(certificates, depth, trusted)
    request()
    local phase = rt.r.phase
    if phase ~= "ssl_certificate" and phase ~= "ssl_client_hello" then
        return nil, "API disabled in the current context"
    end
    return py.ssl_verify_client(certificates and certificate_pem(certificates), trusted and certificate_pem(trusted),
        depth and check_number(depth, 2) or -1)
end

function ssl.server_name()
    request()
    return py.ssl_server_name()
end

function ssl.raw_server_addr()
    request()
    return py.ssl_address(true)
end

function ssl.raw_client_addr()
    request()
    return py.ssl_address(false)
end

function ssl.server_port()
    request()
    return py.ssl_server_port()
end

ssl.SSL3_VERSION, ssl.TLS1_VERSION, ssl.TLS1_1_VERSION, ssl.TLS1_2_VERSION, ssl.TLS1_3_VERSION = 0x300, 0x301, 0x302, 0x303, 0x304

local NAMES = { [0x300] = "SSLv3", [0x301] = "TLSv1", [0x302] = "TLSv1.1", [0x303] = "TLSv1.2", [0x304] = "TLSv1.3" }

function ssl.get_tls1_version()
    request()
    return py.ssl_version()
end

function ssl.get_tls1_version_str()
    request()
    local number, err = py.ssl_version()
    if not number then
        return nil, err
    end
    local name = NAMES[number]
    if not name then
        return nil, "unknown version"
    end
    return name
end

-- At most size bytes of what get answers with; for size 0 how many there are.
local function some(get, size)
    check_number(size, 1, 3)
    local bytes, err = get()
    if not bytes then
        return nil, err
    elseif size == 0 then
        return #bytes
    end
    return sub(bytes, 1, size)
end

function ssl.get_client_random(size)
    request()
    return some(py.ssl_client_random, size or 32)
end

function ssl.get_server_random(size)
    request()
    return some(py.ssl_server_random, size or 32)
end

function ssl.get_session_master_key(size)
    request()
    return some(py.ssl_master_key, size or 48)
end

function ssl.export_keying_material(length, label, context)
    request()
    return py.ssl_keying_material(check_number(length, 1), check_string(label, 2), context and check_string(context, 3))
end

local function numbers(text)
    local list = {}
    for number in text:gmatch("%d+") do
        list[#list + 1] = tonumber(number)
    end
    return list
end

function ssl.get_req_shared_ssl_ciphers(filter_grease)
    request()
    local found, err = py.ssl_shared_ciphers(filter_grease ~= false)
    if not found then
        return nil, err
    end
    return numbers(found)
end

local function pointer(number, err)
    if not number then
        return nil, err
    end
    return ffi.cast("void *", number)
end

function ssl.get_req_ssl_pointer()
    request()
    return pointer(py.ssl_pointer())
end

function ssl.get_upstream_ssl_pointer()
    request()
    return pointer(py.ssl_upstream_pointer())
end

function ssl.ssl_session_reused(object)
    if type(object) ~= "cdata" then
        return nil, "bad ssl"
    end
    return py.ssl_session_reused(tonumber(ffi.cast("uintptr_t", object)))
end

-- -- ngx.ssl.clienthello

local hello = {}

local function in_hello()
    if request().phase ~= "ssl_client_hello" then
        error("API disabled in the current context", 3)
    end
end

function hello.get_client_hello_server_name()
    in_hello()
    return py.ssl_server_name()
end

function hello.get_client_hello_ext(number)
    in_hello()
    return py.ssl_extension(check_number(number, 1))
end

function hello.get_client_hello_ext_present()
    in_hello()
    local list = numbers(py.ssl_extensions())
    if list[1] then
        return list
    end
end

function hello.get_client_hello_ciphers()
    in_hello()
    return numbers(py.ssl_ciphers())
end

function hello.get_supported_versions()
    in_hello()
    local content = py.ssl_extension(43)
    if not content or content == "" or #content - 1 ~= content:byte() then
        return nil
    end
    local found = {}
    for position = #content - 1, 2, -2 do
        local high, low = content:byte(position, position + 1)
        local number = high * 256 + low
        if NAMES[number] or number == 2 then
            found[#found + 1] = NAMES[number] or "SSLv2"
        end
    end
    return found
end

local PROTOCOLS = { SSLv2 = true, SSLv3 = true, TLSv1 = true, ["TLSv1.1"] = true, ["TLSv1.2"] = true, ["TLSv1.3"] = true }

function hello.set_protocols(protocols)
    in_hello()
    for _, name in ipairs(protocols) do
        if not PROTOCOLS[name] then
            return nil, "invalid protocols failed"
        end
    end
    return py.ssl_set_protocols(table.concat(protocols, ","))
end

-- -- ngx.ssl.session

local session = {}

function session.get_session_id()
    request()
    return py.ssl_session_id()
end

function session.get_serialized_session()
    request()
    return py.ssl_session()
end

function session.set_serialized_session(data)
    request()
    return py.ssl_set_session(check_string(data, 1))
end

-- -- what Python's ssl can't do


local function refuse(module, name, why)
    rt.unsupported[module .. "." .. name] = true
    return function()
        error(module .. "." .. name .. " is not supported by pyresty: " .. why, 2)
    end
end

local NO_OCSP = "Python's ssl can't send OCSP responses"
ssl.export_keying_material_early = refuse("ngx.ssl", "export_keying_material_early", "Python's ssl has no early data")

local ocsp = {}
rt.unsupported["ngx.ocsp"] = true
for _, name in ipairs({ "get_ocsp_responder_from_der_chain", "create_ocsp_request", "validate_ocsp_response", "set_ocsp_status_resp" }) do
    ocsp[name] = refuse("ngx.ocsp", name, NO_OCSP)
end

for name, module in pairs({ ["ngx.ssl"] = ssl, ["ngx.ssl.clienthello"] = hello, ["ngx.ssl.session"] = session, ["ngx.ocsp"] = ocsp }) do
    package.preload[name] = function()
        module.version = require("resty.core.base").version
        return module
    end
end
