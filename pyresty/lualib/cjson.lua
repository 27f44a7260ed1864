-- JSON for Lua with the interface of OpenResty's lua-cjson (https://github.com/openresty/lua-cjson). All that is heavy is in
-- pyresty.cjson_core and what that needs, loaded once: this chunk runs for every request where lua_code_cache is off.

return require("pyresty.cjson_core").new()
