-- Bodies on the wire. A body that comes in is a reader: each call returns the next piece, then nil; nil, an error
-- and what had come on failure. A reader is a plain closure over a socket and a count of bytes still to come (RFC
-- 9112, sections 6 and 7).

local floor = math.floor
local match, concat = string.match, table.concat
local tonumber, type = tonumber, type
local ngx = ngx

local DEAD = "can't resume a dead coroutine"
local BAD_CHUNK = "unable to read chunksize"

local _M = {}


-- The number of bytes the caller wants at most, or nil for no limit.
local function limit(max)
    max = tonumber(max)
    return max and max >= 1 and floor(max) or nil
end


-- Size of a chunk; extensions after it are ignored. More digits than a double can hold exactly are no size.
local function chunk_size(line)
    local digits = match(line, "^%s*0*(%x+)%s*$") or match(line, "^%s*0*(%x+)%s*;")
    return digits and #digits <= 13 and tonumber(digits, 16) or nil
end


-- Reader of a chunked body: one chunk per call, or pieces of at most max (or default_max) bytes. after_last() is
-- called when the last chunk has been read; it reads the trailer section, so that the connection can be used
-- again.
function _M.chunked(sock, default_max, after_last)
    local left, first, finished = 0, true, false

    return function(max)
        if finished then
            return nil, DEAD
        end

        if left == 0 then
            if not first then
                local line_end, err = sock:receive(2)
                if line_end ~= "\r\n" then
                    finished = true
                    return nil, err or BAD_CHUNK
                end
            end
            first = false

            local line, err = sock:receive("*l")
            left = line and chunk_size(line)
            if not left then
                finished = true
                return nil, err or BAD_CHUNK
            end
            if left == 0 then
                finished = true
                after_last()
                return nil
            end
        end

        local size = limit(max) or default_max or left
        if size > left then
            size = left
        end
        local piece, err, partial = sock:receive(size)
        if not piece then
            finished = true
            return nil, err, partial
        end
        left = left - size
        return piece
    end
end


-- Reader of a body of the given length, or, when length is nil, up to the close of the connection.
-- Without max (or default_max) one call returns everything. Who starts with max has to go on with max.
-- The piece that the close of the connection cuts short comes with the error "closed".
function _M.plain(sock, length, default_max)
    local left, streaming, ended, finished = length, false, false, false

    return function(max)
        if finished then
            return nil, DEAD
        elseif ended then
            finished = true
            return nil
        end

        local size = limit(max) or default_max
        if not size then
            if streaming then
                finished = true
                ngx.log(ngx.ERR, "Buffer size not specified, bailing")
                return nil
            end
            ended = true
            if left == 0 then
                return ""
            end
            return sock:receive(left or "*a")
        end

        streaming = true
        if left then
            if left == 0 then
                finished = true
                return nil
            elseif size > left then
                size = left
            end
        end

        local piece, err, partial = sock:receive(size)
        if piece then
            left = left and left - size
            return piece
        end
        ended = true
        if not left and err == "closed" then
            return partial, err
        end
        return nil, err, partial
    end
end


-- Reader of no body.
function _M.none()
    return nil
end


-- The method read_body of responses: the whole body, or nil, an error and what had arrived in whole pieces.
function _M.read(response)
    local reader = response.body_reader
    if not reader then
        return nil, "no body to be read"
    end

    local pieces, count = {}, 0
    while true do
        local piece, err = reader()
        if err then
            return nil, err, concat(pieces)
        elseif not piece then
            return concat(pieces)
        end
        count = count + 1
        pieces[count] = piece
    end
end


-- Sends a body: nil, a string, an array, or a function that returns piece after piece, then nil, or nil and an
-- error. Returns true, or nil, an error and what the function gave as third value.
function _M.send(sock, body)
    if body == nil then
        return true
    elseif type(body) ~= "function" then
        local sent, err = sock:send(body)
        return sent and true, err
    end

    while true do
        local piece, err, partial = body()
        if not piece then
            if err ~= nil then
                return nil, err, partial
            end
            return true
        end
        local sent
        sent, err = sock:send(piece)
        if not sent then
            return nil, err
        end
    end
end


return _M
