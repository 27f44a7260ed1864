-- ngx.config and ngx.worker. https://github.com/openresty/lua-nginx-module#ngxconfigsubsystem

local rt = ...

local py, rawset = rt.py, rawset

-- A function of Python's as a function of Lua's, for callers without arguments.
local function reader(name)
    local read = py[name]
    return function()
        return read()
    end
end

rawset(ngx, "config", {
    subsystem = "http",
    debug = false,
    nginx_version = py.nginx_version(),
    ngx_lua_version = py.ngx_lua_version(),
    prefix = reader("prefix"),
    nginx_configure = reader("nginx_configure"),
})

rawset(ngx, "worker", {
    pid = reader("worker_pid"),
    id = reader("worker_id"),
    count = reader("worker_count"),
    exiting = reader("worker_exiting"),
    pids = function()
        local phase = rt.get_phase()
        if phase == "init" or phase == "init_worker" then
            return nil, "API disabled in the current context"
        end
        return { py.worker_pids() }
    end,
})
