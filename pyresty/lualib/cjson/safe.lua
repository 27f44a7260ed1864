-- cjson whose encode() and decode() answer nil and a message instead of raising it (https://kyne.au/~mark/software/lua-cjson-manual.html).

return require("pyresty.cjson_core").new_safe()
