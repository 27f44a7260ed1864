-- ngx.process. https://github.com/openresty/lua-resty-core/blob/master/lib/ngx/process.md

local rt = ...

local type = type
local py = rt.py

local process = {}

function process.type()
    return py.process_type()
end

function process.enable_privileged_agent(connections)
    if rt.get_phase() ~= "init" then
        return nil, "API disabled in the current context"
    end
    connections = connections or 512
    if type(connections) ~= "number" or connections < 0 then
        return nil, "bad 'connections' argument: number expected and greater than 0"
    end
    py.process_enable_agent()
    return true
end

function process.signal_graceful_exit()
    py.process_quit()
end

function process.get_master_pid()
    return py.process_master_pid()
end

package.preload["ngx.process"] = function()
    process.version = require("resty.core.base").version
    return process
end
