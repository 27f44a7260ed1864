"""A certificate authority for tests, made by the ``openssl`` command, and TLS servers that tell what they saw.

The one idea: a :class:`TLSOrigin` answers each request with one line about its connection (server name, whether the
session was resumed, the client's certificate, how many requests came before), so a test reads in the response what went
over the wire.
"""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl command")

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Authority:
    """A CA in ``folder``: ``ca.crt``, and for each name issued NAME.crt and NAME.key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.self_signed("ca")
        (folder / "index.txt").write_text("")
        (folder / "serial").write_text("1000")
        (folder / "ca.cnf").write_text(
            "[ca]\ndefault_ca=me\n[me]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\nunique_subject=no\n"
            "default_md=sha256\ndefault_crl_days=30\npolicy=any\n[any]\ncommonName=supplied\n"
        )

    def stocked(self) -> Authority:
        """With what the tests of TLS need: for servers ``one``, ``two`` and what is wrong with others, for clients
        ``client`` and ``client2``.
        """
        self.issue("one", "one.test", "one.test", "*.wild.test")
        self.issue("two", "two.test", "two.test")
        self.issue("named", "common.test")
        self.issue("expired", "one.test", "one.test", expired=True)
        self.issue("revoked", "one.test", "one.test")
        self.issue("middle", "middle", ca=True)
        self.issue("middle2", "middle2", ca=True, by="middle")
        self.issue("deep", "one.test", "one.test", by="middle2")
        self.self_signed("self", "one.test")
        self.issue("client", "me")
        self.issue("client2", "you")
        for name in ("one", "client"):
            self.encrypt(name, "secret")
        (self.folder / "passwords").write_text("wrong\nsecret\n")
        self.revoke("revoked")
        return self

    def path(self, name: str) -> str:
        """The path of one of its files."""
        return str(self.folder / name)

    def der(self, name: str) -> bytes:
        """The certificate of ``name`` as a peer sees it (DER)."""
        return ssl.PEM_cert_to_DER_cert((self.folder / f"{name}.crt").read_text())

    def files(self) -> dict[str, str | bytes]:
        """All certificates and keys, to be laid beside a conf: ``conf/NAME.crt``; and ``conf/passwords`` of the keys."""
        return {
            f"conf/{path.name}": path.read_text()
            for path in self.folder.iterdir()
            if path.suffix in (".crt", ".key", ".crl") or path.name == "passwords"
        }

    def self_signed(self, name: str, cn: str = "") -> None:
        """A certificate that is its own authority."""
        self._openssl(
            "req", "-x509", *_NEW_KEY, "-keyout", f"{name}.key", "-out", f"{name}.crt", "-days", "30", "-subj", f"/CN={cn or name}"
        )  # fmt: skip

    def issue(self, name: str, cn: str, *dns: str, expired: bool = False, ca: bool = False, by: str = "ca") -> None:
        """A certificate for ``cn`` with the DNS names ``dns``, by the authority ``by``; ``ca``: it is one itself."""
        self._openssl("req", *_NEW_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={cn}")
        extensions = "basicConstraints=CA:TRUE\n" if ca else ""
        if dns:
            extensions += "subjectAltName=" + ",".join(f"DNS:{one}" for one in dns) + "\n"
        (self.folder / f"{name}.ext").write_text(extensions)
        common = ("-in", f"{name}.csr", "-out", f"{name}.crt", "-extfile", f"{name}.ext")
        if expired:
            dates = ("-startdate", "20200101000000Z", "-enddate", "20210101000000Z")
            self._openssl("ca", *self._me, "-batch", "-notext", *dates, *common)
        else:
            key = ("-CA", f"{by}.crt", "-CAkey", f"{by}.key", "-CAcreateserial")
            self._openssl("x509", "-req", *key, "-days", "30", *common)
        if by != "ca":
            chain = (self.folder / f"{name}.crt").read_text() + (self.folder / f"{by}.crt").read_text()
            (self.folder / f"{name}.crt").write_text(chain)

    def encrypt(self, name: str, password: str) -> None:
        """NAME.enc.key: the key of ``name`` under a passphrase."""
        self._openssl("ec", "-in", f"{name}.key", "-aes256", "-passout", f"pass:{password}", "-out", f"{name}.enc.key")

    def revoke(self, *names: str) -> None:
        """ca.crl: these certificates are revoked."""
        for name in names:
            self._openssl("ca", *self._me, "-revoke", f"{name}.crt")
        self._openssl("ca", *self._me, "-gencrl", "-out", "ca.crl")

    _me = ("-config", "ca.cnf", "-keyfile", "ca.key", "-cert", "ca.crt")

    def _openssl(self, *args: str) -> None:
        subprocess.run(["openssl", *args], cwd=self.folder, check=True, capture_output=True)

    def context(self, name: str, *, client_ca: bool = False) -> ssl.SSLContext:
        """A server's context with the certificate of ``name``; ``client_ca``: clients must show one of this CA's."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path(f"{name}.crt"), self.path(f"{name}.key"))
        if client_ca:
            context.load_verify_locations(self.path("ca.crt"))
            context.verify_mode = ssl.CERT_REQUIRED
        return context


@contextmanager
def tls_origin(context: ssl.SSLContext, *, slow: bool = False) -> Iterator[int]:
    """A port where every request gets ``sni=… reused=… client=… n=… version=…``; keeps connections.

    ``slow`` makes the client wait a little: the reference's resty.core stumbles over handshakes that end at once.
    """
    names: dict[int, str | None] = {}
    context.sni_callback = lambda sock, name, _: names.__setitem__(id(sock), name)

    def answer(sock: socket.socket) -> None:
        if slow:
            threading.Event().wait(0.05)
        tls = context.wrap_socket(sock, server_side=True)
        name = names.pop(id(tls), None)
        certificate = tls.getpeercert() or {}
        subject: Any = certificate.get("subject", ())
        client = "".join(value for part in subject for key, value in part if key == "commonName")
        count = 0
        with tls:
            while (head := _head(tls)) is not None:
                count += 1
                line = (
                    f"sni={name} reused={tls.session_reused} client={client} n={count} version={tls.version()}".encode()
                )
                close = b"connection: close" in head.lower()
                tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(line), line))
                if close:
                    tls.unwrap()
                    return

    with listening(answer) as port:
        yield port


def _head(sock: socket.socket) -> bytes | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            return None
        data += piece
    return data


@contextmanager
def listening(answer: Callable[[socket.socket], object]) -> Iterator[int]:
    """A port whose connections are answered by ``answer``, each in a thread."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []
    open_now: set[socket.socket] = set()

    def serve(sock: socket.socket) -> None:
        try:
            answer(sock)
        except (OSError, ValueError):
            pass
        finally:
            open_now.discard(sock)
            sock.close()

    def accept() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.settimeout(20)
            open_now.add(sock)
            thread = threading.Thread(target=serve, args=(sock,), daemon=True)
            threads.append(thread)
            thread.start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join(20)
