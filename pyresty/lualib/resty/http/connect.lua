-- Opens the connection of a client: TCP or a unix socket, a tunnel through an HTTP proxy, the TLS handshake.
-- Connections that may stand in for one another share a pool; so the pool's name is made of everything that tells
-- them apart.

local concat, find, gmatch, sub = table.concat, string.find, string.gmatch, string.sub
local type, tostring, pcall, require = type, tostring, pcall, require
local ngx = ngx

local uri = require "resty.http.uri"

local _M = {}


-- True when no_proxy ("*", or domains separated by commas) excludes the host. A domain excludes itself and, when
-- it has a dot, what is below it.
local function excluded(no_proxy, host)
    if no_proxy == "*" then
        return true
    end
    for domain in gmatch(no_proxy or "", "%s*%.?([^,%s]+)") do
        if host == domain then
            return true
        elseif find(domain, ".", 1, true) and sub(host, -#domain - 1) == "." .. domain then
            return true
        end
    end
    return false
end


-- The URI of the proxy to use for a host, and the authorization that goes with it, or nil.
function _M.proxy_for(options, scheme, host)
    if not options or not scheme or excluded(options.no_proxy, host) then
        return nil
    elseif scheme == "https" then
        return options.https_proxy, options.https_proxy_authorization
    end
    return options.http_proxy, options.http_proxy_authorization
end


-- Host and port of a proxy's URI, or nil, nil and an error, where it is no URI after what is to be said `before`.
-- The client speaks to proxies in clear text only.
local function proxy_address(proxy_uri, before)
    local parsed, err = uri.parse(proxy_uri, false)
    if not parsed then
        return nil, nil, before .. err
    elseif parsed[1] ~= "http" then
        return nil, nil, "protocol " .. parsed[1] .. " not supported for proxy connections"
    end
    return parsed[2], parsed[3]
end


-- Asks the connected proxy for a tunnel (RFC 9110, section 9.3.6). Returns the status, or nil and an error.
local function ask_for_tunnel(client, host, port, authorization)
    local destination = host .. ":" .. port
    local response, err = client:request({
        method = "CONNECT",
        path = destination,
        headers = { ["Host"] = destination, ["Proxy-Authorization"] = authorization },
    })
    return response and response.status, err
end


local function no_tunnel(status)
    return "failed to establish a tunnel through a proxy: " .. status
end


-- A text that tells apart what a client shows of itself, "" for nothing; or nil and an error.
local function identity(cert, key)
    if not cert or not key then
        return ""
    elseif type(cert) ~= "cdata" then
        return nil, "bad ssl_client_cert: cdata expected, got " .. type(cert)
    elseif type(key) ~= "cdata" then
        return nil, "bad ssl_client_priv_key: cdata expected, got " .. type(key)
    end
    local here, tls = pcall(require, "pyresty.tls")
    return here and tls.identity(cert, key) or tostring(cert) .. tostring(key)
end


local function handshake(client, options)
    local cert, key = options.ssl_client_cert, options.ssl_client_priv_key
    if cert and key then
        local ok, err = client.sock:setclientcert(cert, key)
        if not ok then
            return nil, "could not set client certificate: " .. err
        end
    end
    return client.sock:sslhandshake(options.ssl_reused_session, options.ssl_server_name,
                                    options.ssl_verify ~= false, options.ssl_send_status_req)
end


-- Connects as the options say (lua-resty-http's README, "connect"). Returns true, nil and the TLS session, or nil
-- and an error.
function _M.open(client, options)
    local sock = client.sock
    if not sock then
        return nil, "not initialized"
    end

    local scheme, host, port = options.scheme, options.host, options.port
    if not host then
        return nil, "'host' is required"
    elseif scheme and not port then
        port = scheme == "https" and 443 or 80
    elseif port and not scheme then
        return nil, "'scheme' is required when providing a port"
    end
    local ssl = scheme == "https" or nil

    local proxy_uri, authorization = _M.proxy_for(options.proxy_opts or client.proxy_opts, scheme, host)
    local proxy_host, proxy_port
    if proxy_uri then
        local err
        proxy_host, proxy_port, err = proxy_address(proxy_uri, "uri parse error: ")
        if not proxy_host then
            return nil, err
        end
    end

    local shown, err = identity(ssl and options.ssl_client_cert, options.ssl_client_priv_key)
    if not shown then
        return nil, err
    end
    local pool = options.pool or concat({
        scheme or "", host, tostring(port), tostring(ssl), ssl and options.ssl_server_name or "",
        ssl and tostring(options.ssl_verify ~= false) or "", proxy_uri or "", ssl and authorization or "",
        shown,
    }, ":")
    if options.pool_debug == true then
        ngx.log(ngx.DEBUG, "poolname: ", pool)
    end
    local socket_options = { pool = pool, pool_size = options.pool_size, backlog = options.backlog }

    client.host, client.port, client.ssl, client.keepalive = host, port, ssl, true
    client.path_prefix, client.http_proxy_auth = nil, nil

    local ok
    if proxy_uri then
        ok, err = sock:connect(proxy_host, proxy_port, socket_options)
        err = not ok and "failed to connect to: " .. proxy_host .. ":" .. proxy_port .. ": " .. err or nil
    elseif port then
        ok, err = sock:connect(host, port, socket_options)
    else
        ok, err = sock:connect(host, socket_options)
    end
    if not ok then
        return nil, err
    end

    if proxy_uri and not ssl then
        -- To a proxy a request names its target with scheme and host (RFC 9112, section 3.2.2).
        client.path_prefix = "http://" .. host .. (port == 80 and "" or ":" .. port)
        client.http_proxy_auth = authorization
    end

    if not ssl or sock:getreusedtimes() ~= 0 then
        return true, nil, nil
    end

    if proxy_uri then
        local status
        status, err = ask_for_tunnel(client, host, port, authorization)
        if not status or status < 200 or status > 299 then
            client:close()
            return nil, status and no_tunnel(status) or "failed to issue CONNECT to proxy: " .. err
        end
        client.keepalive = true
    end

    local session
    session, err = handshake(client, options)
    if not session then
        client:close()
        return nil, err
    end
    return true, nil, session
end


-- The deprecated connect_proxy: connects to a proxy and, for https, asks it for a tunnel; TLS is left to the
-- caller.
function _M.through_proxy(client, proxy_uri, scheme, host, port, authorization)
    local proxy_host, proxy_port, err = proxy_address(proxy_uri, "")
    if not proxy_host then
        return nil, err
    end

    local ok
    ok, err = client:tcp_only_connect(proxy_host, proxy_port)
    if not ok then
        return nil, err
    end

    if scheme == "https" then
        local status
        status, err = ask_for_tunnel(client, host, port, authorization)
        if not status then
            return nil, err
        elseif status < 200 or status > 299 then
            return nil, no_tunnel(status)
        end
    end
    return ok, nil
end


return _M
