-- The table ngx itself: fields that are computed on access (ngx.status, ngx.ctx, …) are rows of two tables, getters and setters.

local rt = ...

local rawset, error, type, setmetatable, tostring, tonumber = rawset, error, type, setmetatable, tostring, tonumber

local getinfo = debug.getinfo

local getters, setters = {}, {}
rt.getters, rt.setters = getters, setters

ngx = setmetatable({}, {
    __index = function(_, key)
        local get = getters[key]
        if get then
            return get()
        end
    end,
    __newindex = function(t, key, value)
        local set = setters[key]
        if set then
            return set(value)
        end
        rawset(t, key, value)
    end,
})
package.loaded.ngx = ngx
ndk = { set_var = {} }
package.loaded.ndk = ndk

-- What OpenResty has and pyresty has not, by name, for the documentation. Where such a function is made, it says so when it is called.
rt.unsupported = {}

-- Phases by name → what messages call them.
local contexts = {
    init = "init_by_lua*",
    init_worker = "init_worker_by_lua*",
    set = "set_by_lua*",
    server_rewrite = "server_rewrite_by_lua*",
    rewrite = "rewrite_by_lua*",
    access = "access_by_lua*",
    precontent = "precontent_by_lua*",
    content = "content_by_lua*",
    log = "log_by_lua*",
    timer = "ngx.timer",
    header_filter = "header_filter_by_lua*",
    body_filter = "body_filter_by_lua*",
    balancer = "balancer_by_lua*",
    proxy_ssl_cert = "proxy_ssl_certificate_by_lua*",
    proxy_ssl_verify = "proxy_ssl_verify_by_lua*",
    ssl_client_hello = "ssl_client_hello_by_lua*",
    ssl_certificate = "ssl_certificate_by_lua*",
    ssl_session_fetch = "ssl_session_fetch_by_lua*",
    ssl_session_store = "ssl_session_store_by_lua*",
    exit_worker = "exit_worker_by_lua*",
}

function rt.context(phase)
    return contexts[phase] or phase
end

-- Phases of a handshake with a client.
rt.HANDSHAKE = "ssl_client_hello ssl_session_fetch ssl_certificate ssl_session_store "
-- Phases that may wait (lua-nginx-module's NGX_HTTP_LUA_CONTEXT_YIELDABLE).
rt.YIELDING = "server_rewrite rewrite access precontent content timer ssl_certificate ssl_client_hello ssl_session_fetch "
    .. "proxy_ssl_cert proxy_ssl_verify"

-- phases("rewrite access content") → the set to give to rt.require_phase.
function rt.phases(text)
    local set = {}
    for name in text:gmatch("%S+") do
        set[name] = true
    end
    return set
end

-- Refuse a function outside of its phases, with OpenResty's message; level is that of the user's call.
function rt.require_phase(set, level)
    local r = rt.r
    local phase = r and r.phase or "init"
    if not set[phase] then
        if phase == "init" then
            error("no request found", (level or 2) + 1)
        end
        error("API disabled in the context of " .. (contexts[phase] or phase), (level or 2) + 1)
    end
    return r
end

-- Phases that belong to no request of a client (ngx_lua's check_fake_request).
local NO_CLIENT = rt.phases("init_worker timer exit_worker " .. rt.HANDSHAKE)

-- The request's state, for functions that only need some request.
function rt.require_request(level)
    local r = rt.r
    if not r or r.phase == "init" then
        error("no request found", (level or 2) + 1)
    elseif NO_CLIENT[r.phase] then
        error("API disabled in the current context", (level or 2) + 1)
    end
    return r
end

-- As require_request, with the message of ngx_lua's check_fake_request2.
function rt.require_client(level)
    local r = rt.r
    if r and NO_CLIENT[r.phase] then
        error("API disabled in the context of " .. contexts[r.phase], (level or 2) + 1)
    end
    return rt.require_request((level or 2) + 1)
end

-- Raise an argument error as luaL_argerror words it: the function is called what its caller calls it, and the object of a method call is
-- no argument, though n counts it. `level` is that of the function, 2 where it calls this itself.
function rt.bad_argument(n, message, level)
    level = level or 2
    local info = getinfo(level, "n")
    local name = info and info.name or "?"
    if info and info.namewhat == "method" then
        n = n - 1
        if n == 0 then
            error("calling '" .. name .. "' on bad self (" .. message .. ")", level + 1)
        end
    end
    error("bad argument #" .. n .. " to '" .. name .. "' (" .. message .. ")", level + 1)
end

-- luaL_checklstring: strings and numbers.
function rt.check_string(value, n, level)
    local kind = type(value)
    if kind == "string" then
        return value
    elseif kind == "number" then
        return tostring(value)
    end
    rt.bad_argument(n, "string expected, got " .. (value == nil and "nil" or kind), (level or 2) + 1)
end

-- luaL_checknumber: numbers, and strings that are numbers.
function rt.check_number(value, n, level)
    local number = tonumber(value)
    if not number then
        rt.bad_argument(n, "number expected, got " .. type(value), (level or 2) + 1)
    end
    return number
end

-- true, or nil and the error's message: the results of a function of which Python says only what went wrong.
function rt.success(err)
    if err then
        return nil, err
    end
    return true
end

-- A number as C's integers are made of it: without its fraction.
function rt.truncate(number)
    return number < 0 and -(-number - -number % 1) or number - number % 1
end

-- luaL_checkint.
function rt.check_integer(value, n, level)
    return rt.truncate(type(value) == "number" and value or rt.check_number(value, n, (level or 2) + 1))
end

rt.clear_table = require("table.clear")
