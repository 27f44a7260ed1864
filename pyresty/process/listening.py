"""The listening sockets. The idea: the master opens every socket before it makes a worker and keeps it over reloads, so
no connection is ever refused while the server lives.

Source: nginx's "listen" (http core module), "Controlling nginx: Changing Configuration".
"""

from __future__ import annotations

import errno
import os
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from ..config.errors import ConfigError
from .logs import EMERG, NOTICE, WARN, ErrorLog, reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..config.build import Listen

#: An address in use may become free: this often, with this many seconds between, it is tried again.
TRIES = 5
PAUSE = 0.5

#: The address family and the address: what makes two ``listen`` directives mean the same socket.
_Key = tuple[int, object]


class Listening:
    """The listening sockets of one configuration: one for an address, or one for each worker (``reuseport``)."""

    def __init__(self) -> None:
        self._sockets: dict[_Key, list[socket.socket]] = {}
        self._listens: dict[_Key, Listen] = {}

    @classmethod
    def open(
        cls, listens: Iterable[Listen], workers: int, log: ErrorLog, *, old: Listening | None = None, test: bool = False
    ) -> Listening:
        """Open what ``listens`` asks for, taking over from ``old`` the sockets of the same addresses.

        ``workers`` is how many sockets a ``reuseport`` address gets. ``test`` only looks whether it could be done: an
        address in use is no fault then, and nothing stays open. Raises :class:`ConfigError` when an address cannot be
        had; ``old`` is then as it was. When all is well the caller ends with ``old.close_unless_in(new)``.
        """
        new = cls()
        try:
            for listen in listens:
                new._take_over(listen, workers, old)
            for left in range(TRIES, 0, -1):
                error = new._fill(workers, log, test)
                if error is None:
                    break
                log.write(NOTICE, f"try again to bind() after {PAUSE * 1000:.0f}ms")
                time.sleep(PAUSE)
                if left == 1:
                    raise ConfigError("still could not bind()", hint=error.hint)
        except ConfigError:
            new.close_unless_in(old)
            raise
        if test:
            new.close_unless_in(None)
        return new

    def for_worker(self, number: int) -> dict[Listen, list[socket.socket]]:
        """The sockets that the worker with this number (from 0) accepts connections from."""
        return {
            listen: [sockets[number % len(sockets)]]
            for listen, sockets in zip(self._listens.values(), self._sockets.values(), strict=True)
        }

    def close_unless_in(self, kept: Listening | None, log: ErrorLog | None = None) -> None:
        """Close the sockets that ``kept`` does not have too, and remove the files of unix sockets that are gone.

        With a ``log`` it is told about each file removed, as nginx does at a reload.
        """
        for key, sockets in self._sockets.items():
            others = kept._sockets.get(key, ()) if kept is not None else ()
            for each in sockets:
                if each not in others:
                    each.close()
            if key[0] == socket.AF_UNIX and not others and sockets:
                path = str(key[1])
                if log is not None:
                    log.write(WARN, f"deleting socket {path}")
                with suppress(FileNotFoundError):
                    os.unlink(path)
        self._sockets.clear()  # a second call must not remove what another server has put there since

    def _take_over(self, listen: Listen, workers: int, old: Listening | None) -> None:
        key = (int(listen.family), listen.address)
        kept = list(old._sockets.get(key, ())) if old is not None else []
        del kept[workers if listen.reuseport else 1 :]
        if kept and old is not None and old._listens[key].backlog != listen.backlog:
            for each in kept:
                each.listen(listen.backlog)
        if kept and listen.reuseport:
            kept[0].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._listens[key] = listen
        self._sockets[key] = kept

    def _fill(self, workers: int, log: ErrorLog, test: bool) -> ConfigError | None:
        """Open what is missing. The error returned is about an address in use; any other is raised."""
        in_use = None
        for key, listen in self._listens.items():
            sockets = self._sockets[key]
            while len(sockets) < (workers if listen.reuseport and not test else 1):
                try:
                    sockets.append(_open(listen))
                except OSError as error:
                    if error.errno == errno.EADDRINUSE and test:
                        break
                    refused = ConfigError(f"bind() to {listen.text} failed {reason(error)}", hint=_hint(listen, error))
                    if error.errno != errno.EADDRINUSE:
                        raise refused from None
                    log.write(EMERG, refused.message)
                    in_use = refused
                    break
        return in_use


def _open(listen: Listen) -> socket.socket:
    """A bound, listening, non-blocking socket. Raises :class:`OSError`."""
    opened = socket.socket(listen.family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if listen.reuseport:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if listen.family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, listen.ipv6only)
        if listen.rcvbuf is not None:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, listen.rcvbuf)
        if listen.sndbuf is not None:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, listen.sndbuf)
        opened.setblocking(False)
        opened.bind(listen.address)
        if listen.family == socket.AF_UNIX:
            os.chmod(str(listen.address), 0o666)
        opened.listen(listen.backlog)
    except BaseException:
        opened.close()
        raise
    return opened


def _hint(listen: Listen, error: OSError) -> str | None:
    if listen.family == socket.AF_UNIX:
        if error.errno == errno.EADDRINUSE:
            return f"if no server runs there any more, remove the file: rm {listen.address!s}"
        return None
    port = listen.address[1]
    other = port + 8000 if port < 1000 else port + 1
    elsewhere = f"serve it on another port, for instance {other}: --listen {port}={other}"
    if error.errno == errno.EADDRINUSE:
        return f"another program listens there already; stop it, or {elsewhere}"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"ports below 1024 are only for the super-user; {elsewhere}"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"no network interface of this machine has that address ({listen.file}:{listen.line})"
    return None
