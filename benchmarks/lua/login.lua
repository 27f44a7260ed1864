-- The login service, where the documents' own login.lua is not at hand: equal work, equal answer.

local cjson = require "cjson"
local req = require "req"

local args = req.getArgs()
local answer = { ret = false }

if args.username == "admin" and args.password == "admin" then
    answer.ret = true
    answer.token = ngx.md5("admin/" .. ngx.time())
end

ngx.say(cjson.encode(answer))
