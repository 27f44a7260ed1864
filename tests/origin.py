"""An origin server for tests that plays a script, one per path, whatever a well-behaved server would do.

It is a thread with plain sockets: it can answer slowly, in odd pieces, break off, lie about lengths, or repeat what it
was sent. It speaks HTTP when the first line looks like HTTP, and otherwise plays the script named by the line itself,
for tests of sockets.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from typing import BinaryIO

_NO_LINGER = struct.pack("ii", 1, 0)


class Step(Enum):
    """What a script can do besides sending bytes and pausing."""

    #: Answer 200 with the bytes of the request as they came.
    ECHO = "echo"
    #: Answer 200 with the number of this connection and of the request on it.
    COUNT = "count"
    #: Keep the connection and read the next request.
    KEEP = "keep"
    #: Close by a reset.
    RESET = "reset"
    #: Wait until the other side closes.
    WAIT = "wait"


ECHO, COUNT, KEEP, RESET, WAIT = Step
#: Bytes to send (``{origin}`` in them stands for the origin's port), seconds to pause, or a step, in order; then the
#: connection is closed.
Script = bytes | tuple[bytes | float | Step, ...]


def ok(body: bytes, *headers: str, status: str = "200 OK", keep: bool = False) -> bytes:
    """An HTTP/1.1 answer with Content-Length, the given header lines, and the news that the connection is closed."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", *([] if keep else ["Connection: close"])]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _kept(answer: bytes, script: tuple[bytes | float | Step, ...]) -> bytes:
    """The answer without the news of ``ok`` that the connection is closed, where the script keeps it."""
    return answer.replace(b"\r\nConnection: close\r\n\r\n", b"\r\n\r\n", 1) if KEEP in script else answer


class Origin:
    """Listens on a loopback port for as long as the ``with`` block lasts.

    :param scripts: what to play, by path without query string (HTTP) or by first line without its end.
    """

    def __init__(self, scripts: Mapping[str, Script]) -> None:
        self.scripts = scripts
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._count = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()

    def __enter__(self) -> Origin:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        # Closing alone would leave the thread in accept().
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for sock in self._open:
                with suppress(OSError):  # the other side may have reset it
                    sock.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._count += 1
                self._open.add(sock)
                number = self._count
            threading.Thread(target=self._serve, args=(sock, number), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        reader = sock.makefile("rb")
        try:
            requests = 0
            while received := self._read(reader):
                requests += 1
                if not self._play(sock, *received, f"connection {number}, request {requests}".encode()):
                    break
        except OSError:
            pass
        finally:
            with self._lock:
                self._open.discard(sock)
            reader.close()
            sock.close()

    @staticmethod
    def _read(reader: BinaryIO) -> tuple[str, bytes] | None:
        """One request as (name of the script, all its bytes); None at the end of the connection."""
        line = reader.readline()
        if not line:
            return None
        words = line.split()
        if len(words) != 3 or not words[2].startswith(b"HTTP/"):
            return line.rstrip(b"\r\n").decode(), line
        data, length, chunked = line, 0, False
        while line not in (b"\r\n", b""):
            line = reader.readline()
            data += line
            name, _, value = line.lower().partition(b":")
            if name == b"content-length":
                length = int(value)
            chunked |= name == b"transfer-encoding" and b"chunked" in value
        while chunked:
            line = reader.readline()
            size = int(line, 16)
            data += line + reader.read(size + 2)
            chunked = size > 0
        return words[1].decode().partition("?")[0], data + reader.read(length)

    def _play(self, sock: socket.socket, name: str, request: bytes, count: bytes) -> bool:
        """Plays a script; true when the connection goes on."""
        script = self.scripts.get(name, ok(b"no script " + name.encode(), status="404 Not Found"))
        script = (script,) if isinstance(script, bytes) else script
        pause = threading.Event()
        for step in script:
            if isinstance(step, bytes):
                sock.sendall(_kept(step, script).replace(b"{origin}", str(self.port).encode()))
            elif isinstance(step, float):
                pause.wait(step)
            elif step in (ECHO, COUNT):
                answer = ok(request if step is ECHO else count, "Content-Type: text/plain")
                sock.sendall(_kept(answer, script))
            elif step is KEEP:
                return True
            elif step is RESET:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            elif step is WAIT:
                while sock.recv(65536):
                    pass
        return False
