-- resty.http: an HTTP/1.x client over ngx.socket.tcp, with the interface that lua-resty-http 0.17's README
-- describes. A client is one socket and what its next request needs to know: host, port, TLS or not, whether it
-- may be kept.

local body = require "resty.http.body"
local connection = require "resty.http.connect"
local message = require "resty.http.message"
local uri_parser = require "resty.http.uri"

local match, upper = string.match, string.upper
local ipairs, next, pairs, setmetatable = ipairs, next, pairs, setmetatable
local tonumber, tostring, type = tonumber, tostring, type
local ngx = ngx

local NOT_INITIALIZED = "not initialized"
local CONTINUE = "100-continue"

local _M = { _VERSION = "0.17.2" }
_M._USER_AGENT = "lua-resty-http/" .. _M._VERSION .. " (Lua) ngx_lua/" .. ngx.config.ngx_lua_version

local mt = { __index = _M }
local debug_requests = false


-- A copy one level deep; nil gives an empty table.
local function copy(original)
    local result = {}
    for key, value in pairs(original or result) do
        result[key] = value
    end
    return result
end


-- Connection.

-- Calls a method of the client's socket; nil and an error where there is none.
local function call(self, method, ...)
    local sock = self.sock
    if not sock then
        return nil, NOT_INITIALIZED
    end
    return sock[method](sock, ...)
end


-- Returns a client, or nil and an error.
function _M.new(_)
    local sock, err = ngx.socket.tcp()
    if not sock then
        return nil, err
    end
    return setmetatable({ sock = sock, keepalive = true }, mt)
end


-- Logs every request that is sent, at level debug, when on is true.
function _M.debug(on)
    debug_requests = on == true
end


-- One timeout for all operations, in milliseconds.
function _M.set_timeout(self, timeout)
    return call(self, "settimeout", timeout)
end


-- Timeouts in milliseconds.
function _M.set_timeouts(self, connect_timeout, send_timeout, read_timeout)
    return call(self, "settimeouts", connect_timeout, send_timeout, read_timeout)
end


-- connect(options), or as older versions had it: connect(host, port, options?), connect("unix:/path", options?).
-- Returns ok, err, TLS session.
function _M.connect(self, options, ...)
    if type(options) == "table" then
        return connection.open(self, options)
    end
    return self:tcp_only_connect(options, ...)
end


-- Deprecated: the older forms of connect.
function _M.tcp_only_connect(self, ...)
    ngx.log(ngx.DEBUG, "Use of deprecated `connect` method signature")
    local host, port = ...
    self.host, self.port = host, type(port) == "number" and port or nil
    self.ssl, self.keepalive = false, true
    self.path_prefix, self.http_proxy_auth = nil, nil
    return call(self, "connect", ...)
end


-- Deprecated: connect does it. Arguments and results are those of the socket's sslhandshake.
function _M.ssl_handshake(self, ...)
    ngx.log(ngx.DEBUG, "Use of deprecated function `ssl_handshake`")
    self.ssl = true
    return call(self, "sslhandshake", ...)
end


-- Deprecated: connect does it.
function _M.connect_proxy(self, proxy_uri, scheme, host, port, proxy_authorization)
    ngx.log(ngx.DEBUG, "Use of deprecated function `connect_proxy`")
    return connection.through_proxy(self, proxy_uri, scheme, host, port, proxy_authorization)
end


-- Proxies for this client: http_proxy, https_proxy, their _authorization, no_proxy.
function _M.set_proxy_options(self, options)
    self.proxy_opts = copy(options)
end


-- The URI of the proxy that would be used for a host, or nil.
function _M.get_proxy_uri(self, scheme, host)
    return (connection.proxy_for(self.proxy_opts, scheme, host))
end


-- Gives the connection to its pool and returns 1; or closes it, when the server wants that, and returns
-- 2 and "connection must be closed"; or returns nil and an error.
function _M.set_keepalive(self, ...)
    if self.keepalive == true then
        return call(self, "setkeepalive", ...)
    end
    local ok, err = self:close()
    if not ok then
        return ok, err
    end
    return 2, "connection must be closed"
end


-- How many times the connection has been taken from its pool.
function _M.get_reused_times(self)
    return call(self, "getreusedtimes")
end


function _M.close(self)
    return call(self, "close")
end


-- Messages.

-- Returns { scheme, host, port, path, query } or nil and an error; with query_in_path (default true) the query
-- stays in the path.
function _M.parse_uri(_, uri, query_in_path)
    return uri_parser.parse(uri, query_in_path)
end


-- Sends head and body; with "Expect: 100-continue" the body waits for read_response. params.headers is replaced
-- by the fields that were sent. Returns true, or nil, an error and what the body function gave as third value.
function _M.send_request(self, params)
    local sock = self.sock
    if not sock then
        return nil, NOT_INITIALIZED
    end

    local method = upper(params.method or "GET")
    local version = tonumber(params.version or 1.1)
    if version ~= 1.1 and version ~= 1.0 then
        return nil, "unsupported HTTP version: " .. tostring(params.version)
    end

    local headers, err = message.request_fields(self, params, method, version)
    if not headers then
        return nil, err
    end
    params.headers = headers

    local request = message.request_head(self, params, method, version, headers)
    if debug_requests then
        ngx.log(ngx.DEBUG, "\n", request)
    end
    local sent
    sent, err = sock:send(request)
    if not sent then
        return nil, err
    elseif headers["Expect"] == CONTINUE then
        return true
    end
    return body.send(sock, params.body)
end


-- True when the headers say that the body is chunked.
_M.transfer_encoding_is_chunked = message.is_chunked


-- The method read_trailers of responses: puts trailer fields among the headers where these have no such field.
-- To be called after the body has been read. Returns nil and an error when there are none.
local function read_trailers(response)
    local trailers = response.trailer_reader and response.trailer_reader()
    if not trailers or not next(trailers) then
        return nil, "no trailers"
    end
    local headers = response.headers
    for name, value in pairs(trailers) do
        if headers[name] == nil then
            headers[name] = value
        end
    end
end


-- Reads the head of the response to a request that send_request has sent. Interim responses (1xx) are passed over;
-- the first 100 lets go a body that waits for it. Returns the response, or nil and an error.
function _M.read_response(self, params)
    local sock = self.sock
    if not sock then
        return nil, NOT_INITIALIZED
    end

    local body_waits = params.headers["Expect"] == CONTINUE
    local status, version, reason, headers, err
    repeat
        status, version, reason = message.receive_status(sock)
        if not status then
            return nil, version
        end
        headers, err = message.receive_fields(sock)
        if not headers then
            return nil, err
        end
        if status == 100 and body_waits then
            body_waits = false
            local ok
            ok, err = body.send(sock, params.body)
            if not ok then
                return nil, err
            end
        end
    until status >= 200 or status < 100 or status == 101

    if not message.persists(version, headers["Connection"]) then
        self.keepalive = false
    end

    local response = {
        status = status,
        reason = reason,
        headers = headers,
        has_body = status >= 200 and status ~= 204 and status ~= 304 and upper(params.method or "GET") ~= "HEAD",
        body_reader = body.none,
        read_body = body.read,
        read_trailers = read_trailers,
    }
    if response.has_body and version == 1.1 and message.is_chunked(headers) then
        local trailers
        response.trailer_reader = function()
            return trailers
        end
        response.body_reader = body.chunked(sock, nil, function()
            trailers = message.receive_fields(sock)
        end)
    elseif response.has_body then
        local length = headers["Content-Length"]
        length = type(length) == "string" and match(length, "^%d+%s*$")
        response.body_reader = body.plain(sock, length and tonumber(length) or nil)
    end
    return response
end


-- Whole requests.

-- Sends a request over the connection and reads the head of the response. Returns the response, or nil and an
-- error.
function _M.request(self, params)
    params = copy(params)
    local ok, err = self:send_request(params)
    if not ok then
        return nil, err
    end
    return self:read_response(params)
end


-- A response that is read when one of its fields is first asked for.
local function postponed(self, params)
    return setmetatable({}, {
        __index = function(response, field)
            setmetatable(response, nil)
            local received, err = self:read_response(params)
            if not received then
                ngx.log(ngx.ERR, err)
                return nil
            end
            for name, value in pairs(received) do
                response[name] = value
            end
            return response[field]
        end,
    })
end


-- Sends several requests (an array of params), one after the other. Returns an array of responses, or nil and an
-- error. A response is read when it is used; so they have to be used in their order, each with its whole body.
function _M.request_pipeline(self, requests)
    local responses = {}
    for i, params in ipairs(requests) do
        if params.headers and params.headers["Expect"] == CONTINUE then
            return nil, "Cannot pipeline request specifying Expect: 100-continue"
        end
        params = copy(params)
        local ok, err = self:send_request(params)
        if not ok then
            return nil, err
        end
        responses[i] = postponed(self, params)
    end
    return responses
end


-- Connects, requests, reads the whole body, and keeps or closes the connection. Params are those of connect and
-- request, and keepalive (false closes), keepalive_timeout (milliseconds), keepalive_pool. Returns the response,
-- which has its body as a field, or nil and an error.
function _M.request_uri(self, uri, params)
    params = copy(params)
    if self.proxy_opts then
        params.proxy_opts = self.proxy_opts
    end

    local parsed, err = uri_parser.parse(uri, false)
    if not parsed then
        return nil, err
    end
    params.scheme, params.host, params.port = parsed[1], parsed[2], parsed[3]
    params.path = params.path or parsed[4]
    params.query = params.query or parsed[5]
    params.ssl_server_name = params.ssl_server_name or params.host

    local authorization = params.headers and params.headers["Proxy-Authorization"]
    if authorization and params.proxy_opts then
        params.proxy_opts = copy(params.proxy_opts)
        params.proxy_opts.http_proxy_authorization = authorization
        params.proxy_opts.https_proxy_authorization = authorization
    end

    local ok
    ok, err = self:connect(params)
    if not ok then
        return nil, err
    end

    local response
    response, err = self:request(params)
    if response then
        response.body, err = response:read_body()
    end
    if not response or not response.body then
        self:close()
        return nil, err
    end

    if params.keepalive == false then
        ok, err = self:close()
    else
        ok, err = self:set_keepalive(params.keepalive_timeout, params.keepalive_pool)
    end
    if not ok then
        ngx.log(ngx.ERR, err)
    end
    return response
end


-- The request being served.

-- Reader of the body of the request being served, or of another socket. Returns nil when there is none, nil and an
-- error on failure.
function _M.get_client_body_reader(_, chunk_size, sock, headers)
    return require("resty.http.downstream").body_reader(chunk_size, sock, headers)
end


-- Deprecated: sends the request being served over the connection. Returns what request returns.
function _M.proxy_request(self, chunk_size)
    ngx.log(ngx.DEBUG, "Use of deprecated function `proxy_request`")
    return require("resty.http.downstream").request(self, chunk_size)
end


-- Deprecated: answers the request being served with a response.
function _M.proxy_response(_, response, chunk_size)
    ngx.log(ngx.DEBUG, "Use of deprecated function `proxy_response`")
    return require("resty.http.downstream").respond(response, chunk_size)
end


return _M
