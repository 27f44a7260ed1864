-- resty.core.base: the helpers of lua-resty-core that other libraries call. What only serves nginx's own C
-- functions (get_request, get_errmsg_ptr) has no meaning here and is left out.

local ceil = math.ceil
local error, select = error, select
local require = require

local BYTES = "char[?]"
local FREE = 0

local buffer_size = 4096
local buffer, size_pointer

local _M = {
    version = "0.1.33",
    new_tab = require "table.new",
    clear_tab = require "table.clear",
    FFI_OK = 0,
    FFI_ERROR = -1,
    FFI_AGAIN = -2,
    FFI_BUSY = -3,
    FFI_DONE = -4,
    FFI_DECLINED = -5,
    FFI_ABORT = -6,
    FFI_NO_REQ_CTX = -100,
    FFI_BAD_CONTEXT = -101,
}


-- Sets the size in bytes of the buffer that get_string_buf shares out; a size below 1 changes nothing.
function _M.set_string_buf_size(size)
    if size > 0 then
        buffer_size, buffer = ceil(size), nil
    end
end


-- The size in bytes of the shared buffer.
function _M.get_string_buf_size()
    return buffer_size
end


-- A char array of at least size bytes: the shared one, or a new one when that is too small or must_alloc is true.
function _M.get_string_buf(size, must_alloc)
    local new = require("ffi").new
    if must_alloc or size > buffer_size then
        return new(BYTES, size)
    end
    buffer = buffer or new(BYTES, buffer_size)
    return buffer
end


-- The shared size_t[1].
function _M.get_size_ptr()
    size_pointer = size_pointer or require("ffi").new("size_t[1]")
    return size_pointer
end


-- Stores value in the array and returns its index, or -1 for nil. Freed indexes, chained from element 0, are used
-- first.
function _M.ref_in_table(array, value)
    if value == nil then
        return -1
    end
    local index = array[FREE]
    if index and index ~= 0 then
        array[FREE] = array[index]
    else
        index = #array + 1
    end
    array[index] = value
    return index
end


-- Raises an error unless ngx.config.subsystem is among the arguments.
function _M.allows_subsystem(...)
    local subsystem = ngx.config.subsystem
    for i = 1, select("#", ...) do
        if select(i, ...) == subsystem then
            return
        end
    end
    error("unsupported subsystem: " .. subsystem, 2)
end


return _M
