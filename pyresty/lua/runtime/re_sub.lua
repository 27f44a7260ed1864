-- ngx.re.sub and ngx.re.gsub: replacement by a template ("$1", "${1}", "$0", "$$") or by a function.
-- https://github.com/openresty/lua-nginx-module#ngxresub

local rt = ...

local re = rt.re
local type, tostring, tonumber = type, tostring, tonumber
local sub, find = string.sub, string.find
local new_buffer, cast = require("string.buffer").new, require("ffi").cast
local exec, compile, release, collect, step, offsets, STEP, NOMATCH =
    re.exec, re.compile, re.release, re.collect, re.step, re.offsets, re.STEP, re.NOMATCH
local re_log = rt.py.re_log
local max_entries = rt.py.re_limits()

local ERR = 4

-- Bytes that the shared buffer may keep.
local KEEP_BYTES = 65536

-- Parts of a template: strings, and numbers of groups. nil where it is wrong; the error log says how.
local function parse(text)
    local parts, pos = {}, 1
    while pos <= #text do
        local dollar = find(text, "$", pos, true)
        if dollar ~= pos then
            parts[#parts + 1] = sub(text, pos, (dollar or 0) - 1)
            pos = dollar or #text + 1
        elseif sub(text, pos + 1, pos + 1) == "$" then
            parts[#parts + 1] = "$"
            pos = pos + 2
        else
            local brace = sub(text, pos + 1, pos + 1) == "{"
            local first = pos + (brace and 2 or 1)
            local _, last = find(text, "^%d+", first)
            local name = last and sub(text, first, last)
            if not name then
                _, last = find(text, "^[%w_]*", first)
                name = sub(text, first, last)
            end
            if brace and first <= #text and sub(text, last + 1, last + 1) ~= "}" then
                re_log(ERR, "the closing bracket in \"" .. name .. "\" variable is missing")
                return nil
            elseif name == "" then
                re_log(ERR, "lua script: invalid capturing variable name found in \"" .. text .. "\"")
                return nil
            elseif not tonumber(sub(name, 1, 1)) then
                re_log(ERR, "attempt to use named capturing variable \"" .. name .. "\" (named captures not supported yet)")
                return nil
            end
            parts[#parts + 1] = tonumber(name)
            pos = last + (brace and 2 or 1)
        end
    end
    return parts
end

-- Parsed templates of patterns with option "o"; thrown away together when there are too many.
local templates, ntemplates = {}, 0

local function template(text, kept)
    local parts = templates[text]
    if parts then
        return parts
    end
    parts = parse(text)
    if parts and kept then
        if ntemplates >= max_entries then
            templates, ntemplates = {}, 0
        end
        templates[text] = parts
        ntemplates = ntemplates + 1
    end
    return parts
end

-- The last match's groups in a template. `start` points to the subject.
local function put_template(out, parts, start, rc)
    for i = 1, #parts do
        local part = parts[i]
        if type(part) == "string" then
            out:put(part)
        elseif part < rc then
            local from = offsets[part * 2 * STEP]
            local length = offsets[(part * 2 + 1) * STEP] - from
            if from >= 0 and length > 0 then
                out:putcdata(start + from, length)
            end
        end
    end
end

local shared = new_buffer()

local function substitute(subject, pattern, replace, opts, global)
    local compiled, err = compile(pattern, opts)
    if not compiled then
        return nil, nil, err
    end
    local parts, out
    if type(replace) == "function" then
        out = new_buffer() -- the function may come here too, or wait
    else
        parts = template(tostring(replace), compiled.kept)
        if not parts then
            release(compiled)
            return nil, nil, "failed to compile the replacement template"
        end
        out = shared
    end
    if type(subject) ~= "string" then
        subject = tostring(subject)
    end
    local start, size = cast("const char *", subject), #subject
    local count, copied, pos = 0, 0, 0
    repeat
        local rc = exec(compiled, subject, pos)
        if rc < 0 then
            if rc == NOMATCH then
                break
            end
            release(compiled)
            out:reset()
            return nil, nil, "pcre_exec() failed: " .. rc
        end
        count = count + 1
        local from, to = offsets[0], offsets[STEP]
        if from > copied then
            out:putcdata(start + copied, from - copied)
        end
        if parts then
            put_template(out, parts, start, rc)
        else
            out:put(tostring(replace(collect(compiled, subject, rc))))
        end
        copied, pos = to, to
        if to <= from then
            pos = step(compiled, subject, to)
        end
    until not global or pos > size
    release(compiled)
    if count == 0 then
        return subject, 0
    end
    if copied < size then
        out:putcdata(start + copied, size - copied)
    end
    local result = out:tostring()
    if #result > KEEP_BYTES then
        out:free()
    else
        out:reset()
    end
    return result, count
end

function ngx.re.sub(subject, pattern, replace, opts)
    return substitute(subject, pattern, replace, opts, false)
end

function ngx.re.gsub(subject, pattern, replace, opts)
    return substitute(subject, pattern, replace, opts, true)
end
