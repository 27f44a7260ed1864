"""The same configuration and the same bytes to two servers: pyresty and nginx with ngx_lua."""
