-- What runs a task of ngx.run_worker_thread in a VM of its own, and leaves there only what OpenResty has in such a VM.

local rt = ...

local require, type, tostring, pcall, select, pairs, rawset = require, type, tostring, pcall, select, pairs, rawset

local KEPT = {
    config = true, shared = true, encode_args = true, decode_args = true, quote_sql_str = true, decode_base64 = true,
    encode_base64 = true, decode_base64mime = true, crc32_short = true, crc32_long = true, md5 = true, md5_bin = true, sha1_bin = true,
    hmac_sha1 = true, escape_uri = true, unescape_uri = true,
}
for name in pairs(ngx) do
    if not KEPT[name] then
        rawset(ngx, name, nil)
    end
end
ndk, package.loaded.ndk = nil, nil

local function message(err)
    local kind = type(err)
    return (kind == "string" or kind == "number") and tostring(err) or nil
end

local function results(ok, ...)
    if not ok then
        return false, message((...))
    end
    local n = select("#", ...)
    local data, err = rt.pack(n, ...)
    if not data then
        return false, err .. " in the return value"
    end
    return true, n, data
end

-- Call function `name` of a module with the n arguments in `data`: true, the number of results and the results; or false and why not.
function rt.call(module, name, n, data)
    local ok, loaded = pcall(require, module)
    if not ok then
        return false, message(loaded)
    elseif type(loaded) ~= "table" then
        return false, "invalid lua module"
    end
    local fn = loaded[name]
    if type(fn) ~= "function" then
        return false, "invalid function"
    end
    return results(pcall(fn, rt.unpack(n, data)))
end

rt.tidy = collectgarbage
