-- The module `req` that the documents' login.lua needs and the documents do not print.

local _M = {}

--- Query arguments and, on POST, form arguments over them, in one table.
-- https://github.com/openresty/lua-nginx-module#ngxreqget_post_args
function _M.getArgs()
    local args = ngx.req.get_uri_args()
    if ngx.req.get_method() == "POST" then
        ngx.req.read_body()
        for name, value in pairs(ngx.req.get_post_args()) do
            args[name] = value
        end
    end
    return args
end

return _M
