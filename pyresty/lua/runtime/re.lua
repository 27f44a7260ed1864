-- ngx.re.match, ngx.re.find, ngx.re.gmatch: PCRE2 with the options a d D i j J m o s u U x.
-- https://github.com/openresty/lua-nginx-module#ngxrematch
--
-- What option "o" compiles once is kept under its options and its pattern, so that finding it again is two look-ups. When all
-- lua_regex_cache_max_entries places are taken, the next one that has not been used since the last round makes room.

local rt = ...

local re = rt.re
local type, tostring, error, setmetatable, rawset = type, tostring, error, setmetatable, rawset
local byte, sub, find = string.byte, string.sub, string.find
local bor = bit.bor
local new_tab = require("table.new")
local exec, compile_pattern, free, offsets, STEP, NOMATCH =
    re.exec, re.compile_pattern, re.free, re.offsets, re.STEP, re.NOMATCH
local missing = re.missing or {}
local max_entries = rt.py.re_limits()

-- What each option sets, as PCRE2 calls it. "J" is the compatibility with JavaScript, which has three parts in PCRE2.
local PCRE2_OPTIONS = {
    a = 0x80000000, -- ANCHORED
    i = 0x00000008, -- CASELESS
    m = 0x00000400, -- MULTILINE
    s = 0x00000020, -- DOTALL
    u = 0x00080000, -- UTF
    U = 0x00080000, -- UTF
    x = 0x00000080, -- EXTENDED
    D = 0x00000040, -- DUPNAMES
    J = 0x00000203, -- ALT_BSUX, ALLOW_EMPTY_CLASS, MATCH_UNSET_BACKREF
    d = 0, j = 0, o = 0,
}

-- Parsed options by their text; `kept` holds the patterns compiled with them.
local parsed = {}

local function parse(text, level)
    local options = 0
    for i = 1, #text do
        local flag = sub(text, i, i)
        local option = PCRE2_OPTIONS[flag]
        if not option then
            error("unknown flag \"" .. flag .. "\" (flags \"" .. text .. "\")", level + 1)
        elseif missing[flag] then
            error("flag \"" .. flag .. "\" is not supported without the system library libpcre2-8", level + 1)
        end
        options = bor(options, option)
    end
    local function has(flag)
        return find(text, flag, 1, true) ~= nil
    end
    local row = {
        options = options % 0x100000000,
        once = has("o") and max_entries > 0,
        jit = has("j"),
        dfa = has("d"),
        dupnames = has("D"),
        unchecked = has("U"),
        kept = {},
    }
    parsed[text] = row
    return row
end

local ring, ring_size, hand = {}, 0, 1

local function keep(compiled, kept, pattern)
    local place
    if ring_size < max_entries then
        ring_size = ring_size + 1
        place = ring_size
    else
        while ring[hand].used do
            ring[hand].used = false
            hand = hand % max_entries + 1
        end
        place = hand
        hand = hand % max_entries + 1
        ring[place].home[ring[place].pattern] = nil
        ring[place].kept = "evicted" -- who still uses it leaves it to the garbage collector
    end
    compiled.kept, compiled.home, compiled.pattern, compiled.used = true, kept, pattern, true
    ring[place] = compiled
    kept[pattern] = compiled
end

-- On macOS machine code that PCRE2 made before a fork is not there after it.
local NO_JIT_IN_INIT = jit.os == "OSX"

local function in_init()
    return not rt.r or rt.r.phase == "init"
end

local function compile_new(pattern, opts)
    if type(pattern) ~= "string" then
        error("attempt to get length of local 'regex' (a " .. type(pattern) .. " value)", 3)
    end
    local early = NO_JIT_IN_INIT and in_init()
    local compiled, err = compile_pattern(pattern, opts, opts.jit and not early)
    if not compiled then
        return nil, err
    end
    if opts.once and not (early and opts.jit) then
        keep(compiled, opts.kept, pattern)
    end
    return compiled
end

-- The compiled pattern, or nil and a message. To be called by the function that the user calls, as errors are given at its caller's place.
local function compile(pattern, opts)
    opts = opts or ""
    opts = parsed[opts] or parse(opts, 3)
    local compiled = opts.kept[pattern]
    if compiled then
        compiled.used = true
        return compiled
    end
    return compile_new(pattern, opts)
end

-- A pattern that was compiled for one use only is given back after it.
local function release(compiled)
    if not compiled.kept then
        free(compiled)
    end
end

local function collect_names(compiled, res)
    local names = compiled.names
    for i = 1, #names, 2 do
        local capture, name = res[names[i]], names[i + 1]
        if not compiled.dupnames then
            res[name] = capture
        elseif capture then
            local all = res[name]
            if all then
                all[#all + 1] = capture
            else
                res[name] = { capture }
            end
        end
    end
end

-- The table of captures of the last match.
local function collect(compiled, subject, rc, res)
    local groups, names = compiled.groups, compiled.names
    if not res then
        res = new_tab(groups, names and #names / 2 or 0)
    end
    for i = 0, groups do
        local from = offsets[i * 2 * STEP]
        if i < rc and from >= 0 then
            res[i] = sub(subject, from + 1, offsets[(i * 2 + 1) * STEP])
        else
            res[i] = false
        end
    end
    if names then
        collect_names(compiled, res)
    end
    return res
end

-- Where to look on after an empty match that ended at `pos`: one character on.
local function step(compiled, subject, pos)
    pos = pos + 1
    if compiled.utf then
        local code = byte(subject, pos + 1)
        while code and code >= 0x80 and code < 0xC0 do
            pos = pos + 1
            code = byte(subject, pos + 1)
        end
    end
    return pos
end

local function start(ctx)
    local pos = ctx.pos
    if not pos or pos <= 0 then
        return 0
    end
    return pos - 1
end

-- What there is to answer when PCRE2 found nothing.
local function nothing(rc)
    if rc == NOMATCH then
        return nil
    end
    return nil, "pcre_exec() failed: " .. rc
end

local function match(subject, pattern, opts, ctx, res)
    if type(subject) ~= "string" then
        subject = tostring(subject)
    end
    local compiled, err = compile(pattern, opts)
    if not compiled then
        return nil, err
    end
    local rc = exec(compiled, subject, ctx and start(ctx) or 0)
    if rc < 0 then
        release(compiled)
        return nothing(rc)
    end
    if ctx then
        ctx.pos = offsets[STEP] + 1
    end
    res = collect(compiled, subject, rc, res)
    release(compiled)
    return res
end

local function find_match(subject, pattern, opts, ctx, nth)
    if type(subject) ~= "string" then
        subject = tostring(subject)
    end
    local compiled, err = compile(pattern, opts)
    if not compiled then
        return nil, nil, err
    end
    local rc = exec(compiled, subject, ctx and start(ctx) or 0)
    local groups = compiled.groups
    release(compiled)
    if rc < 0 then
        if rc == NOMATCH then
            return nil
        end
        return nil, nil, "pcre_exec() failed: " .. rc
    end
    if ctx then
        ctx.pos = offsets[STEP] + 1
    end
    if not nth or nth < 0 then
        nth = 0
    end
    if nth > groups then
        return nil, nil, "nth out of bound"
    end
    local from = offsets[nth * 2 * STEP]
    if nth >= rc or from < 0 then
        return nil, nil
    end
    return from + 1, offsets[(nth * 2 + 1) * STEP]
end

local iterator = {}

function iterator.__call(self)
    local pos, compiled, subject = self.pos, self.compiled, self.subject
    if not pos then
        return nil
    end
    local rc = exec(compiled, subject, pos)
    if rc < 0 then
        self.pos = nil
        release(compiled)
        return nothing(rc)
    end
    local to = offsets[STEP]
    if to <= offsets[0] then
        to = step(compiled, subject, to)
    end
    self.pos = to
    local res = collect(compiled, subject, rc)
    if to > #subject then
        self.pos = nil
        release(compiled)
    end
    return res
end

local function gmatch(subject, pattern, opts)
    if type(subject) ~= "string" then
        subject = tostring(subject)
    end
    local compiled, err = compile(pattern, opts)
    if not compiled then
        return nil, err
    end
    return setmetatable({ compiled = compiled, subject = subject, pos = 0 }, iterator)
end

re.compile, re.release, re.collect, re.step = compile, release, collect, step

-- Whether option "o" has kept nothing yet.
function re.is_cache_empty()
    return ring_size == 0
end

-- What lualib/ngx/re.lua is built on.
package.preload["pyresty.re"] = function()
    return re
end

rawset(ngx, "re", { match = match, find = find_match, gmatch = gmatch })
