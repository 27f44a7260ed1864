-- ngx.ssl.proxysslcert, ngx.ssl.proxysslverify, ngx.proxyssl.
-- https://github.com/openresty/lua-resty-core/blob/master/lib/ngx/ssl/proxysslcert.md

local rt = ...

local error, pairs = error, pairs
local py = rt.py

local certificate = {}

function certificate.clear_certs()
    rt.require_request(2)
    return py.proxy_ssl_clear()
end

-- Set what has been found, or answer with why there is nothing.
local function set_certificate(pem, err)
    if not pem then
        return nil, err
    end
    return py.proxy_ssl_set(pem, nil)
end

local function set_key(pem, err)
    if not pem then
        return nil, err
    end
    return py.proxy_ssl_set(nil, pem)
end

function certificate.set_cert(cert)
    rt.require_request(2)
    return set_certificate(rt.certificate_pem(cert), "invalid certificate chain")
end

function certificate.set_priv_key(key)
    rt.require_request(2)
    return set_key(rt.private_key_pem(key), "invalid private key")
end

function certificate.set_der_cert(der)
    rt.require_request(2)
    return set_certificate(py.ssl_cert_der_to_pem(der))
end

function certificate.set_der_priv_key(der)
    rt.require_request(2)
    return set_key(py.ssl_key_der_to_pem(der))
end

local verify = {}

local function verifying()
    local r = rt.require_request(3)
    if r.phase ~= "proxy_ssl_verify" then
        error("API disabled in the current context", 3)
    end
end

function verify.set_verify_result(result)
    verifying()
    return py.proxy_ssl_result(result)
end

function verify.get_verify_result()
    verifying()
    return py.proxy_ssl_result(nil)
end

rt.unsupported = rt.unsupported or {}
rt.unsupported["ngx.ssl.proxysslverify.get_verify_cert"] = true
function verify.get_verify_cert()
    verifying()
    error("ngx.ssl.proxysslverify.get_verify_cert is not supported by pyresty: Python's ssl does not give OpenSSL's objects away", 2)
end

local NAMES = { [0x300] = "SSLv3", [0x301] = "TLSv1", [0x302] = "TLSv1.1", [0x303] = "TLSv1.2", [0x304] = "TLSv1.3" }

local version = {
    SSL3_VERSION = 0x300, TLS1_VERSION = 0x301, TLS1_1_VERSION = 0x302, TLS1_2_VERSION = 0x303, TLS1_3_VERSION = 0x304,
}

function version.get_tls1_version()
    rt.require_request(2)
    return py.proxy_ssl_version()
end

function version.get_tls1_version_str()
    rt.require_request(2)
    local number, err = py.proxy_ssl_version()
    if not number then
        return nil, err
    end
    return NAMES[number]
end

for name, module in pairs({ ["ngx.ssl.proxysslcert"] = certificate, ["ngx.ssl.proxysslverify"] = verify, ["ngx.proxyssl"] = version }) do
    package.preload[name] = function()
        module.version = require("resty.core.base").version
        return module
    end
end
