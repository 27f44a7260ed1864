-- resty.lrucache.pureffi: the same cache under the name of the variant that keeps its keys in a hash table of its own. LuaJIT's tables do
-- here, so the load factor has nothing to say.

local lrucache = require "resty.lrucache"
local setmetatable = setmetatable

local _M = setmetatable({ _VERSION = lrucache._VERSION }, { __index = lrucache })


-- A cache for `size` entries; nil and a message if that is below 1.
function _M.new(size)
    return lrucache.new(size)
end


return _M
