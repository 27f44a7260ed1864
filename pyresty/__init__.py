"""pyresty serves a real nginx.conf, and the Lua files beside it, from Python: nginx's directives on uvloop, OpenResty's in LuaJIT."""

__version__ = "0.1.0"

#: The nginx release whose documented behaviour pyresty follows (``$nginx_version``, ``-v``, ``ngx.config.nginx_version``).
NGINX_VERSION = "1.31.5"

#: The lua-nginx-module release whose documentation pyresty follows (``ngx.config.ngx_lua_version``).
NGX_LUA_VERSION = "0.10.32"
