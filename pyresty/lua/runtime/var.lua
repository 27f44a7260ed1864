-- ngx.var and ngx.ctx. https://github.com/openresty/lua-nginx-module#ngxvarvariable

local rt = ...

local type, rawset, setmetatable, error, tostring = type, rawset, setmetatable, error, tostring
local py = rt.py
local get_var, set_var = py.get_var, py.set_var

local NO_REQUEST = "no request found"

rawset(ngx, "var", setmetatable({}, {
    __index = function(_, key)
        rt.require_request(2)
        if type(key) == "number" then
            return py.get_capture(key)
        end
        if type(key) ~= "string" then
            error("bad variable name", 2)
        end
        return get_var(key)
    end,
    __newindex = function(_, key, value)
        rt.require_request(2)
        if type(key) ~= "string" then
            error("bad variable name", 2)
        end
        if value ~= nil and type(value) ~= "string" then
            value = tostring(value)
        end
        local err = set_var(key, value)
        if err then
            error(err, 2)
        end
    end,
}))

rt.getters.ctx = function()
    local r = rt.r
    if not r or r.phase == "init" then
        error(NO_REQUEST, 2)
    end
    local ctx = r.ctx
    if not ctx then
        ctx = {}
        r.ctx = ctx
    end
    return ctx
end

rt.setters.ctx = function(value)
    local r = rt.r
    if not r or r.phase == "init" then
        error(NO_REQUEST, 2)
    end
    if type(value) ~= "table" then
        error("ctx should be a table while getting a " .. type(value), 2)
    end
    r.ctx = value
end

