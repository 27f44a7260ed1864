"""What the origin of ``test_resty_http.py`` plays, by path, and the form of its cases."""

from __future__ import annotations

from typing import NamedTuple

from origin import COUNT, ECHO, KEEP, WAIT, Script, ok

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

SCRIPTS: dict[str, Script] = {
    "/length": (ok(b"hello", "X-One: 1"), KEEP),
    "/empty": (ok(b"", "X-Empty:"), KEEP),
    "/echo": (ECHO, KEEP),
    "/count": (COUNT, KEEP),
    "/count-close": (HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\nok", KEEP),
    "/count-upgrade-close": (HEAD + b"Connection: Upgrade, Close\r\nContent-Length: 2\r\n\r\nok", KEEP),
    "/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", KEEP),
    "/1.0-keep": (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok", KEEP),
    "/1.0-close-delimited": b"HTTP/1.0 200 OK\r\n\r\nhello world",
    "/1.1-close-delimited": HEAD + b"\r\nhello world",
    "/chunked": (CHUNKED + b"5\r\nhello\r\n1\r\n \r\n00005\r\nworld\r\n0\r\n\r\n", KEEP),
    "/chunked-twice": (
        HEAD + b"transfer-encoding: gzip\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        KEEP,
    ),
    "/chunk-extension": (CHUNKED + b"2;name=value\r\nok\r\n0 ;last\r\n\r\n", KEEP),
    "/chunk-size": (CHUNKED + b"2\r\nok\r\nzz\r\nno\r\n0\r\n\r\n", WAIT),
    "/chunk-end": (CHUNKED + b"2\r\nokay\r\n0\r\n\r\n", WAIT),
    "/chunk-short": CHUNKED + b"2\r\nok\r\na\r\nhel",
    "/chunk-missing": CHUNKED + b"2\r\nok\r\n",
    "/trailers": (
        HEAD + b"Transfer-Encoding: chunked\r\nTrailer: X-Sum, Server\r\nServer: script\r\n\r\n"
        b"2\r\nok\r\n0\r\nX-Sum: 2\r\nServer: no\r\n\r\n",
        KEEP,
    ),
    "/trailers-missing": (HEAD + b"Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\n\r\n", KEEP),
    "/short": HEAD + b"Content-Length: 10\r\n\r\nhello",
    "/bad-length": HEAD + b"Content-Length: -5\r\n\r\nhello",
    "/head-only": (HEAD + b"Content-Length: 5\r\n\r\n", KEEP),
    "/204": (b"HTTP/1.1 204 No Content\r\n\r\n", KEEP),
    "/304": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", KEEP),
    "/reason": (b"HTTP/1.1 299 Quite  Odd\r\nContent-Length: 0\r\n\r\n", KEEP),
    "/no-reason": (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", KEEP),
    "/interim": (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok(b"final"), KEEP),
    "/repeated": (
        HEAD + b"Set-Cookie: a=1\r\nX-One: 1\r\nset-cookie: b=2\r\nSET-COOKIE: c=3\r\nContent-Length: 0\r\n\r\n",
        KEEP,
    ),
    "/odd-fields": (
        HEAD + b"X-Colon: a:b: c\r\nnonsense\r\nX-Tight:value\r\nX-Spaces:   value\r\nContent-Length: 2\r\n\r\nok",
        KEEP,
    ),
    "/not-http": (b"nonsense\r\n\r\n", WAIT),
    "/no-status": (b"HTTP/1.1 abc OK\r\n\r\n", WAIT),
    "/head-short": HEAD + b"Content-Le",
    "/close": (),
    "/stall": (WAIT,),
    "/stall-head": (HEAD, WAIT),
    "/stall-body": (HEAD + b"Content-Length: 10\r\n\r\nhello", WAIT),
    "/stall-chunk": (CHUNKED + b"2\r\nok\r\na\r\nhel", WAIT),
    "/stall-stream": (HEAD + b"\r\nhello", WAIT),
    "http://example.com/proxied": (ECHO, KEEP),
    "http://example.com:8080/proxied": (ECHO, KEEP),
    "example.com:443": (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", WAIT),
    "/forward": (ECHO, KEEP),
    "/forward%20me": (ECHO, KEEP),
    "/backward": (
        b"HTTP/1.1 201 Created\r\nX-One: 1\r\nX-One: 2\r\nKeep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n",
        KEEP,
    ),
}

#: In front of every case. ``fields`` says the lines of an echoed request, head sorted.
PRELUDE = """
local http = require "resty.http"
local origin = "http://127.0.0.1:{origin}"
local say = ngx.say

local function connected(pool)
    local client = http.new()
    assert(client:connect({ scheme = "http", host = "127.0.0.1", port = {origin}, pool = pool }))
    return client
end

local function fields(text)
    local head, rest = text:match("^(.-)\\r\\n\\r\\n(.*)$")
    local first, lines = nil, {}
    for line in (head .. "\\r\\n"):gmatch("(.-)\\r\\n") do
        if first then lines[#lines + 1] = line else first = line end
    end
    table.sort(lines)
    say(first)
    for _, line in ipairs(lines) do
        say((line:gsub("%d+$", function(port) return port == "{origin}" and "PORT" or port end)))
    end
    if rest ~= "" then say("[", rest, "]") end
end
"""


class Case(NamedTuple):
    """``lua`` says ``expected``; ``better`` marks what lua-resty-http itself gets wrong."""

    lua: str
    expected: str
    better: bool = False
