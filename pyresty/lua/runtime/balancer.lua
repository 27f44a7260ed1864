-- ngx.balancer. https://github.com/openresty/lua-resty-core/blob/master/lib/ngx/balancer.md

local rt = ...

local error, type, tonumber = error, type, tonumber
local py, success = rt.py, rt.success

local balancer = {}

-- Why the function can't be used now, or nil.
local function refused()
    local r = rt.r
    if not r or r.phase == "init" then
        error("no request found", 3)
    elseif not py.balancer_upstream() then
        return "no upstream found"
    elseif r.phase ~= "balancer" then
        return "API disabled in the current context"
    end
end

function balancer.set_current_peer(addr, port, host)
    local _ = #addr -- which is what fails for other types
    local err = refused()
    if not port then
        port = 0
    elseif type(port) ~= "number" then
        port = tonumber(port)
        if not port then
            error("bad argument #4 to 'ngx_lua_ffi_balancer_set_current_peer' (cannot convert 'nil' to 'int')", 2)
        end
    end
    if host ~= nil and type(host) ~= "string" then
        error("bad argument #3 to 'set_current_peer' (string expected, got " .. type(host) .. ")")
    end
    return success(err or py.balancer_set_peer(addr, port, host or ""))
end

local function not_negative(value, number, default)
    if not value then
        return default
    elseif type(value) ~= "number" then
        error("bad argument #" .. number .. " to 'enable_keepalive' (number expected, got " .. type(value) .. ")", 3)
    elseif value < 0 then
        error("bad argument #" .. number .. " to 'enable_keepalive' (expected >= 0)", 3)
    end
    return value
end

function balancer.enable_keepalive(idle_timeout, max_requests)
    local err = refused()
    idle_timeout = not_negative(idle_timeout, 1, 60)
    max_requests = not_negative(max_requests, 2, 100)
    return success(err or py.balancer_set_keepalive(idle_timeout, max_requests))
end

function balancer.set_more_tries(count)
    local err = refused()
    if err then
        return nil, err
    end
    local warning = py.balancer_set_more_tries(count)
    if warning then
        return true, warning
    end
    return true
end

function balancer.get_last_failure()
    local err = refused()
    if err then
        return nil, nil, err
    end
    return py.balancer_last_failure()
end

local function positive(value, which)
    if not value then
        return 0
    elseif type(value) ~= "number" or value <= 0 then
        error("bad " .. which .. " timeout", 3)
    end
    return value
end

function balancer.set_timeouts(connect_timeout, send_timeout, read_timeout)
    local err = refused()
    local connect, send, read = positive(connect_timeout, "connect"), positive(send_timeout, "send"), positive(read_timeout, "read")
    if err then
        return false, err
    end
    py.balancer_set_timeouts(connect, send, read)
    return true
end

function balancer.recreate_request()
    local err = refused()
    return success(err or py.balancer_recreate())
end

function balancer.set_upstream_tls(on)
    local err = refused()
    return success(err or py.balancer_set_tls(on ~= 0 and on ~= false))
end

function balancer.bind_to_local_addr(addr)
    local err = refused()
    if type(addr) ~= "string" then
        error("bad argument #1 to 'bind_to_local_addr' (string expected, got " .. type(addr) .. ")")
    end
    return success(err or py.balancer_bind(addr))
end

package.preload["ngx.balancer"] = function()
    balancer.version = require("resty.core.base").version
    return balancer
end
