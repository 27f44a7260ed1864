-- resty.core.regex: ngx.re; part of the server here. What only serves lua-resty-core's own buffers and C functions has no
-- meaning here and is left out.

return {
    version = require("resty.core.base").version,
    is_regex_cache_empty = require("pyresty.re").is_cache_empty,
}
