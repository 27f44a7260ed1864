-- ngx.errlog. https://github.com/openresty/lua-resty-core/blob/master/lib/ngx/errlog.md

local rt = ...

local type, error = type, error
local py = rt.py

local errlog = {}

function errlog.set_filter_level(level)
    if not level then
        return nil, 'missing "level" argument'
    end
    local err = py.errlog_set_level(level)
    if err then
        return nil, err
    end
    return true
end

function errlog.get_logs(max, logs)
    logs = logs or {}
    local count = 0
    for _ = 1, max or 10 do
        local level, time, message = py.errlog_take()
        if level == false then
            return nil, time
        elseif not level then
            break
        end
        logs[count + 1], logs[count + 2], logs[count + 3] = level, time, message
        count = count + 3
    end
    logs[count + 1] = nil
    return logs
end

function errlog.get_sys_filter_level()
    return py.errlog_level()
end

function errlog.raw_log(level, msg)
    if type(level) ~= "number" then
        error("bad argument #1 to 'raw_log' (must be a number)", 2)
    elseif type(msg) ~= "string" then
        error("bad argument #2 to 'raw_log' (must be a string)", 2)
    elseif level < 0 or level > 8 then
        error("bad log level", 2)
    end
    py.log(level - level % 1, msg)
end

package.preload["ngx.errlog"] = function()
    errlog.version = require("resty.core.base").version
    return errlog
end
