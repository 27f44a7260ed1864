-- ngx.req: the request's line, arguments and headers; its body is in req_body.lua.
-- https://github.com/openresty/lua-nginx-module#ngxreqis_internal

local rt = ...

local type, tostring, error, select, unpack = type, tostring, error, select, unpack
local byte, find, format, gsub = string.byte, string.find, string.format, string.gsub
local require_request, bad_argument, check_string, check_integer = rt.require_request, rt.bad_argument, rt.check_string, rt.check_integer
local parse_args, encode_args, header_table = rt.parse_args, rt.encode_args, rt.header_table
local method_names = rt.method_names
local py, wait = rt.py, rt.wait
local get_args = py.get_args

local OP_JUMP = rt.ops.jump
local JUMPING = rt.phases("server_rewrite rewrite")
local MAX, DEBUG = 100, 8

local req = {}
ngx.req = req

function req.get_method()
    require_request(2)
    return py.get_method()
end

function req.set_method(method)
    local r = require_request(2)
    if type(method) ~= "number" then
        error("bad method number", 2)
    end
    local name = method_names[method]
    if not name then
        error("unsupported HTTP method: " .. method, 2)
    end
    py.set_method(name)
    if name == "HEAD" then
        rt.may_refuse_body(r)
    end
end

function req.http_version()
    require_request(2)
    local version = py.http_version()
    return version == 9 and 0.9 or version == 1000 and 1.0 or version == 1001 and 1.1 or nil
end

function req.start_time()
    require_request(2)
    return py.start_time()
end

function req.is_internal()
    require_request(2)
    return py.is_internal()
end

function req.raw_header(no_request_line)
    require_request(2)
    return py.raw_header(no_request_line and true or false)
end

-- How many arguments or headers are wanted at most, for functions that a user calls with it as their first argument.
local function most(max)
    if not max then
        return MAX
    end
    max = check_integer(max, 1, 3)
    return max < 0 and MAX or max
end

-- Arguments

function req.get_uri_args(max, t)
    require_request(2)
    max = most(max)
    if t then
        rt.clear_table(t)
    else
        t = {}
    end
    local args = get_args()
    if not args then
        return t
    end
    return parse_args(t, args, max, true)
end

-- Bytes that would end a request line.
local function encode_controls(c)
    return format("%%%02X", byte(c))
end

function req.set_uri_args(...)
    local n = select("#", ...)
    if n ~= 1 then
        error("expecting 1 argument but seen " .. n, 2)
    end
    require_request(2)
    local args = ...
    local kind = type(args)
    if kind == "string" then
        if find(args, "[%z\1-\32\127]") then
            args = gsub(args, "[%z\1-\32\127]", encode_controls)
        end
    elseif kind == "number" then
        args = tostring(args)
    elseif kind == "table" then
        args = encode_args(args, 2)
    else
        bad_argument(1, "string, number, or table expected, but got " .. kind, 2)
    end
    py.set_args(args)
end

-- The first byte that may not stand in a URI, for messages; nil if there is none. The text as messages show it.
local function unsafe_byte(s)
    local at = find(s, "[%z\1-\8\10-\31\127]")
    if at then
        local shown = gsub(s, '[%z\1-\31"\\\127-\255]', function(c)
            return format("\\x%02X", byte(c))
        end)
        return format('unsafe byte "0x%02x"', byte(s, at)), shown
    end
end
rt.unsafe_byte = unsafe_byte

local function check_boolean(value, n, level)
    if type(value) ~= "boolean" then
        bad_argument(n, "boolean expected, got " .. type(value), level + 1)
    end
    return value
end
rt.check_boolean = check_boolean

function req.set_uri(...)
    local n = select("#", ...)
    if n < 1 or n > 3 then
        error("expecting 1, 2 or 3 arguments but seen " .. n, 2)
    end
    local r = require_request(2)
    local uri, jump, binary = ...
    uri = check_string(uri, 1, 2)
    if uri == "" then
        error("attempt to use zero-length uri", 2)
    end
    if n < 3 or not check_boolean(binary, 3, 2) then
        local unsafe, shown = unsafe_byte(uri)
        if unsafe then
            error(unsafe .. ' in uri "' .. shown .. "\" (maybe you want to set the 'binary' argument?)", 2)
        end
    end
    if n >= 2 and check_boolean(jump, 2, 2) then
        rt.check_abortable(rt.require_phase(JUMPING, 2), 2)
        return wait(OP_JUMP, uri)
    end
    py.set_uri(uri)
end

-- Headers

function req.get_headers(max, raw)
    require_request(2)
    max = most(max)
    local t, count = header_table(py.req_headers, max, raw and true or false)
    local total = max > 0 and count == max and py.req_headers_count() or 0
    if total > count then
        py.log(DEBUG, "lua exceeding request header limit " .. total .. " > " .. max)
        return t, "truncated"
    end
    return t
end

function req.set_header(name, value)
    require_request(2)
    if name == nil then
        error("bad 'name' argument: string expected, got nil", 2)
    end
    if type(name) ~= "string" then
        name = tostring(name)
    end
    local err
    if value == nil then
        err = py.set_req_header(name)
    elseif type(value) == "table" then
        for i = 1, #value do
            if type(value[i]) ~= "string" then
                value[i] = tostring(value[i])
            end
        end
        err = py.set_req_header(name, unpack(value, 1, #value))
    else
        err = py.set_req_header(name, type(value) == "string" and value or tostring(value))
    end
    if err then
        error(err, 2)
    end
end

function req.clear_header(name)
    require_request(2)
    local err = py.set_req_header(type(name) == "string" and name or tostring(name))
    if err then
        error(err, 2)
    end
end
