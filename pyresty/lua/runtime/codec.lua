-- Digests, base64, checksums and ngx.quote_sql_str. https://github.com/openresty/lua-nginx-module#ngxmd5

local rt = ...

local type, rawset, error, select = type, rawset, error, select
local find, gsub = string.find, string.gsub
local py, text_of, check_string = rt.py, rt.text_of, rt.check_string

-- What takes any value and makes it a string, nil and false the empty one.
for _, name in ipairs({ "md5", "md5_bin", "sha1_bin", "crc32_short" }) do
    local digest = py[name]
    rawset(ngx, name, function(s)
        if type(s) ~= "string" then
            s = text_of(s)
        end
        return digest(s)
    end)
end
-- The two differ only in what they are optimised for.
rawset(ngx, "crc32_long", ngx.crc32_short)

local encode_base64, decode_base64, decode_base64mime, hmac_sha1 = py.encode_base64, py.decode_base64, py.decode_base64mime, py.hmac_sha1

rawset(ngx, "encode_base64", function(s, no_padding)
    if type(s) ~= "string" then
        s = text_of(s)
    end
    if no_padding and no_padding ~= true then
        error("bad no_padding: boolean expected, got " .. type(no_padding), 2)
    end
    return encode_base64(s, no_padding or false)
end)

rawset(ngx, "decode_base64", function(s)
    if type(s) ~= "string" then
        error("string argument only", 2)
    end
    return decode_base64(s)
end)

rawset(ngx, "decode_base64mime", function(s)
    if type(s) ~= "string" then
        error("string argument only", 2)
    end
    return decode_base64mime(s)
end)

rawset(ngx, "hmac_sha1", function(...)
    local n = select("#", ...)
    if n ~= 2 then
        error("expecting 2 arguments, but got " .. n, 2)
    end
    local key, text = ...
    return hmac_sha1(check_string(key, 1, 2), check_string(text, 2, 2))
end)

local QUOTED = {
    ["\0"] = "\\0", ["\b"] = "\\b", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\26"] = "\\Z", ["\\"] = "\\\\", ["'"] = "\\'",
    ['"'] = '\\"',
}

rawset(ngx, "quote_sql_str", function(...)
    if select("#", ...) ~= 1 then
        error("expecting one argument", 2)
    end
    local s = check_string((...), 1, 2)
    if find(s, "[%z\b\n\r\t\26\\'\"]") then
        s = gsub(s, "[%z\b\n\r\t\26\\'\"]", QUOTED)
    end
    return "'" .. s .. "'"
end)
