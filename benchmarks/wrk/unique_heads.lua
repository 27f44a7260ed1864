-- wrk: no two requests have the same head, neither in one run nor in runs after each other (which start seconds apart,
-- and send fewer than a million requests in a second).
-- https://github.com/wg/wrk/blob/master/SCRIPTING

local n = os.time() * 1e6
local before, between, after

function init()
    before = "GET " .. wrk.path .. "?n="
    between = " HTTP/1.1\r\nHost: " .. wrk.host .. ":" .. wrk.port .. "\r\nX-Request-Id: "
    after = "\r\n\r\n"
end

function request()
    n = n + 1
    local id = string.format("%.0f", n)
    return before .. id .. between .. id .. after
end
