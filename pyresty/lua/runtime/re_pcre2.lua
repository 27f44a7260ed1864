-- PCRE2, as the other files of ngx.re see it: compile a pattern, run it, and find the offsets in one array that every match shares.
--
-- The system's libpcre2-8 is called through the FFI. Where there is none, PyPI's pcre2 does the same through Python (api/re.py), slower
-- and without DFA matching and duplicate names; the error log says so once.
-- https://pcre2project.github.io/pcre2/doc/pcre2api/

local rt = ...

local ffi = require("ffi")
local py = rt.py
local sub, match = string.sub, string.match
local tonumber, pcall, ipairs = tonumber, pcall, ipairs

local UTF, NO_UTF_CHECK, JIT_COMPLETE = 0x00080000, 0x40000000, 1
local INFO_CAPTURECOUNT, INFO_NAMECOUNT, INFO_NAMEENTRYSIZE, INFO_NAMETABLE = 4, 17, 18, 19
local MAX_GROUPS = 65535 -- what a pattern can have at most

-- The workspace of a DFA match, in ints; a pattern that needs more fails, as in OpenResty.
local DFA_WORKSPACE = 100

-- The length that a message of ngx.re.* can have, in bytes; longer ones are cut, as in OpenResty.
local MAX_MESSAGE = 255

-- An offset is a size_t. No subject is longer than 2 GB, so its low half is enough, and all ones are the -1 of "not matched".
local STEP = ffi.sizeof("size_t") / 4

local re = { STEP = STEP, NOMATCH = -1 }
rt.re = re

ffi.cdef [[
void *pcre2_compile_8(const uint8_t *, size_t, uint32_t, int *, size_t *, void *);
void pcre2_code_free_8(void *);
int pcre2_pattern_info_8(const void *, uint32_t, void *);
int pcre2_get_error_message_8(int, uint8_t *, size_t);
int pcre2_jit_compile_8(void *, uint32_t);
void *pcre2_jit_stack_create_8(size_t, size_t, void *);
void pcre2_jit_stack_assign_8(void *, void *, void *);
void pcre2_jit_stack_free_8(void *);
void *pcre2_match_context_create_8(void *);
int pcre2_set_match_limit_8(void *, uint32_t);
void *pcre2_match_data_create_8(uint32_t, void *);
size_t *pcre2_get_ovector_pointer_8(void *);
int pcre2_match_8(const void *, const uint8_t *, size_t, size_t, uint32_t, void *, void *);
int pcre2_dfa_match_8(const void *, const uint8_t *, size_t, size_t, uint32_t, void *, void *, int *, size_t);
]]

local NAMES = {
    Linux = { "libpcre2-8.so.0" },
    OSX = { "libpcre2-8.0.dylib", "/opt/homebrew/lib/libpcre2-8.0.dylib", "/usr/local/lib/libpcre2-8.0.dylib", "libpcre2-8.dylib" },
}

local function load_library()
    for _, name in ipairs(NAMES[jit.os] or { "libpcre2-8.so.0", "pcre2-8" }) do
        local ok, lib = pcall(ffi.load, name)
        if ok then
            return lib
        end
    end
end

-- ngx_lua's text for what pcre2_compile() had to say.
local function compile_error(text, pattern, offset)
    local message = "pcre2_compile() failed: " .. text .. " in \"" .. pattern .. "\""
    if offset ~= #pattern then
        message = message .. " at \"" .. match(sub(pattern, offset + 1), "^%Z*") .. "\""
    end
    return match(sub(message, 1, MAX_MESSAGE), "^%Z*")
end

-- ngx_lua's log line for what pcre2_jit_compile() answered, at level debug or info.
local function log_jit(code, pattern)
    if code == 0 then
        py.re_log(8, "pcre2 JIT compiled successfully")
    else
        py.re_log(7, "pcre2_jit_compile() failed: " .. code .. " in \"" .. pattern .. "\", ignored")
    end
end

local lib = load_library()

if lib then
    local code_free = lib.pcre2_code_free_8
    local context = lib.pcre2_match_context_create_8(nil)
    -- Memory that is not touched costs nothing: room for the biggest pattern once, instead of growing it.
    local data = lib.pcre2_match_data_create_8(MAX_GROUPS + 1, nil)
    local offsets = ffi.cast("int32_t *", lib.pcre2_get_ovector_pointer_8(data))
    -- A DFA match fills all the room it gets with its shorter matches: one place for the longest.
    local dfa_data = lib.pcre2_match_data_create_8(1, nil)
    local dfa_offsets = ffi.cast("int32_t *", lib.pcre2_get_ovector_pointer_8(dfa_data))
    local workspace = ffi.new("int[?]", DFA_WORKSPACE)
    local int, size, pointer = ffi.new("int[1]"), ffi.new("size_t[1]"), ffi.new("const uint8_t *[1]")
    local text = ffi.new("uint8_t[256]")
    re.offsets = offsets

    local _, limit = py.re_limits()
    if limit > 0 then
        lib.pcre2_set_match_limit_8(context, limit)
    end

    local function info(code, what)
        int[0] = 0
        lib.pcre2_pattern_info_8(code, what, int)
        return int[0]
    end

    -- The named groups as a list: number, name, number, name, … nil where there are none.
    local function named_groups(code)
        local count = info(code, INFO_NAMECOUNT)
        if count == 0 then
            return
        end
        local width = info(code, INFO_NAMEENTRYSIZE)
        lib.pcre2_pattern_info_8(code, INFO_NAMETABLE, pointer)
        local names, entry = {}, pointer[0]
        for i = 1, count do
            names[2 * i - 1] = entry[0] * 256 + entry[1]
            names[2 * i] = ffi.string(entry + 2)
            entry = entry + width
        end
        return names
    end

    -- A compiled pattern: { code, groups = their number, names, exec_options, dfa, utf }; or nil and why not.
    -- `opts` is a row of parsed options (re.lua); `use_jit` is whether to compile to machine code.
    function re.compile_pattern(pattern, opts, use_jit)
        local code = lib.pcre2_compile_8(pattern, #pattern, opts.options, int, size, nil)
        if code == nil then
            lib.pcre2_get_error_message_8(int[0], text, 128)
            return nil, compile_error(ffi.string(text), pattern, tonumber(size[0]))
        end
        code = ffi.gc(code, code_free)
        if use_jit then
            log_jit(lib.pcre2_jit_compile_8(code, JIT_COMPLETE), pattern)
        end
        return {
            code = code,
            groups = opts.dfa and 0 or info(code, INFO_CAPTURECOUNT),
            names = named_groups(code),
            exec_options = opts.unchecked and NO_UTF_CHECK or 0,
            dfa = opts.dfa,
            dupnames = opts.dupnames,
            utf = bit.band(opts.options, UTF) ~= 0,
            kept = false,
        }
    end

    -- Forget a pattern now, and not when the garbage collector comes by: it doesn't know how big these are.
    function re.free(compiled)
        code_free(ffi.gc(compiled.code, nil))
        compiled.code = nil
    end

    -- Match from offset `pos` (from 0): the number of groups that are set, or PCRE2's negative error code. Where they are is in `offsets`.
    function re.exec(compiled, subject, pos)
        if not compiled.dfa then
            return lib.pcre2_match_8(compiled.code, subject, #subject, pos, compiled.exec_options, data, context)
        end
        local rc = lib.pcre2_dfa_match_8(compiled.code, subject, #subject, pos, compiled.exec_options, dfa_data, context, workspace,
            DFA_WORKSPACE)
        if rc < 0 then
            return rc
        end
        offsets[0], offsets[STEP] = dfa_offsets[0], dfa_offsets[STEP]
        return 1
    end

    local stack

    -- The stack that compiled patterns may use at most, in bytes; nil and a message if there is no such memory.
    function re.set_jit_stack_size(bytes)
        local smallest = 32 * 1024
        local new = lib.pcre2_jit_stack_create_8(smallest, bytes < smallest and smallest or bytes, nil)
        if new == nil then
            return nil, "pcre jit stack allocation failed"
        end
        lib.pcre2_jit_stack_assign_8(context, nil, new)
        if stack then
            lib.pcre2_jit_stack_free_8(stack)
        end
        stack = new
        return true
    end
else
    py.re_library_missing()
    re.offsets = ffi.new("int32_t[?]", 2 * STEP * (MAX_GROUPS + 1))
    re.missing = { d = true, D = true }

    function re.compile_pattern(pattern, opts, use_jit)
        local code, groups, names = py.re_compile(pattern, opts.options)
        if not code then
            return nil, compile_error(groups, pattern, names)
        end
        if use_jit then
            log_jit(py.re_jit_compile(code), pattern)
        end
        local list
        for number, name in names:gmatch("(%d+) (%Z+)%z") do
            list = list or {}
            list[#list + 1], list[#list + 2] = tonumber(number), name
        end
        return {
            code = code,
            groups = groups,
            names = list,
            exec_options = opts.unchecked and NO_UTF_CHECK or 0,
            utf = bit.band(opts.options, UTF) ~= 0,
            kept = false,
        }
    end

    function re.free(compiled)
        compiled.code = nil
    end

    function re.exec(compiled, subject, pos)
        local rc, packed = py.re_match(compiled.code, subject, pos, compiled.groups, compiled.exec_options)
        if packed then
            ffi.copy(re.offsets, packed, #packed)
        end
        return rc
    end

    function re.set_jit_stack_size()
        return nil, "no pcre jit support found"
    end
end
