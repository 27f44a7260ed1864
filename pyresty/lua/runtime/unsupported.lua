-- What OpenResty has and pyresty does not have yet: calling it, or requiring the module, says so by name with the user's file and line.

local rt = ...

local pairs, error, setmetatable, rawget, rawset = pairs, error, setmetatable, rawget, rawset

local function refuse(name)
    return function()
        error(name .. " is not supported by pyresty yet", 2)
    end
end

local functions = {
    thread = { "spawn", "wait", "kill" },
    timer = { "at", "every", "running_count", "pending_count" },
}

for group, names in pairs(functions) do
    local t = {}
    for _, name in pairs(names) do
        t[name] = refuse("ngx." .. group .. "." .. name)
    end
    rawset(ngx, group, t)
end

rawset(ngx, "on_abort", refuse("ngx.on_abort"))
rawset(ngx, "run_worker_thread", refuse("ngx.run_worker_thread"))

-- lua_shared_dict is refused at start, so there is no dictionary.
rawset(ngx, "shared", {})

setmetatable(ndk.set_var, {
    __index = function(_, name)
        error("ndk.set_var." .. name .. " is not supported by pyresty yet", 2)
    end,
})

for _, name in pairs({ "semaphore", "balancer", "ssl", "ssl.session", "ssl.clienthello", "ssl.proxysslcert", "ssl.proxysslverify", "ocsp",
    "process", "pipe", "errlog", "resp", "req", "base64" }) do
    name = "ngx." .. name
    package.preload[name] = function()
        error("module '" .. name .. "' is not supported by pyresty yet", 3)
    end
end
