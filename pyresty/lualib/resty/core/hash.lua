-- resty.core.hash: ngx.md5, ngx.sha1_bin and ngx.crc32_*; part of the server here, so the name only has to load.

return { version = require("resty.core.base").version }
