"""A name server for tests, on a loopback port."""

from __future__ import annotations

import socket
import struct
import threading
from collections import Counter


class NameServer:
    """A DNS server on a loopback port; a name's first label says what it answers, ``asked`` counts (name, type)."""

    CODES = {b"nx": 3, b"broken": 2, b"refused": 5}

    def __init__(self, ttl: int = 60) -> None:
        self.ttl = ttl
        self.asked: Counter[tuple[bytes, int]] = Counter()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                query, client = self._socket.recvfrom(4096)
            except OSError:
                return
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1 : at + 1 + query[at]])
                at += 1 + query[at]
            kind = int.from_bytes(query[at + 1 : at + 3], "big")
            self.asked[b".".join(labels).lower(), kind] += 1
            first = labels[0].lower()
            if first == b"silent":
                continue
            answers = []
            if first in (b"two", b"both") and kind == 1:
                answers = [(1, bytes((127, 0, 0, number))) for number in (1, 2)]
            if first == b"both" and kind == 28:
                answers = [(28, socket.inet_pton(socket.AF_INET6, "::1"))]
            records = b"".join(
                b"\xc0\x0c" + struct.pack(">HHIH", type_, 1, self.ttl, len(data)) + data for type_, data in answers
            )
            head = query[:2] + struct.pack(">HHHHH", 0x8180 | self.CODES.get(first, 0), 1, len(answers), 0, 0)
            self._socket.sendto(head + query[12 : at + 5] + records, client)
