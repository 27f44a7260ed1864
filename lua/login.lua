-- The service: is this the right name and password? Answers {"ret": true, "token": "..."} or {"ret": false}.

local cjson = require "cjson"
local req = require "req"

local args = req.getArgs()

local answer = { ret = args.username == "admin" and args.password == "admin" }
if answer.ret then
    -- For an example. A real token is random and remembered.
    answer.token = ngx.md5("admin/" .. ngx.time())
end

ngx.say(cjson.encode(answer))
