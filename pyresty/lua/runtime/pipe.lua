-- ngx.pipe. https://github.com/openresty/lua-resty-core/blob/master/lib/ngx/pipe.md

local rt = ...

local type, error, tostring, tonumber, setmetatable, getmetatable, ipairs, unpack =
    type, error, tostring, tonumber, setmetatable, getmetatable, ipairs, unpack
local newproxy = newproxy
local find, concat = string.find, table.concat
local py, wait, success = rt.py, rt.wait, rt.success

local OP_READ, OP_WRITE, OP_WAIT = rt.ops.pipe_read, rt.ops.pipe_write, rt.ops.pipe_wait
local YIELDING = rt.phases(rt.YIELDING)
local MAX_TIMEOUT = 0xffffffff
local STDOUT, STDERR = 0, 1
local ALL, BYTES, LINE, ANY = 0, 1, 2, 3

local pipe, methods = {}, {}
local of_process = { __index = methods }

local function check(proc)
    if type(proc) ~= "table" or getmetatable(proc) ~= of_process then
        error("not a process instance", 3)
    end
end

local TIMEOUTS = { "write_timeout", "stdout_read_timeout", "stderr_read_timeout", "wait_timeout" }

local function set_timeouts(proc, values)
    for i = 1, 4 do
        local value = values[i]
        if value then
            if value < 0 or value > MAX_TIMEOUT then
                error("bad " .. TIMEOUTS[i] .. " option", 3)
            end
            proc[TIMEOUTS[i]] = value
        end
    end
end

function methods.set_timeouts(proc, ...)
    set_timeouts(proc, { ... })
end

function methods.pid(proc)
    return proc.process_id
end

local function read(proc, which, kind, size)
    check(proc)
    rt.require_phase(YIELDING, 3)
    return wait(OP_READ, proc.number, which, kind, size, which == STDOUT and proc.stdout_read_timeout or proc.stderr_read_timeout)
end

for name, which in pairs({ stdout = STDOUT, stderr = STDERR }) do
    methods[name .. "_read_all"] = function(proc)
        local data, err, partial = read(proc, which, ALL, 0)
        return data, err, partial
    end
    methods[name .. "_read_line"] = function(proc)
        local data, err, partial = read(proc, which, LINE, 0)
        return data, err, partial
    end
    methods[name .. "_read_bytes"] = function(proc, len)
        if len <= 0 then
            if len < 0 then
                error("bad len argument", 2)
            end
            return ""
        end
        local data, err, partial = read(proc, which, BYTES, len)
        return data, err, partial
    end
    methods[name .. "_read_any"] = function(proc, max)
        max = tonumber(max)
        if not max or max <= 0 then
            error("bad max argument", 2)
        end
        local data, err, partial = read(proc, which, ANY, max)
        return data, err, partial
    end
end

function methods.write(proc, data)
    check(proc)
    local kind = type(data)
    if kind == "table" then
        data = concat(data, "")
    elseif kind == "number" then
        data = tostring(data)
    elseif kind ~= "string" then
        error("bad data arg: string, number, or table expected, got " .. kind, 2)
    end
    rt.require_phase(YIELDING, 2)
    return wait(OP_WRITE, proc.number, data, proc.write_timeout)
end

function methods.wait(proc)
    check(proc)
    rt.require_phase(YIELDING, 2)
    return wait(OP_WAIT, proc.number, proc.wait_timeout)
end

function methods.shutdown(proc, direction)
    check(proc)
    if direction ~= "stdin" and direction ~= "stdout" and direction ~= "stderr" then
        error("bad shutdown arg: " .. direction, 2)
    end
    return success(py.pipe_shutdown(proc.number, direction))
end

function methods.kill(proc, signal)
    check(proc)
    if type(signal) ~= "number" then
        error("bad signal arg: number expected, got " .. tostring(signal), 2)
    end
    return success(py.pipe_kill(proc.number, signal))
end

-- The words of a command.
local function words_of(args)
    local kind = type(args)
    if kind == "string" then
        return { "/bin/sh", "-c", args }
    elseif kind ~= "table" then
        error("bad args arg: table expected, got " .. kind, 3)
    end
    local words = {}
    for i, arg in ipairs(args) do
        words[i] = tostring(arg)
    end
    if #words == 0 then
        error("bad args arg: non-empty table expected", 3)
    end
    return words
end

-- Add the entries of the environment to `words`; whether there are any.
local function add_environ(words, environ)
    if type(environ) ~= "table" then
        error("bad environ option: table expected, got " .. type(environ), 3)
    end
    local given = false
    for i, entry in ipairs(environ) do
        local bad = "bad value at index " .. i .. " of environ option: "
        if type(entry) ~= "string" then
            error(bad .. "string expected, got " .. type(entry), 3)
        elseif not find(entry, "=", 2, true) then
            error(bad .. "'name=[value]' format expected, got '" .. entry .. "'", 3)
        end
        words[#words + 1] = entry
        given = true
    end
    return given
end

function pipe.spawn(args, opts)
    if rt.get_phase() == "init" then
        error("API disabled in the current context", 2)
    end
    local words = words_of(args)
    local count, given = #words, false
    opts = opts or {}
    if opts.buffer_size then
        local size = tonumber(opts.buffer_size)
        if not size or size < 1 then
            error("bad buffer_size option", 2)
        end
    end
    if opts.environ then
        given = add_environ(words, opts.environ)
    end
    local proc = { write_timeout = 10000, stdout_read_timeout = 10000, stderr_read_timeout = 10000, wait_timeout = 10000 }
    set_timeouts(proc, { opts.write_timeout, opts.stdout_read_timeout, opts.stderr_read_timeout, opts.wait_timeout })
    local number, pid = py.pipe_spawn(count, opts.merge_stderr and true or false, given, unpack(words))
    if not number then
        return nil, pid
    end
    proc.number, proc.process_id = number, pid
    proc.guard = newproxy(true)
    getmetatable(proc.guard).__gc = function()
        py.pipe_destroy(number)
    end
    return setmetatable(proc, of_process)
end

package.preload["ngx.pipe"] = function()
    pipe.version = require("resty.core.base").version
    return pipe
end
