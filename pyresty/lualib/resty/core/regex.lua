-- resty.core.regex: ngx.re; part of the server here, so the name only has to load, once that is there.

if not ngx.re then
    error("resty.core.regex: ngx.re is not supported by pyresty yet")
end

return { version = require("resty.core.base").version }
