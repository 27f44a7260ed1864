"""ngx.req.socket with clients that stall, reset, or read and write at once.

https://github.com/openresty/lua-nginx-module#ngxreqsocket
"""

from __future__ import annotations

import hashlib
import socket
import struct
import time

import pytest
from harness import Connection, Server, http, request

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"


def serve(code: str, more: str = "") -> Server:
    """A server with this content handler."""
    return Server(http(f"server {{ listen {{port}}; {more} location / {{ content_by_lua_block {{\n{code}\n}} }} }}"))


def reset(connection: Connection) -> None:
    """End the connection by a reset."""
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_options() -> None:
    """The socket's options and its number can be had, as of any other."""
    code = """local s = ngx.req.socket()
        ngx.say(s:getfd() > 2, s:setoption("keepalive", 1), s:getoption("keepalive") > 0, s:receive(2))"""
    with serve(code) as server, Connection(server) as client:
        client.send(HEAD % 2 + b"ab")
        assert client.response().body == b"truetruetrueab\n"


def test_methods() -> None:
    """They are in the metatable, which is its own __index: that of the body's socket has no ``send``."""
    code = """
        local function methods(s) local m = getmetatable(s) return m.__index == m, type(m.receive), type(m.send) end
        local a, b, c = methods(ngx.req.socket())
        ngx.say(a, b, c)"""
    with serve(code) as server, Connection(server) as client:
        client.send(HEAD % 2 + b"ab")
        assert client.response().body == b"truefunctionnil\n"


def test_arguments() -> None:
    """As ngx_lua has them since the raw socket is there."""
    code = "ngx.say(select(2, pcall(ngx.req.socket, 1, 2)))"
    with serve(code) as server, Connection(server) as client:
        client.send(HEAD % 0)
        assert client.response().body == b"expecting 0 or 1 argument, but got 2\n"


def test_byte_by_byte() -> None:
    """A large body that comes in many pieces arrives whole, and the connection serves the next request."""
    code = "local s = ngx.req.socket() local data = s:receive('*a') ngx.say(#data, ' ', ngx.md5(data))"
    with serve(code) as server, Connection(server) as client:
        for _ in range(2):
            client.send(HEAD % 600000)
            for at in range(0, 600000, 60000):
                client.send(b"%06d" % at * 10000)
            whole = b"".join(b"%06d" % at * 10000 for at in range(0, 600000, 60000))
            assert client.response().body == b"600000 %s\n" % hashlib.md5(whole).hexdigest().encode()


def test_rest_of_the_body_passes_by() -> None:
    """What Lua leaves unread is not taken for the next request."""
    code = "local s = ngx.req.socket() ngx.say(s:receive(2))"
    with serve(code) as server, Connection(server) as client:
        client.send(HEAD % 100 + b"ab")
        assert client.response().body == b"ab\n"
        client.send(b"GET / HTTP/1.1\r\n" + b"x" * 82 + HEAD % 3 + b"abc")
        assert client.response().body == b"ab\n"


def test_reset() -> None:
    """A client that resets the connection while its body is read."""
    code = "local s = ngx.req.socket() local data, err, part = s:receive(10) ngx.log(ngx.WARN, 'got ', err, ' ', part)"
    with serve(code) as server:
        client = Connection(server)
        client.send(HEAD % 10 + b"abc")
        reset(client)
        lines = server.logged("got ")
        assert any("got connection reset by peer abc" in line for line in lines)
        assert any("recv() failed (104: Connection reset by peer), client: " in line for line in lines)


def test_raw_duplex() -> None:
    """Two light threads on one raw socket: one reads while the other writes; a second reader is refused."""
    code = """
        ngx.send_headers() ngx.flush(true)
        local s = assert(ngx.req.socket(true))
        local reader = ngx.thread.spawn(function()
            local lines = {}
            repeat local line = s:receive() lines[#lines + 1] = line until line == "last"
            return table.concat(lines, ",")
        end)
        local ok, err = s:receive()
        ngx.sleep(0.01)
        s:send("second reader: " .. err .. "\\n")
        for i = 1, 3 do s:send("sent " .. i .. "\\n") ngx.sleep(0.01) end
        local _, lines = ngx.thread.wait(reader)
        s:send(lines)"""
    with serve(code) as server, Connection(server) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nfirst\nmiddle\n")
        answer = b""
        while b"sent 3" not in answer:
            answer += client.sock.recv(4096)
        client.send(b"last\n")
        answer = (answer + client.rest()).partition(b"\r\n\r\n")[2]
        assert answer == b"second reader: socket busy reading\nsent 1\nsent 2\nsent 3\nfirst,middle,last"


def test_raw_send_to_a_client_that_stalls() -> None:
    """Sending waits for the client, and gives up when it takes nothing."""
    code = """
        local s = assert(ngx.req.socket(true))
        s:settimeout(200)
        local piece, sent = ("x"):rep(1000000), 0
        while true do
            local n, err = s:send(piece)
            if not n then ngx.log(ngx.WARN, "gave up: ", err) return end
            sent = sent + n
        end"""
    with serve(code) as server, Connection(server) as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        lines = server.logged("gave up: ")
        assert any("gave up: timeout" in line for line in lines)
        assert any("lua tcp socket write timed out, client: " in line for line in lines)


def test_raw_read_and_send_time_out_each_for_itself() -> None:
    """A light thread whose read has timed out, and that waits for something else since, does not take the time from one that sends."""
    code = """
        local s = assert(ngx.req.socket(true))
        s:settimeouts(1000, 100, 1)
        local writer = ngx.thread.spawn(function() return s:send(("x"):rep(20000000)) end)
        local reader = ngx.thread.spawn(function()
            local data, err = s:receive(1)
            ngx.sleep(0.2)
            return data, err
        end)
        local _, sent, failed = ngx.thread.wait(writer)
        local _, data, err = ngx.thread.wait(reader)
        ngx.log(ngx.WARN, "ends: ", sent, " ", failed, " ", data, " ", err)"""
    with serve(code) as server, Connection(server) as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert any("ends: nil timeout nil timeout," in line for line in server.logged("ends: "))


def test_raw_send_is_as_slow_as_the_client() -> None:
    """Everything arrives at a client that begins to read late."""
    code = """
        local s = assert(ngx.req.socket(true))
        local piece = ("x"):rep(1000000)
        for i = 1, 8 do assert(s:send(piece) == 1000000) end
        s:send("end")"""
    with serve(code) as server, Connection(server) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = client.rest()
        assert len(answer) == 8000003
        assert answer.endswith(b"xend")


def test_raw_client_gone_while_sending() -> None:
    """A reset ends the wait."""
    code = """
        local s = assert(ngx.req.socket(true))
        local piece = ("x"):rep(4000000)
        while true do
            local n, err = s:send(piece)
            if not n then ngx.log(ngx.WARN, "gave up: ", err) return end
        end"""
    with serve(code) as server:
        client = Connection(server)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.sock.recv(10)
        reset(client)
        assert any("gave up: broken pipe" in line for line in server.logged("gave up: "))


@pytest.mark.parametrize(
    "code",
    [
        """
        local s = assert(ngx.req.socket(true)) busy()
        while true do
            local n, err = s:send("piece")
            if not n then ngx.log(ngx.WARN, "gave up: ", err) return end
        end""",
        """
        busy()
        while true do
            local ok, err = ngx.say("piece")
            if ok then ok, err = ngx.flush(true) end
            if not ok then ngx.log(ngx.WARN, "gave up: ", err) return end
        end""",
        """
        busy()
        while true do
            local ok, err = ngx.print(("x"):rep(70000))
            if not ok then ngx.log(ngx.WARN, "gave up: ", err) return end
        end""",
    ],
    ids=["send", "flush", "print"],
)
def test_client_gone_before_the_loop_hears_of_it(code: str) -> None:
    """Lua that never waits is told by the write itself; the worker lives."""
    busy = "local function busy() local t = os.clock() while os.clock() - t < 0.3 do end end"
    with serve(busy + code, "location /well { return 200 well; }") as server:
        client = Connection(server)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.1)
        reset(client)
        server.logged("gave up: ")
        assert request(server, path="/well").body == b"well"
