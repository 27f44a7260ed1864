-- ngx.exit, ngx.exec, ngx.redirect: the handler ends here; its thread is never resumed.
-- https://github.com/openresty/lua-nginx-module#ngxexit

local rt = ...

local type, rawset, error, tostring = type, rawset, error, tostring
local wait, py = rt.wait, rt.py
local bad_argument, require_phase, require_request = rt.bad_argument, rt.require_phase, rt.require_request

local OP_EXIT, OP_EXEC, OP_REDIRECT = rt.ops.exit, rt.ops.exec, rt.ops.redirect
local WAITING = rt.phases("rewrite access content")
local SENDING = rt.phases("rewrite access content")

rawset(ngx, "exit", function(status)
    local r = require_request(2)
    if type(status) ~= "number" then
        bad_argument(1, "exit", "number expected, got " .. (status == nil and "no value" or type(status)), 2)
    end
    if WAITING[r.phase] then
        wait(OP_EXIT, status)
    end
    py.set_exit(status)
end)
