-- resty.core: in OpenResty this moves the ngx API to FFI. Here the API is always whole, so the name only has to
-- load.

return { version = require("resty.core.base").version }
