-- resty.core.base64: ngx.encode_base64 and ngx.decode_base64; part of the server here, so the name only has to
-- load.

return { version = require("resty.core.base").version }
