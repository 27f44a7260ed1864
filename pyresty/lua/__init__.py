"""OpenResty's Lua in LuaJIT, inside the worker: the VM, the scheduler, code loading, and the ngx API (api/ in Python, runtime/ in Lua)."""
