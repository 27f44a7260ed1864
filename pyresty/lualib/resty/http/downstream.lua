-- The request being served, as source and target of the client: its body as a reader, and the deprecated pair that
-- hands a request on and its response back. Loaded only by who uses it.

local gsub, lower = string.gsub, string.lower
local pairs, pcall, tonumber = pairs, pcall, tonumber
local ngx = ngx

local body = require "resty.http.body"
local message = require "resty.http.message"

local _M = {}

-- Fields that belong to one connection (RFC 9110, section 7.6.1), and Content-Length, which the server sets itself.
local HOP_BY_HOP = {
    ["connection"] = true,
    ["keep-alive"] = true,
    ["proxy-authenticate"] = true,
    ["proxy-authorization"] = true,
    ["te"] = true,
    ["trailers"] = true,
    ["transfer-encoding"] = true,
    ["upgrade"] = true,
    ["content-length"] = true,
}


local function nothing()
end


-- Reader of the body of the request being served, or of a given socket and headers; pieces of chunk_size bytes
-- (65536). Returns nil when there is no body, nil and an error when it cannot be read.
function _M.body_reader(chunk_size, sock, headers)
    chunk_size = chunk_size or 65536

    if not sock then
        local ok, result, err = pcall(ngx.req.socket)
        if not ok then
            return nil, result
        elseif not result then
            return nil, err ~= "no body" and err or nil
        end
        sock = result
    end

    headers = headers or ngx.req.get_headers()
    local length = headers["Content-Length"]
    if length then
        return body.plain(sock, tonumber(length), chunk_size)
    elseif message.is_chunked(headers) then
        return body.chunked(sock, chunk_size, nothing)
    end
    return nil
end


-- Sends the request being served over the client's connection.
function _M.request(client, chunk_size)
    local headers = ngx.req.get_headers()
    local reader, err = _M.body_reader(chunk_size, nil, headers)
    if err and (headers["Content-Length"] or message.is_chunked(headers)) then
        return nil, err
    end
    local var = ngx.var
    return client:request({
        method = ngx.req.get_method(),
        path = gsub(var.uri, "%s", "%%20") .. var.is_args .. (var.query_string or ""),
        body = reader,
        headers = headers,
    })
end


-- Answers the request being served with a response of the client.
function _M.respond(response, chunk_size)
    if not response then
        ngx.log(ngx.ERR, "no response provided")
        return
    end

    ngx.status = response.status
    for name, value in pairs(response.headers) do
        if not HOP_BY_HOP[lower(name)] then
            ngx.header[name] = value
        end
    end

    repeat
        local piece, err = response.body_reader(chunk_size)
        if err then
            ngx.log(ngx.ERR, err)
        end
        if piece then
            local ok, print_err = ngx.print(piece)
            if not ok then
                ngx.log(ngx.ERR, print_err)
                err = print_err
            end
        end
    until err or not piece
end


return _M
