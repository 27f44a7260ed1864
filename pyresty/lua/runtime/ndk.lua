-- ndk.set_var.DIRECTIVE(value): what a directive that sets a variable would set it to.
-- https://github.com/openresty/lua-nginx-module#ndkset_vardirective

local rt = ...

local type, tostring, setmetatable, error = type, tostring, setmetatable, error
local py = rt.py
local has_set_var, call_set_var = py.has_set_var, py.call_set_var

setmetatable(ndk.set_var, {
    __index = function(_, name)
        name = tostring(name)
        if not has_set_var(name) then
            error('ndk.set_var: directive "' .. name .. '" not found or does not use ndk_set_var_value', 2)
        end
        return function(value)
            local r = rt.r
            if not r or r.phase == "init" then
                error("no request found", 2)
            end
            if type(value) ~= "string" then
                value = tostring(value)
            end
            local made = call_set_var(name, value)
            if not made then
                error("calling directive " .. name .. " failed with code -1", 2)
            end
            return made
        end
    end,
    __newindex = function()
        error("not allowed", 2)
    end,
})
