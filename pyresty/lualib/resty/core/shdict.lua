-- resty.core.shdict: ngx.shared; part of the server here, so the name only has to load.

return { version = require("resty.core.base").version }
