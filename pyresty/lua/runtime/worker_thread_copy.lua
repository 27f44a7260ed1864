-- Values as bytes and back, for ngx.run_worker_thread: strings, numbers, booleans, nil, ngx.null, and tables of them, without metatables.

local rt = ...

local type, pairs, select, pcall = type, pairs, select, pcall
local buffer = require("string.buffer")

local MAX_DEPTH = 100
local null = ngx.null
local REFUSED = { ["function"] = "LUA_TFUNCTION", userdata = "LUA_TUSERDATA", thread = "LUA_TTHREAD" }

-- Why a value can't be copied, or nil.
local function refused(value, depth)
    local kind = type(value)
    if kind == "table" then
        if depth >= MAX_DEPTH then
            return "suspicious circular references, table depth exceed max depth: " .. MAX_DEPTH
        end
        for key, inner in pairs(value) do
            local err = refused(key, depth + 1) or refused(inner, depth + 1)
            if err then
                return err
            end
        end
    elseif kind == "cdata" then
        return "unsupported Lua type"
    elseif REFUSED[kind] and value ~= null then
        return "unsupported Lua type: " .. REFUSED[kind]
    end
end

-- n values as one string; or nil and why not.
function rt.pack(n, ...)
    local out = buffer.new()
    for i = 1, n do
        local value = select(i, ...)
        local err = refused(value, 1)
        if err then
            return nil, err
        end
        local ok = pcall(out.encode, out, value)
        if not ok then -- a table that is the key of another
            return nil, "unsupported Lua type"
        end
    end
    return out:get()
end

local function decoded(n, data)
    if n > 0 then
        return data:decode(), decoded(n - 1, data)
    end
end

-- The n values in a string.
function rt.unpack(n, text)
    return decoded(n, buffer.new():set(text))
end
