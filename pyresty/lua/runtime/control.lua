-- ngx.exit, ngx.exec, ngx.redirect: the handler ends here; its thread is never resumed.
-- https://github.com/openresty/lua-nginx-module#ngxexit

local rt = ...

local type, rawset, error, tostring, select = type, rawset, error, tostring, select
local wait, py = rt.wait, rt.py
local bad_argument, require_phase, check_string = rt.bad_argument, rt.require_phase, rt.check_string

local OP_EXIT, OP_EXEC, OP_REDIRECT = rt.ops.exit, rt.ops.exec, rt.ops.redirect
local ENDING = rt.phases("server_rewrite rewrite access precontent content")
local EXITING = rt.phases("server_rewrite rewrite access precontent content timer header_filter balancer proxy_ssl_cert proxy_ssl_verify "
    .. rt.HANDSHAKE)

-- Phases without a response of their own: the status is the handler's code.
local BARE = rt.phases("proxy_ssl_cert proxy_ssl_verify " .. rt.HANDSHAKE)
local ERR, DEBUG = 4, 8

-- Statuses that say that the connection is of no use any more: they end it whatever has been sent.
local CLOSING = { [408] = true, [444] = true, [499] = true }

local REDIRECTS = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

rawset(ngx, "exit", function(status)
    local r = rt.r
    if not r or r.phase == "init" then
        error("no request found", 2)
    end
    if type(status) ~= "number" then
        error("bad argument #2 to 'ngx_lua_ffi_exit' (cannot convert '" .. type(status) .. "' to 'int')", 2)
    end
    status = status - status % 1
    if status == -2 or status == -4 then
        error("bad argument to 'ngx.exit': does not accept NGX_AGAIN or NGX_DONE", 2)
    end
    require_phase(EXITING, 2)
    if r.phase == "ssl_session_store" then
        py.log(DEBUG, "lua exit with code " .. status) -- (the code goes on: it can't be left there)
        return
    end
    if BARE[r.phase] then
        return wait(rt.ops.exit_bare, status)
    end
    if r.phase == "header_filter" then
        return rt.exit_filter(status)
    elseif r.phase == "balancer" then
        return py.balancer_exit(status)
    end
    if status ~= -1 and not CLOSING[status] then
        rt.check_abortable(r, 2)
    end
    if status >= 300 and not CLOSING[status] and rt.head_sent(r) then
        local sent = py.get_status()
        if status ~= sent then
            py.log(ERR, "attempt to set status " .. status .. " via ngx.exit after sending out the response status " .. sent)
        end
        status = 200
    end
    wait(OP_EXIT, status, r.phase == "content")
end)

rawset(ngx, "exec", function(...)
    local n = select("#", ...)
    if n ~= 1 and n ~= 2 then
        error("expecting one or two arguments, but got " .. n, 2)
    end
    local uri, args = ...
    uri = check_string(uri, 1, 2)
    if uri == "" then
        error("The uri argument is empty", 2)
    end
    local r = require_phase(ENDING, 2)
    rt.check_abortable(r, 2)
    if not py.safe_uri(uri) then
        error("unsafe uri", 2)
    end
    local kind = type(args)
    if kind == "number" then
        args = tostring(args)
    elseif kind == "table" then
        args = rt.encode_args(args, 2)
    elseif kind ~= "string" and kind ~= "nil" then
        bad_argument(2, "string, number, or table expected, but got " .. kind, 2)
    end
    if rt.head_sent(r) then
        error("attempt to call ngx.exec after sending out response headers", 2)
    end
    wait(OP_EXEC, uri, args)
end)

rawset(ngx, "redirect", function(...)
    local n = select("#", ...)
    if n ~= 1 and n ~= 2 then
        error("expecting one or two arguments", 2)
    end
    local uri, status = ...
    uri = check_string(uri, 1, 2)
    if n == 2 then
        status = rt.check_number(status, 2, 2)
        if not REDIRECTS[status - status % 1] then
            error("only ngx.HTTP_MOVED_TEMPORARILY, ngx.HTTP_MOVED_PERMANENTLY, ngx.HTTP_PERMANENT_REDIRECT, ngx.HTTP_SEE_OTHER, and "
                .. "ngx.HTTP_TEMPORARY_REDIRECT are allowed", 2)
        end
    else
        status = 302
    end
    local r = require_phase(ENDING, 2)
    rt.check_abortable(r, 2)
    if rt.head_sent(r) then
        error("attempt to call ngx.redirect after sending out the headers", 2)
    end
    local unsafe, shown = rt.unsafe_byte(uri)
    if unsafe then
        error(unsafe .. ' in redirect uri "' .. shown .. '"', 2)
    end
    wait(OP_REDIRECT, uri, status)
end)

function rt.get_phase()
    local r = rt.r
    local phase = r and r.phase or "init"
    return phase == "ssl_certificate" and "ssl_cert" or phase
end
rawset(ngx, "get_phase", rt.get_phase)
