-- ngx.log and print. https://github.com/openresty/lua-nginx-module#ngxlog

local rt = ...

local type, select, tostring, tonumber, rawset, getmetatable, rawget = type, select, tostring, tonumber, rawset, getmetatable, rawget
local getinfo = debug.getinfo
local concat = table.concat
local bad_argument = rt.bad_argument
local py = rt.py
local null = ngx.null

-- "file.lua:12: name(): " for the caller at `level`.
local function position(level)
    local info = getinfo(level + 1, "Sln")
    if not info then
        return ""
    end
    local source = info.short_src
    local name = source:match("([^/]*)$") or source
    local text = name .. ":" .. (info.currentline > 0 and info.currentline or info.linedefined) .. ": "
    if info.namewhat ~= "" and info.what == "Lua" then
        text = text .. info.name .. "(): "
    end
    return text
end

local function join(first, name, ...)
    local parts = {}
    for i = first, select("#", ...) do
        local value = select(i, ...)
        local kind = type(value)
        if kind == "string" then
            parts[#parts + 1] = value
        elseif kind == "number" or kind == "boolean" or kind == "nil" then
            parts[#parts + 1] = value == 0 and "0" or tostring(value)
        elseif value == null then
            parts[#parts + 1] = "null"
        elseif kind == "table" and getmetatable(value) and rawget(getmetatable(value) or {}, "__tostring") then
            parts[#parts + 1] = tostring(value)
        elseif kind == "table" then
            bad_argument(i, "expected table to have __tostring metamethod", 3)
        else
            bad_argument(i, "string, number, boolean, or nil expected, got " .. kind, 3)
        end
    end
    return concat(parts)
end

rawset(ngx, "log", function(level, ...)
    if type(level) ~= "number" then
        local number = tonumber(level)
        if not number then
            bad_argument(1, "number expected, got " .. (level == nil and "no value" or type(level)), 2)
        end
        level = number
    end
    level = level - level % 1
    if level < 0 or level > 8 then
        bad_argument(1, "bad log level: " .. level, 2)
    end
    if py.log_enabled(level) then
        py.log(level, "[lua] " .. position(2) .. join(1, "log", ...))
    end
end)

function print(...)
    if py.log_enabled(6) then
        py.log(6, "[lua] " .. position(2) .. join(1, "print", ...))
    end
end
