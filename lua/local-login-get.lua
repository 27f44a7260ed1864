-- Way 2: a subrequest with GET. The arguments go in the address; the browser's own headers go along.

local relay = require "relay"
local req = require "req"

local res = ngx.location.capture("/user/login", {
    method = ngx.HTTP_GET,
    args = req.getArgs(),
})

relay.answer(res, "capture GET")
