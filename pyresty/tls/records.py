"""TLS between a transport and whoever uses it: what a server's side and a client's have in common.

The one idea: to the loop's transport this is the protocol, to the user it is the transport. What arrives is decrypted on
the spot and handed over in one piece, what is written is encrypted on the spot; so the user does not know whether there
is TLS under it. The library is Python's ``ssl`` on memory buffers.
"""

from __future__ import annotations

import asyncio
import ssl
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Any

#: Bytes of a record, the most that OpenSSL gives or takes at once.
RECORD = 16384

#: What becomes of a connection, in this order. A client's begins as SHAKING.
WAITING, SETTLING, SHAKING, OPEN, CLOSED = range(5)


class TLSRecords(asyncio.Protocol, ABC):
    """TLS for ``user``, a protocol. ``object`` is there once the handshake has begun."""

    __slots__ = ("_ended", "_incoming", "_lower", "_outgoing", "_write_size", "object", "state", "user")

    object: ssl.SSLObject

    def __init__(self, user: Any, state: int) -> None:
        self.user = user
        self.state = state
        self._lower: Any = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._write_size = RECORD
        self._ended = False

    # -- the calls of the loop's transport

    def connection_made(self, transport: Any) -> None:
        self._lower = transport
        self.user.connection_made(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.state == OPEN:
            self._goodbye()
        self.state = CLOSED
        user, self.user = self.user, None  # (no cycle is to be left for the collector)
        user.connection_lost(exc)

    def pause_writing(self) -> None:
        self.user.pause_writing()

    def resume_writing(self) -> None:
        self.user.resume_writing()

    def is_closing(self) -> bool:
        """Whether what is written goes nowhere: the connection has been closed, or broken off."""
        return self._lower is None or bool(self._lower.is_closing())

    # -- the handshake

    def _shake(self) -> None:
        """Go on with the handshake as far as it goes."""
        try:
            self.object.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError as error:
            self._flush()
            self._shaken(error.with_traceback(None))
        else:
            self._flush()
            self.state = OPEN
            self._shaken(None)
            self._decrypt()

    @abstractmethod
    def _shaken(self, error: ssl.SSLError | None) -> None:
        """The handshake is over."""

    # -- data

    def _decrypt(self) -> None:
        """Hand over what has arrived. The end of the connection without TLS's own is an end like any other, as for
        nginx (``SSL_OP_IGNORE_UNEXPECTED_EOF``).
        """
        tls, incoming = self.object, self._incoming
        read = tls.read
        parts: list[bytes] = []
        ended = False
        broken: ssl.SSLError | None = None
        try:
            while True:
                data = read(RECORD)
                if not data:
                    ended = True
                    break
                parts.append(data)
                if not incoming.pending and not tls.pending() and not incoming.eof:
                    break
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            ended = True
        except ssl.SSLError as error:
            broken = error.with_traceback(None)
        if self._outgoing.pending:
            self._flush()
        if parts and self.state == OPEN:
            self.user.data_received(parts[0] if len(parts) == 1 else b"".join(parts))
        if self.state != OPEN:
            return
        if broken is not None:
            self._broken("SSL_read()", broken)
        elif ended and not self._ended:
            self._ended = True
            if not self.user.eof_received():
                self.close()

    def _broken(self, call: str, error: ssl.SSLError) -> None:
        """What arrives can't be decrypted, or what is written not encrypted: ``call`` has failed."""
        self.abort()

    def _flush(self) -> None:
        """Send what OpenSSL has written."""
        data = self._outgoing.read()
        if data:
            self._lower.write(data)

    # -- what the user calls

    def write(self, data: bytes) -> None:
        """Encrypt and send. What can't be encrypted any more is dropped: then the connection is lost, too."""
        if self.state != OPEN:
            return
        write, size = self.object.write, self._write_size
        try:
            if len(data) <= size:
                write(data)
            else:
                rest = memoryview(data)
                for start in range(0, len(data), size):
                    write(rest[start : start + size])
        except ssl.SSLError as error:
            self._broken("SSL_write()", error.with_traceback(None))
            return
        self._flush()

    def write_eof(self) -> None:
        """Say goodbye, and send nothing more; what the peer still sends may come."""
        if self.state == OPEN:
            self._goodbye()
            self._flush()
            self._lower.write_eof()

    def close(self) -> None:
        """Say goodbye as TLS has it, and close when everything is sent."""
        if self.state == OPEN:
            self._goodbye()
            self._flush()
        self.state = CLOSED
        self._lower.close()

    def abort(self) -> None:
        """Close now."""
        if self.state == OPEN:
            self._goodbye()
        self.state = CLOSED
        self._lower.abort()

    def _goodbye(self) -> None:
        """Make OpenSSL say goodbye; of one that has not, it forgets the session. nginx: ``ngx_ssl_shutdown``."""
        with suppress(ssl.SSLError, ValueError):
            self.object.unwrap()

    def pause_reading(self) -> None:
        self._lower.pause_reading()

    def resume_reading(self) -> None:
        self._lower.resume_reading()

    def get_write_buffer_size(self) -> int:
        """Bytes, encrypted, that the kernel has not taken yet."""
        size: int = self._lower.get_write_buffer_size()
        return size

    def set_write_buffer_limits(self, high: int | None = None) -> None:
        """As the transport's below."""
        self._lower.set_write_buffer_limits(high)

    def get_extra_info(self, name: str) -> Any:
        """As the transport's below."""
        return self._lower.get_extra_info(name)
