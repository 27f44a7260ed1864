-- What a page was asked with, however it was asked: arguments from the address and, on POST, from the form in one table.

local _M = {}

--- Arguments of the current request by name, each a string, `true` where it has no value, or a table where it is repeated.
-- A form argument wins over one of the same name in the address. May wait for the request body, so it is for phases
-- that may wait (rewrite, access, content).
-- https://github.com/openresty/lua-nginx-module#ngxreqget_uri_args and #ngxreqget_post_args
function _M.getArgs()
    local args = ngx.req.get_uri_args()
    if ngx.req.get_method() ~= "POST" then
        return args
    end

    ngx.req.read_body()
    local form, err = ngx.req.get_post_args()
    if not form then
        -- A body over client_body_buffer_size lies in a file, and no login form is that long.
        ngx.log(ngx.WARN, "form not read: ", err)
        return args
    end

    for name, value in pairs(form) do
        args[name] = value
    end
    return args
end

return _M
