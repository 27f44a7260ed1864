-- resty.core.uri: ngx.escape_uri and ngx.unescape_uri; part of the server here, so the name only has to load.

return { version = require("resty.core.base").version }
