-- cjson with an encode() and a decode() that answer nil and a message where those of cjson raise it
-- (https://kyne.au/~mark/software/lua-cjson-manual.html).

return require("pyresty.cjson_core").new_safe()
