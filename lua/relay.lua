-- What the three local-login pages share: pass the service's answer on to the browser with two fields added.

local cjson = require "cjson"

local _M = {}

--- Answers the browser.
-- @param res the service's response (`status` and `body` are read), or nil if there was none
-- @param way how the service was asked, for the answer's `way`
-- @param err why there was no response
function _M.answer(res, way, err)
    local answer
    if res and res.status == ngx.HTTP_OK then
        answer = cjson.decode(res.body)
    else
        ngx.log(ngx.ERR, "login service, asked by ", way, ": ", err or res.status)
        ngx.status = ngx.HTTP_BAD_GATEWAY
        answer = { ret = false }
    end

    answer.from = "local"
    answer.way = way
    ngx.say(cjson.encode(answer))
end

return _M
