"""Servers with TLS and a client for them, for the tests of ``listen … ssl``."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

from authority import Authority
from harness import Server, http

ONE = "ssl_certificate one.crt; ssl_certificate_key one.key;"
TWO = "ssl_certificate two.crt; ssl_certificate_key two.key;"


def serving(ca: Authority, text: str, *, reference: bool = False, **files: str | bytes) -> Server:
    """A server around ``text``, what is inside ``http``; the CA's files are beside the conf."""
    text = "ssl_protocols TLSv1.2 TLSv1.3;" + text
    return Server(http(text), {**ca.files(), **files}, reference=reference)


def one_server(inside: str, names: str = "one.test") -> str:
    return f"server {{ listen {{port}} ssl; server_name {names}; {inside} }}"


class Client:
    """A TLS client. ``certificate`` is the server's, in DER."""

    def __init__(
        self, ca: Authority, port: int, name: str | None = "one.test", *, client: str = "", session: ssl.SSLSession | None = None,
        prepare: Callable[[ssl.SSLContext], object] = lambda context: None, context: ssl.SSLContext | None = None, address: str = "127.0.0.1",
    ) -> None:  # fmt: skip
        if context is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            if client:
                context.load_cert_chain(ca.path(client + ".crt"), ca.path(client + ".key"))
            prepare(context)
        self.context = context
        raw = socket.create_connection((address, port), 10)
        try:
            self.sock = context.wrap_socket(raw, server_hostname=name, session=session)
        except BaseException:
            raw.close()
            raise
        self.file = self.sock.makefile("rb")

    def ask(self, path: str = "/", host: str = "one.test", *, more: str = "") -> tuple[int, bytes]:
        """Send a GET and read the answer: status and body."""
        self.sock.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode())
        return self.read()

    def read(self) -> tuple[int, bytes]:
        status = int(self.file.readline().split()[1])
        length = 0
        while (line := self.file.readline().strip()) != b"":
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return status, self.file.read(length)

    @property
    def certificate(self) -> bytes:
        return self.sock.getpeercert(True) or b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.sock.close()
