-- ngx.run_worker_thread, on the side of the caller. https://github.com/openresty/lua-nginx-module#ngxrun_worker_thread
-- Arguments and results cross as what string.buffer makes of them, one after the other. (worker_thread_copy.lua).

local rt = ...

local rawset, select, type = rawset, select, type
local py, wait = rt.py, rt.wait

local OP = rt.ops.run_worker_thread
local YIELDING = rt.phases(rt.YIELDING)

local function text(value)
    local kind = type(value)
    return (kind == "string" or kind == "number") and value .. "" or nil
end

rawset(ngx, "run_worker_thread", function(...)
    rt.require_phase(YIELDING, 2)
    local n = select("#", ...)
    if n < 3 then
        return false, "expecting at least 3 arguments"
    end
    local pool, module, name = ...
    pool, module, name = text(pool), text(module), text(name)
    if not pool then
        return false, "threadpool should be a string"
    elseif not py.thread_pool_known(pool) then
        return false, "thread pool " .. pool .. " not found"
    elseif not module then
        return false, "module name should be a string"
    elseif not name then
        return false, "function name should be a string"
    end
    local data, err = rt.pack(n - 3, select(4, ...))
    if not data then
        return false, err .. " in the argument"
    end
    local ok, count, results = wait(OP, pool, package.path, package.cpath, module, name, n - 3, data)
    if not ok then
        return false, count
    end
    return true, rt.unpack(count, results)
end)
