-- resty.core.misc: ngx.status, ngx.is_subrequest and ngx.headers_sent; part of the server here, so the name only
-- has to load. Its version is under _VERSION.

return { _VERSION = require("resty.core.base").version }
