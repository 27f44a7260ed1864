"""What the tests of proxying share: short configurations, and who plays the upstream."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from harness import Server, http
from origin import Origin
from rawserver import Peer, RawServer, answer

BIG = bytes(range(256)) * 4096
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
ANSWER = answer(b"ok")
ALL = "location / { proxy_pass http://127.0.0.1:{origin}; }"


def proxy(inside: str, block: str = "", log: str = "") -> str:
    """A conf whose server has ``inside``; ``block`` goes beside the server, ``log`` is the format of its log."""
    log = f"log_format own '{log}'; access_log {{prefix}}/logs/own.log own;" if log else ""
    return http(f"{log} {block} server {{ listen {{port}}; {inside} }}")


def ports(origin: Origin | RawServer) -> Mapping[str, int]:
    """What ``{origin}`` stands for."""
    return {"origin": origin.port}


def counting(peer: Peer) -> None:
    """Answers every request with the numbers of its connection and of the request on it."""
    number = 0
    while peer.head():
        number += 1
        peer.send(answer(b"%d/%d" % (peer.number, number)))


def echoing(peer: Peer) -> None:
    """Answers every request with its head."""
    while head := peer.head():
        peer.send(answer(head))


@contextmanager
def client(server: Server, address: str = "127.0.0.1") -> Iterator[Peer]:
    """A connection to ``server``, from ``address``, without any HTTP of its own."""
    with socket.create_connection(("127.0.0.1", server.port), 10, (address, 0)) as sock:
        yield Peer(sock, 0)


def stalled(sock: socket.socket) -> int:
    """Sends until the other side takes no more for half a second; the bytes sent."""
    sent = 0
    sock.settimeout(0.5)
    try:
        while True:
            sent += sock.send(BIG)
    except TimeoutError:
        sock.settimeout(10)
        return sent
