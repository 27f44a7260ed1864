"""What a differential test consists of: a conf, the files beside it, and what is sent to it, in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from client import Headers, head
from origin import Script

#: The levels of error-log entries that are compared unless a case says otherwise.
ERRORS = ("error", "crit", "alert", "emerg")
#: With these, also what Lua writes by ngx.log and print.
NOTICES = (*ERRORS, "warn", "notice")
WARNINGS = (*ERRORS, "warn")
#: With these, also why a request was refused.
INFOS = (*NOTICES, "info")


@dataclass(frozen=True)
class Ask:
    """Bytes on a connection of its own, and what to read afterwards.

    :param send: byte strings to send; a number between them is a pause in seconds.
    :param read: the method of each answer to wait for. Without any, everything up to the end
        of the connection is compared as
        it came.
    :param end: the server has to close after the answers; what it sends before that is compared.
    :param shutdown: end our half of the connection after sending.
    :param port: the placeholder of the port to connect to, or of the unix socket's path.
    :param differs: why pyresty's answer is not the reference's; then ``expect`` is what it has to be instead: any of
        status, reason, body, headers (name to value, None for absent), raw and ended.
    """

    name: str
    send: tuple[bytes | float, ...]
    read: tuple[str, ...] = ("GET",)
    end: bool = False
    shutdown: bool = False
    port: str = "port"
    differs: str = ""
    expect: Mapping[str, Any] = field(default_factory=dict)


def get(
    path: str = "/",
    headers: Headers = (),
    *,
    method: str = "GET",
    body: bytes | None = None,
    version: str = "1.1",
    name: str = "",
    **options: Any,
) -> Ask:
    """One request, one answer. The name is the request line where none is given."""
    sent = head(method, path, headers, body, version)
    return Ask(name or f"{method} {path}", (sent,), options.pop("read", (method,)), **options)


def wire(name: str, *send: bytes | float, **options: Any) -> Ask:
    """Bytes as they are, one answer."""
    return Ask(name, send, **options)


@dataclass(frozen=True)
class Case:
    """A conf and its requests, run in order on one server.

    :param conf: the whole configuration, mostly made by ``harness.http``.
    :param files: see ``harness.Server``.
    :param scripts: of an origin (``origin.Origin``), whose port is ``{origin}``.
    :param levels: error-log levels to compare; notices only where they belong to a connection.
    :param mask: patterns (text) and what they become, in everything that is compared, for what is never twice the same.
    :param newer: lines of the
        reference's logs that a newer nginx writes differently, and what they have to be (None: absent).
    :param error_log: what the error log has to hold instead of the reference's entries.
    :param drop: patterns of error-log entries that are not compared, with the reason beside the case.
    :param modules: dynamic modules that the reference loads.
    """

    name: str
    conf: str
    asks: tuple[Ask, ...]
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    scripts: Mapping[str, Script] = field(default_factory=dict)
    levels: tuple[str, ...] = ERRORS
    mask: tuple[tuple[str, str], ...] = ()
    newer: Mapping[str, str | None] = field(default_factory=dict)
    error_log: tuple[str, ...] | None = None
    drop: tuple[str, ...] = ()
    modules: tuple[str, ...] = ("ndk_http_module", "ngx_http_lua_module")
