-- Heads on the wire: writes those of requests, reads those of responses (RFC 9112, sections 2 to 6). Knows nothing
-- of bodies but how a head announces them.

local http_headers = require "resty.http_headers"

local concat = table.concat
local find, lower, match, sub = string.find, string.lower, string.match, string.sub
local pairs, tonumber, tostring, type = pairs, tonumber, tostring, type
local ngx = ngx

local _M = {}


-- True when the headers say that the body is chunked.
function _M.is_chunked(headers)
    local codings = headers["Transfer-Encoding"]
    if type(codings) == "table" then
        codings = concat(codings, ",")
    end
    return codings ~= nil and find(lower(codings), "chunked", 1, true) ~= nil
end


-- Bytes in a body given as a string, a number or an array of such, nested or not.
local function length(content)
    if type(content) ~= "table" then
        return #tostring(content)
    end
    local sum = 0
    for i = 1, #content do
        sum = sum + length(content[i])
    end
    return sum
end


-- Puts Content-Length where the framing of the body needs it. Returns an error or nil.
local function frame(headers, content, method)
    if _M.is_chunked(headers) then
        headers["Content-Length"] = nil
    elseif not headers["Content-Length"] then
        if type(content) == "function" then
            return "Request body is a function but a length or chunked encoding is not specified"
        elseif content ~= nil then
            headers["Content-Length"] = length(content)
        elseif method == "POST" or method == "PUT" or method == "PATCH" then
            headers["Content-Length"] = 0
        end
    end
end


-- The value of Host for a client's connection, or nil and an error; nil alone when the client is not connected.
local function host_field(client)
    local host, port = client.host, client.port
    if not host then
        return nil
    elseif sub(host, 1, 5) == "unix:" then
        return nil, "Unable to generate a useful Host header for a unix domain socket. Please provide one."
    elseif not port or port == (client.ssl and 443 or 80) then
        return host
    end
    return host .. ":" .. port
end


-- The header fields to send for params, with those added that they lack. Returns a header table, or nil and an
-- error.
function _M.request_fields(client, params, method, version)
    local headers = http_headers.new()
    for name, value in pairs(params.headers or {}) do
        headers[tostring(name)] = value
    end

    local err = frame(headers, params.body, method)
    if err then
        return nil, err
    end
    if not headers["Host"] then
        headers["Host"], err = host_field(client)
        if err then
            return nil, err
        end
    end
    if not headers["User-Agent"] then
        headers["User-Agent"] = client._USER_AGENT
    end
    if not headers["Proxy-Authorization"] then
        headers["Proxy-Authorization"] = client.http_proxy_auth
    end
    if version == 1.0 and not headers["Connection"] then
        headers["Connection"] = "Keep-Alive"
    end
    return headers
end


-- Request line and header fields as bytes.
function _M.request_head(client, params, method, version, headers)
    local query = params.query or ""
    if type(query) == "table" then
        query = ngx.encode_args(query)
    end
    if query ~= "" and sub(query, 1, 1) ~= "?" then
        query = "?" .. query
    end

    local target = (client.path_prefix or "") .. (params.path or "/") .. query
    local lines, count = { method .. " " .. target .. (version == 1.0 and " HTTP/1.0" or " HTTP/1.1") }, 1
    for name, value in pairs(headers) do
        if type(value) == "table" then
            for _, one in pairs(value) do
                count = count + 1
                lines[count] = name .. ": " .. tostring(one)
            end
        else
            count = count + 1
            lines[count] = name .. ": " .. tostring(value)
        end
    end
    return concat(lines, "\r\n", 1, count) .. "\r\n\r\n"
end


-- Reads a status line. Returns status, version and reason phrase, or nil and an error.
function _M.receive_status(sock)
    local line, err = sock:receive("*l")
    if not line then
        return nil, err
    end
    local version = tonumber(sub(line, 6, 8))
    if not version then
        return nil, "couldn't parse HTTP version from response status line: " .. line
    end
    local status = tonumber(sub(line, 10, 12))
    if not status then
        return nil, "couldn't parse status code from response status line: " .. line
    end
    return status, version, sub(line, 14)
end


-- Reads header fields up to the empty line. A field that comes again becomes an array; a line that is no field is
-- skipped. Returns a header table, or nil and an error.
function _M.receive_fields(sock)
    local fields = http_headers.new()
    while true do
        local line, err = sock:receive("*l")
        if not line then
            return nil, err
        elseif not find(line, "%S") then
            return fields
        end
        local name, value = match(line, "^%s*([^:%s]+)%s*:%s*(.*)")
        local before = name and fields[name]
        if type(before) == "table" then
            before[#before + 1] = value
        elseif before then
            fields[name] = { before, value }
        elseif name then
            fields[name] = value
        end
    end
end


-- Whether the server lets the connection go on after a response, given its Connection field.
function _M.persists(version, option)
    if type(option) ~= "string" then
        return version ~= 1.0
    elseif version == 1.0 then
        return find(lower(option), "keep-alive", 1, true) ~= nil
    end
    return not find(lower(option), "close", 1, true)
end


return _M
