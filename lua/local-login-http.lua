-- Way 4: a request over a connection of its own. Nothing of the browser's goes along unless it is named here.

local http = require "resty.http"
local relay = require "relay"
local req = require "req"

local httpc = http.new()
httpc:set_timeout(5000) -- milliseconds

local res, err = httpc:request_uri("http://127.0.0.1:8080/user/login", {
    method = "POST",
    body = ngx.encode_args(req.getArgs()),
    headers = { ["Content-Type"] = "application/x-www-form-urlencoded" },
})

relay.answer(res, "resty.http", err)
