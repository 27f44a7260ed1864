"""A client that speaks bytes over a plain socket, so that a test sees exactly what goes over the wire.

Requests are built (or given) as bytes; answers are read by the framing that they declare (RFC 9112 section 6.3) and
kept in the order and spelling in which they came.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness import Server

Headers = Mapping[str, str] | Iterable[tuple[str, str]]


@dataclass
class Response:
    """One answer as it came: ``headers`` in their order, ``body`` without its chunked framing, ``raw`` all its bytes.

    ``complete`` is false when the connection ended before the body did (or before the head did: then ``status`` is 0).
    ``interim`` lists the statuses of 1xx answers in front.
    """

    status: int
    reason: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    raw: bytes = b""
    version: str = ""
    interim: list[int] = field(default_factory=list)
    complete: bool = True

    def all(self, name: str) -> list[str]:
        """All values of a header, by name without regard to case."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        """The first value of a header."""
        return next(iter(self.all(name)), None)


class Connection:
    """One client connection; reads answers one after another, so requests may be pipelined."""

    def __init__(self, server: Server | int | str, timeout: float = 10) -> None:
        """``server``: a Server (its ``{port}``), a port, or the path of a unix socket. ``timeout`` in seconds."""
        if isinstance(server, str):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(timeout)
            self.sock.connect(server)
        else:
            port = server if isinstance(server, int) else server.port
            self.sock = socket.create_connection(("127.0.0.1", port), timeout)
        self._buffer = b""
        self._ended = False

    def send(self, data: bytes) -> None:
        """Sends all of ``data``; a peer that has gone already is noticed by reading."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.sock.sendall(data)

    def shutdown(self) -> None:
        """Ends our sending half."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def _more(self) -> bool:
        if self._ended:
            return False
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        self._buffer += data
        self._ended = not data
        return bool(data)

    def _take(self, size: int) -> bytes:
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def _exactly(self, size: int) -> tuple[bytes, bool]:
        while len(self._buffer) < size and self._more():
            pass
        data = self._take(size)
        return data, len(data) == size

    def _until(self, mark: bytes) -> tuple[bytes, bool]:
        while mark not in self._buffer and self._more():
            pass
        place = self._buffer.find(mark)
        return (self._take(place + len(mark)), True) if place >= 0 else (self._take(len(self._buffer)), False)

    def rest(self) -> bytes:
        """Everything up to the end of the connection; raises TimeoutError when the server keeps it open."""
        while self._more():
            pass
        return self._take(len(self._buffer))

    def response(self, method: str = "GET") -> Response:
        """Reads one answer to a request with ``method`` (1xx answers go into ``interim``)."""
        interim: list[int] = []
        raw = b""
        while True:
            head, whole = self._until(b"\r\n\r\n")
            raw += head
            if not whole or not re.match(rb"HTTP/\d\.\d \d", head):
                return Response(0, raw=raw, interim=interim, complete=False)
            lines = head[:-4].decode("latin-1").split("\r\n")
            version, _, rest = lines[0].partition(" ")
            code, _, reason = rest.partition(" ")
            status = int(code)
            headers = []
            for line in lines[1:]:
                name, _, value = line.partition(":")
                headers.append((name, value.strip(" ")))
            if not 100 <= status < 200 or status == 101:
                break
            interim.append(status)
        answer = Response(status, reason, headers, b"", raw, version, interim)
        if method == "HEAD" or status in (101, 204, 304):
            return answer
        if (answer.get("Transfer-Encoding") or "").lower() == "chunked":
            framed, answer.body, answer.complete = self._chunked()
        elif (length := answer.get("Content-Length")) is not None:
            answer.body, answer.complete = self._exactly(int(length))
            framed = answer.body
        else:
            answer.body = framed = self.rest()
        answer.raw += framed
        return answer

    def _chunked(self) -> tuple[bytes, bytes, bool]:
        raw = body = b""
        while True:
            line, whole = self._until(b"\r\n")
            raw += line
            if not whole:
                return raw, body, False
            size = int(line.split(b";")[0], 16)
            if size == 0:
                break
            data, whole = self._exactly(size + 2)
            raw += data
            body += data[:size]
            if not whole:
                return raw, body, False
        while True:
            line, whole = self._until(b"\r\n")
            raw += line
            if not whole or line == b"\r\n":
                return raw, body, whole

    def request(
        self,
        method: str = "GET",
        path: str = "/",
        headers: Headers = (),
        body: bytes | None = None,
        version: str = "1.1",
    ) -> Response:
        """Sends one request (see :func:`head`) and reads its answer."""
        self.send(head(method, path, headers, body, version))
        return self.response(method)

    def close(self) -> None:
        """Closes the connection."""
        self.sock.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def head(
    method: str = "GET", path: str = "/", headers: Headers = (), body: bytes | None = None, version: str = "1.1"
) -> bytes:
    """The bytes of a request.

    ``Host: localhost`` is added unless ``headers`` has a Host, and Content-Length for a ``body`` unless they say how it
    is framed.
    """
    pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
    names = {name.lower() for name, _ in pairs}
    if "host" not in names:
        pairs.insert(0, ("Host", "localhost"))
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        pairs.append(("Content-Length", str(len(body))))
    lines = [f"{method} {path} HTTP/{version}", *(f"{name}: {value}" for name, value in pairs)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


def request(
    server: Server | int | str,
    method: str = "GET",
    path: str = "/",
    headers: Headers = (),
    body: bytes | None = None,
    version: str = "1.1",
    timeout: float = 10,
) -> Response:
    """Sends one request on a connection of its own and reads its answer."""
    with Connection(server, timeout) as connection:
        connection.send(head(method, path, headers, body, version))
        return connection.response(method)


def raw(server: Server | int | str, data: bytes, *, shutdown: bool = False, timeout: float = 10) -> bytes:
    """Sends bytes and returns all that comes until the server closes; ``shutdown`` ends our half after sending."""
    with Connection(server, timeout) as connection:
        connection.send(data)
        if shutdown:
            connection.shutdown()
        return connection.rest()
