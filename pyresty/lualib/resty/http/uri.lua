-- Splits an absolute URI with string patterns: scheme, authority, path and query, each where the one before it
-- stopped.

local match = string.match
local tonumber, tostring, pcall = tonumber, tostring, pcall
local ngx = ngx

local _M = {}


local function request_scheme()
    return ngx.var.scheme
end


-- Returns an array { scheme, host, port (number), path, query }, or nil and an error. The path is "/" when empty.
-- With query_in_path (default true) a query is left in the path, and the fifth element is nil. "//host/path" takes
-- the scheme of the request being served. A literal IPv6 host keeps its brackets.
function _M.parse(uri, query_in_path)
    local text = tostring(uri)
    local scheme, hierarchy = match(text, "^(https?):(//.*)$")
    hierarchy = hierarchy or text

    local host, position = match(hierarchy, "^//(%[[^%]]+%])()")
    if not host then
        host, position = match(hierarchy, "^//([^%[%]:/?]+)()")
    end
    if not host then
        return nil, "bad uri: " .. text
    end

    if not scheme then
        local in_request, current = pcall(request_scheme)
        if not in_request or (current ~= "http" and current ~= "https") then
            return nil, "schemaless URIs require a request context: " .. text
        end
        scheme = current
    end

    local port, after_port = match(hierarchy, "^:(%d+)()", position)
    if port then
        port, position = tonumber(port), after_port
    else
        port = scheme == "https" and 443 or 80
    end

    local path, query = match(hierarchy, "^([^?]*)%??(.*)$", position)
    if path == "" then
        path = "/"
    end
    if query_in_path ~= false and query ~= "" then
        path, query = path .. "?" .. query, nil
    end

    return { scheme, host, port, path, query, [0] = text }
end


return _M
