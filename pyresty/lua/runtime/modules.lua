-- Small modules of lua-resty-core that are one function each of what is there already: ngx.base64, ngx.resp, ngx.req.
-- https://github.com/openresty/lua-resty-core/tree/master/lib/ngx

local rt = ...

local type, tostring, tonumber, error, unpack, pairs = type, tostring, tonumber, error, unpack, pairs
local find, gsub = string.find, string.gsub
local py = rt.py

local base64, resp, req = {}, {}, {}

function base64.encode_base64url(s)
    if type(s) ~= "string" then
        return nil, "must provide a string"
    end
    return (gsub(gsub(py.encode_base64(s, true), "+", "-"), "/", "_"))
end

function base64.decode_base64url(s)
    if type(s) ~= "string" then
        return nil, "must provide a string"
    elseif find(s, "[+/]") then
        return nil, "invalid input"
    end
    local data = py.decode_base64((gsub(gsub(s, "-", "+"), "_", "/")))
    if not data then
        return nil, "invalid input"
    end
    return data
end

-- The values of a header as strings.
local function texts(value)
    if type(value) ~= "table" then
        return { tostring(value) }
    end
    local list = {}
    for i = 1, #value do
        list[i] = tostring(value[i])
    end
    return list
end

function resp.add_header(key, value)
    local r = rt.require_request(2)
    if rt.head_sent(r) then
        py.log(4, "attempt to set ngx.header.HEADER after sending out response headers")
        return
    end
    if value == nil then
        error("invalid header value", 2)
    end
    local err = py.add_resp_header(type(key) == "string" and key or tostring(key), unpack(texts(value)))
    if err then
        error(err, 2)
    end
end

function resp.set_status(status, reason)
    local r = rt.require_request(2)
    local size = #reason
    if rt.head_sent(r) then
        py.log(4, "attempt to set ngx.status after sending out response headers")
        return
    end
    if not tonumber(status) then
        error("bad argument #2 to 'ngx_http_lua_ffi_set_resp_status_and_reason' (cannot convert 'nil' to 'int')", 2)
    end
    status = tonumber(status)
    status = status - status % 1
    if status < 100 or status > 999 then
        py.log(4, "invalid HTTP status code " .. status)
        return
    end
    py.set_status_line(status, size > 0 and reason or "")
    rt.status_set(r, status)
end

function resp.bypass_if_checks()
    py.bypass_if_checks()
end

function req.add_header(key, value)
    rt.require_request(2)
    if key == nil then
        error("bad 'name' argument: string expected, got nil", 2)
    elseif value == nil then
        error("bad 'value' argument: string or table expected, got nil", 2)
    elseif type(value) == "table" and #value == 0 then
        error("bad 'value' argument: non-empty table expected", 2)
    end
    local err = py.add_req_header(type(key) == "string" and key or tostring(key), unpack(texts(value)))
    if err then
        error(err, 2)
    end
end

for name, module in pairs({ base64 = base64, resp = resp, req = req }) do
    package.preload["ngx." .. name] = function()
        module.version = require("resty.core.base").version
        return module
    end
end
