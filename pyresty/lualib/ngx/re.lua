-- ngx.re, the module: splitting by a pattern, and the stack that compiled patterns may use.
-- https://github.com/openresty/lua-resty-core/blob/master/lib/ngx/re.md

local re = require "pyresty.re"

local exec, compile, release, step, offsets, STEP, NOMATCH =
    re.exec, re.compile, re.release, re.step, re.offsets, re.STEP, re.NOMATCH
local error, tostring, type = error, tostring, type
local sub = string.sub

local _M = { version = require("resty.core.base").version }


-- Splits subject at each match of pattern into res (a new table, unless given) and returns that; nil and a message when
-- the pattern is wrong. The first group of a match becomes a piece too, where it is set. ctx.pos is where to begin;
-- it is left where the last match ended. With max, no more than that many pieces between matches; without, empty pieces at the end
-- are dropped.
function _M.split(subject, pattern, opts, ctx, max, res)
    subject = tostring(subject)
    max = max or 0
    if not res then
        res = {}
    elseif type(res) ~= "table" then
        error("res is not a table", 2)
    end
    local piece = ctx and ctx.pos or 1
    local size = #subject
    if piece > size then
        if ctx then
            ctx.pos = piece
        end
        res[1] = nil
        return res
    end
    local compiled, err = compile(pattern, opts)
    if not compiled then
        return nil, err
    end
    local pos, last_empty, n, count = piece - 1, nil, 0, 1
    while (max <= 0 or count < max) and piece <= size do
        local rc = exec(compiled, subject, pos < 0 and 0 or pos)
        if rc == NOMATCH then
            break
        elseif rc < 0 then
            release(compiled)
            return nil, "pcre_exec() failed: " .. rc
        end
        local from, to = offsets[0] + 1, offsets[STEP] + 1
        pos = to - 1
        if from == to then
            pos = step(compiled, subject, pos)
        end
        -- What was skipped after an empty match belongs to the piece that began there.
        piece = last_empty or piece
        if from == to then
            last_empty = from
        end
        if from > piece or not last_empty then
            count = count + 1
            n = n + 1
            res[n] = sub(subject, piece, from - 1)
            if rc > 1 and offsets[2 * STEP] >= 0 then
                n = n + 1
                res[n] = sub(subject, offsets[2 * STEP] + 1, offsets[3 * STEP])
            end
            piece = to
        end
    end
    release(compiled)
    if ctx then
        ctx.pos = pos
    end
    if max <= 0 and piece > size then
        while n > 0 and res[n] == "" do
            res[n] = nil
            n = n - 1
        end
    else
        n = n + 1
        res[n] = sub(subject, piece)
    end
    res[n + 1] = nil
    return res
end


-- Sets an option of the whole process. The only one is "jit_stack_size", in bytes.
function _M.opt(option, value)
    if option ~= "jit_stack_size" then
        error("unrecognized option name", 2)
    end
    if not re.is_cache_empty() then
        error("changing jit stack size is not allowed when some regexs have already been compiled and cached", 2)
    end
    local ok, err = re.set_jit_stack_size(value)
    if not ok then
        error(err, 2)
    end
end


return _M
