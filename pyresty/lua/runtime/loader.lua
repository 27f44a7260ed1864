-- Code loading: chunks are compiled once and run many times; require finds the user's modules first and the bundled library last.
--
-- With lua_code_cache on a chunk is a function that shares the globals. With it off every chunk is a factory (the source wrapped so
-- that running it gives a fresh function), and each request gets fresh globals and a fresh package.loaded: module state does not
-- leak between requests, but nothing is compiled twice and traces stay.

local rt = ...

local load, setfenv, setmetatable, type, error, pcall, select, tostring, rawset, rawget, pairs =
    load, setfenv, setmetatable, type, error, pcall, select, tostring, rawset, rawget, pairs
local byte, sub, find = string.byte, string.sub, string.find
local co_running, getinfo = coroutine.running, debug.getinfo
local ERR, WARN = 4, 5
local py = rt.py
local G = _G

local chunks = {} -- number → function (code cache on), or factory of functions (off)
local fresh = {} -- number → true for factories

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
        end
        fresh[number] = true
    else
        chunks[number] = fn
        fresh[number] = nil
    end
end

-- What a factory has made, for tracebacks: the user's main chunk is a function there.
local mains = setmetatable({}, { __mode = "k" })
rt.mains = mains

local base = {} -- what fresh globals start with, beside what they inherit from the real ones

local LOADING = newproxy() -- stands for a module that is being loaded, or whose loading failed

-- (Errors are at level 2: this is called by a tail call.)
local function load_fresh(name)
    local r = rt.r
    local loaded = r and r.loaded
    if not loaded then
        return rt.require(name)
    end
    local module = loaded[name]
    if module == LOADING then
        -- the caller may have been called by us, having called us in turn by a tail call
        local caller = getinfo(2, "S")
        error("loop or previous error loading module '" .. name .. "'", caller.short_src ~= "(pyresty)" and 2 or 0)
    elseif module then
        return module
    end
    if sub(name, 1, 8) == "pyresty." then -- internals of the bundled library hold no state of a request
        return rt.require(name)
    end
    local preload = package.preload[name]
    if preload == nil then
        local number, source, chunkname = py.module(name, r.env.package.path)
        if not number then
            -- not Lua source: a C module, or nowhere to be found; the real require says so
            return rt.require(name)
        end
        if source then
            local err = rt.compile(number, source, chunkname, true)
            if err then
                py.forget_module(sub(chunkname, 2))
                error("error loading module '" .. name .. "' from file '" .. sub(chunkname, 2) .. "':\n\t" .. err, 2)
            end
        end
        local factory = chunks[number]
        setfenv(factory, r.env)
        preload = factory()
        mains[preload] = true
    end
    loaded[name] = LOADING
    -- called out of a table by number: a local's name would show up in log lines and tracebacks
    local result = ({ preload })[1](name)
    if result ~= nil then
        loaded[name] = result
    elseif loaded[name] == LOADING then
        loaded[name] = true
    end
    return loaded[name]
end

base.require = function(name)
    if type(name) ~= "string" then
        if type(name) ~= "number" then
            rt.bad_argument(1, "string expected, got " .. type(name), 2)
        end
        name = tostring(name)
    end
    return load_fresh(name)
end

-- module(…) with lua_code_cache off: the table belongs to this request.
local function fresh_module(name, ...)
    local r = rt.r
    local module = r.loaded[name]
    if type(module) ~= "table" then
        module = r.env
        for part in name:gmatch("[^.]+") do
            local inner = rawget(module, part)
            if inner == nil then
                inner = {}
                rawset(module, part, inner)
            elseif type(inner) ~= "table" then
                error("name conflict for module '" .. name .. "'", 2)
            end
            module = inner
        end
        r.loaded[name] = module
    end
    if rawget(module, "_NAME") == nil then
        module._M, module._NAME, module._PACKAGE = module, name, name:match("^(.*%.)[^.]*$") or ""
    end
    setfenv(2, module)
    for i = 1, select("#", ...) do
        (select(i, ...))(module)
    end
end

-- Writing a global while serving is a mistake worth a warning, as in OpenResty.
local function write_global(t, key, value)
    rawset(t, key, value)
    local r = rt.r
    if r and r.phase ~= "init" and r.phase ~= "init_worker" then
        py.log(WARN, "[lua] _G write guard:12: __newindex(): writing a global Lua variable ('" .. tostring(key) .. "') which may lead to race "
            .. "conditions between concurrent requests, so prefer the use of 'local' variables\nstack traceback:\n"
            .. rt.walk(co_running(), 4))
    end
end

function rt.guard_globals()
    setmetatable(G, { __newindex = write_global })
end

local inherit = { __newindex = write_global }
local standard = {} -- modules that are the same for every request even with lua_code_cache off
local with_standard = { __index = standard }

local function fresh_env(r)
    local env = { require = base.require, module = fresh_module }
    env._G = env
    env.package = setmetatable({}, { __index = package })
    local loaded = setmetatable({ _G = env, package = env.package }, with_standard)
    env.package.loaded = loaded
    r.env, r.loaded = setmetatable(env, inherit), loaded
    local init = rt.init and chunks[rt.init]
    if init then
        -- As in OpenResty, where each request has a new VM then, init_by_lua runs for each.
        local phase = r.phase
        r.phase = "init"
        setfenv(init, env)
        local ok, err = pcall(init())
        r.phase = phase
        if not ok then
            py.log(ERR, "init_by_lua error: " .. tostring(err))
        end
    end
    return env
end

-- To be called before init_by_lua runs: what requests with lua_code_cache off find in their globals is what is there now.
function rt.keep_globals()
    local kept = {}
    for key, value in pairs(G) do
        kept[key] = value
    end
    inherit.__index = kept
    standard.ngx, standard.ndk = ngx, ndk
    standard["resty.core"] = rt.require("resty.core")
end

-- With lua_code_cache off, `number` is the factory of init_by_lua.
function rt.set_init(number)
    rt.init = number
end

-- The function to run for chunk `number` in the request `r`, and its globals if they are not the real ones.
function rt.instance(number, r)
    local fn = chunks[number]
    if not fn then
        return nil, "no chunk " .. number
    end
    if not fresh[number] then
        return fn
    end
    local env = r.env or fresh_env(r)
    setfenv(fn, env)
    fn = fn()
    mains[fn] = true
    return fn, env
end

-- The real require: the bundled library is found last, but what would need nginx's C functions before the user's copy.

local function bundled(name)
    local path = py.bundled(name)
    if not path then
        return ""
    end
    local f = io.open(path, "rb")
    local source = f:read("*a")
    f:close()
    local fn, err = load(source, "@" .. path)
    if not fn then
        error(err)
    end
    return fn
end

table.insert(package.loaders, 2, function(name)
    return py.ours_first(name) and bundled(name) or ""
end)
table.insert(package.loaders, bundled)
rt.require = require

for _, name in pairs({ "string", "table", "math", "io", "os", "bit", "jit", "ffi", "debug", "coroutine", "string.buffer", "table.new",
    "table.clear", "jit.opt", "jit.util" }) do
    local ok, module = pcall(require, name)
    if ok then
        standard[name] = module
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
