-- Way 3: a subrequest with POST. The arguments go in the body, so they are in no access log.

local relay = require "relay"
local req = require "req"

local res = ngx.location.capture("/user/login", {
    method = ngx.HTTP_POST,
    body = ngx.encode_args(req.getArgs()),
})

relay.answer(res, "capture POST")
