"""A server for tests that a function plays: one call for one connection, in a thread of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """An HTTP/1.1 response after which the connection can be kept."""
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]).encode() + body


class Peer:
    """The server's end of a connection. ``number`` counts the connections from 1."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.sock = sock
        self.number = number
        self._buffer = b""

    def send(self, data: bytes) -> None:
        """Send all of ``data``."""
        self.sock.sendall(data)

    def until(self, mark: bytes) -> bytes:
        """Everything up to and including ``mark``; what there is if the other side closes."""
        while mark not in self._buffer and self._more():
            pass
        place = self._buffer.find(mark)
        return self._take(place + len(mark) if place >= 0 else len(self._buffer))

    def exactly(self, size: int) -> bytes:
        """``size`` bytes; fewer if the other side closes."""
        while len(self._buffer) < size and self._more():
            pass
        return self._take(size)

    def head(self) -> bytes:
        """A request's head; b"" at the end of the connection."""
        return self.until(b"\r\n\r\n")

    def chunks(self) -> bytes:
        """A body in the chunked coding, decoded."""
        body = b""
        while size := int(self.until(b"\r\n"), 16):
            body += self.exactly(size)
            assert self.until(b"\r\n") == b"\r\n"
        assert self.until(b"\r\n") == b"\r\n"
        return body

    def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        while self._more():
            pass
        return self._take(len(self._buffer))

    def _more(self) -> bool:
        try:
            data = self.sock.recv(65536)
        except OSError:
            data = b""
        self._buffer += data
        return bool(data)

    def _take(self, size: int) -> bytes:
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data


class RawServer:
    """Listens on a loopback port while the ``with`` block lasts; ``play(peer)`` is called for each connection."""

    def __init__(self, play: Callable[[Peer], None], backlog: int = 128) -> None:
        self._play = play
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=backlog)
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> RawServer:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for sock in self._open:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.add(sock)
                peer = Peer(sock, self.connections)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: Peer) -> None:
        with suppress(OSError):
            self._play(peer)
        with self._lock:
            self._open.discard(peer.sock)
        peer.sock.close()
