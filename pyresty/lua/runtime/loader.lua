-- Code loading: chunks are compiled once and run many times; require finds the user's modules first and the bundled library last.
--
-- With lua_code_cache on a chunk is a function that shares the globals. With it off every chunk is a factory (the source wrapped so
-- that running it gives a fresh function), and each request gets fresh globals and a fresh package.loaded: module state does not
-- leak between requests, but nothing is compiled twice and traces stay.

local rt = ...

local load, loadstring, setfenv, setmetatable, type, error, tostring, rawset, rawget, pairs =
    load, loadstring, setfenv, setmetatable, type, error, tostring, rawset, rawget, pairs
local byte, sub, find, gsub = string.byte, string.sub, string.find, string.gsub
local co_running = coroutine.running
local WARN = 5
local py = rt.py
local G = _G

local chunks = {} -- number → function (code cache on), or factory of functions (off)
local fresh = {} -- number → true for factories
local names = {} -- chunk names of factories, for tracebacks

-- Compile; answers an error message, or nil. Bytecode cannot be wrapped: it is loaded anew for each instance.
function rt.compile(number, source, name, factory)
    if byte(source, 1) == 35 then -- "#": the first line is skipped, as luaL_loadfile does
        local eol = find(source, "\n", 1, true)
        source = eol and sub(source, eol) or ""
    end
    local fn, err = load(source, name)
    if not fn then
        return err
    end
    if factory then
        if byte(source, 1) == 27 then
            chunks[number] = function()
                return setfenv(load(source, name), rt.r.env)
            end
        else
            local made
            made, err = load("return function(...) " .. source .. "\nend", name)
            if not made then
                return err
            end
            chunks[number] = made
            names[gsub(name, "^[=@]", "")] = true
        end
        fresh[number] = true
    else
        chunks[number] = fn
        fresh[number] = nil
    end
end

-- In a factory the user's main chunk is a function that starts in line 1.
function rt.is_main_chunk(info)
    return info.linedefined == 1 and names[info.short_src] or false
end

local base = {} -- what fresh globals start with, beside what they inherit from the real ones

local function load_fresh(name, level)
    local r = rt.r
    local loaded = r and r.loaded
    if not loaded then
        return rt.require(name)
    end
    local module = loaded[name]
    if module ~= nil then
        return module
    end
    local shared = rt.shared_modules[name]
    if shared ~= nil then
        return shared
    end
    if sub(name, 1, 8) == "pyresty." then -- internals of the bundled library hold no state of a request
        return rt.require(name)
    end
    local preload = package.preload[name]
    if preload == nil then
        local number, source, chunkname = py.module(name)
        if not number then
            -- not Lua source: a C module, or nowhere to be found; the real require says so
            return rt.require(name)
        end
        if source then
            local err = rt.compile(number, source, chunkname, true)
            if err then
                error("error loading module '" .. name .. "' from file '" .. sub(chunkname, 2) .. "':\n\t" .. err, level + 1)
            end
        end
        local factory = chunks[number]
        setfenv(factory, r.env)
        preload = factory()
    end
    local result = preload(name)
    if result ~= nil then
        loaded[name] = result
    elseif loaded[name] == nil then
        loaded[name] = true
    end
    return loaded[name]
end

base.require = function(name)
    if type(name) ~= "string" then
        if type(name) ~= "number" then
            error("bad argument #1 to 'require' (string expected, got " .. (name == nil and "no value" or type(name)) .. ")", 2)
        end
        name = tostring(name)
    end
    return load_fresh(name, 2)
end

-- Writing a global while serving is a mistake worth a warning, as in OpenResty.
local function write_global(t, key, value)
    rawset(t, key, value)
    local r = rt.r
    if r and r.phase ~= "init" and r.phase ~= "init_worker" then
        py.log(WARN, "[lua] _G write guard:12: __newindex(): writing a global Lua variable ('" .. tostring(key) .. "') which may lead to race "
            .. "conditions between concurrent requests, so prefer the use of 'local' variables\nstack traceback:\n"
            .. rt.walk(co_running(), 3))
    end
end

function rt.guard_globals()
    setmetatable(G, { __newindex = write_global })
end

local inherit = { __index = G, __newindex = write_global }

local function fresh_env(r)
    local env = { require = base.require }
    env._G = env
    local loaded = { _G = env }
    env.package = setmetatable({ loaded = loaded }, { __index = package })
    r.env, r.loaded = setmetatable(env, inherit), loaded
    return env
end

-- The function to run for chunk `number` in the request `r`.
function rt.instance(number, r)
    local fn = chunks[number]
    if not fn then
        return nil, "no chunk " .. number
    end
    if not fresh[number] then
        return fn
    end
    setfenv(fn, r.env or fresh_env(r))
    return fn()
end

-- The real require: the bundled library is found last.
table.insert(package.loaders, function(name)
    local path = py.bundled(name)
    if not path then
        return "\n\tno bundled module '" .. name .. "'"
    end
    local f = io.open(path, "rb")
    local source = f:read("*a")
    f:close()
    local fn, err = load(source, "@" .. path)
    if not fn then
        error(err)
    end
    return fn
end)
rt.require = require

-- Modules that are the same for every request even with lua_code_cache off.
rt.shared_modules = {}
for _, name in pairs({ "string", "table", "math", "io", "os", "bit", "jit", "ffi", "debug", "coroutine", "string.buffer", "table.new",
    "table.clear", "jit.opt", "jit.util" }) do
    local ok, module = pcall(require, name)
    if ok then
        rt.shared_modules[name] = module
    end
end

-- A structure may be declared once in the life of the VM, but modules run again for each request: the same text is declared once.
local ffi = require("ffi")
local cdef, declared = ffi.cdef, {}
ffi.cdef = function(text, ...)
    if select("#", ...) > 0 then
        return cdef(text, ...)
    end
    if not declared[text] then
        cdef(text)
        declared[text] = true
    end
end
