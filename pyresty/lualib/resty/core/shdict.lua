-- resty.core.shdict: ngx.shared; part of the server here, so the name only has to load, once that is there.

if not ngx.shared then
    error("resty.core.shdict: ngx.shared is not supported by pyresty yet")
end

return { version = require("resty.core.base").version }
