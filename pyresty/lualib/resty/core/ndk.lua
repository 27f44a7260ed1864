-- resty.core.ndk: ndk.set_var; part of the server here, so the name only has to load, once that is there.

if not ndk then
    error("resty.core.ndk: ndk.set_var is not supported by pyresty yet")
end

return { version = require("resty.core.base").version }
