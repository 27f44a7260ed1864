"""access_log and log_format. https://nginx.org/en/docs/http/ngx_http_log_module.html

A format is compiled to one function of the request. Lines that are written in the same turn of the event loop go to the file in one
``write``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.directives import (
    HSL,
    HTTP,
    LIF,
    LMT,
    ONE_MORE,
    TWO_MORE,
    UNSET,
    Directive,
    Module,
    Settings,
    inner,
    no_effect,
    parse_size,
    parse_time,
    setting,
)
from ..http.template import Template, TemplateError, Variable, encode, split
from ..process.logs import CRIT, ERR, LogFile, log_file, reason

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request
    from ..http.routing import Location

COMBINED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
)

Format = Callable[["Request"], bytes]


@dataclass
class LogMain(Settings):
    """The compiled formats by name, and the log that is used where no directive names one."""

    formats: dict[str, Format] = inner(dict)
    default_log: AccessLog | None = inner(lambda: None)


@dataclass
class LogLocation(Settings):
    """The logs of a location; an empty list is ``access_log off``."""

    logs: list[AccessLog | VariableLog] = setting(None)  # type: ignore[arg-type]


class AccessLog:
    """One ``access_log``: a file, a format, a condition."""

    __slots__ = ("_file", "_format", "_pending", "condition")

    def __init__(self, file: LogFile, format: Format, condition: Template | None) -> None:
        self._file = file
        self._format = format
        self._pending: list[bytes] = []
        self.condition = condition

    def write(self, r: Request) -> None:
        """Log ``r``."""
        if self.condition is not None and self.condition(r) in (b"", b"0"):
            return
        pending = self._pending
        if not pending:
            r.conn.loop.call_soon(self._flush)
        pending.append(self._format(r))

    def _flush(self) -> None:
        data = b"".join(self._pending)
        self._pending.clear()
        self._file.write(data)


class VariableLog:
    """An ``access_log`` whose path has variables: the file is opened for each line, if the request's root exists."""

    __slots__ = ("_format", "_path", "_prefix", "condition")

    def __init__(self, path: Template, prefix: bytes, format: Format, condition: Template | None) -> None:
        self._path = path
        self._prefix = prefix
        self._format = format
        self.condition = condition

    def write(self, r: Request) -> None:
        """Log ``r``. nginx: ``ngx_http_log_script_write``."""
        if self.condition is not None and self.condition(r) in (b"", b"0"):
            return
        root = r.loc.core.document_root(r)
        path = os.path.join(self._prefix, self._path(r))
        if not os.path.isdir(root):
            r.log(ERR, b'testing "%s" existence failed (2: No such file or directory)' % root)
            return
        try:
            fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except (OSError, ValueError) as error:
            r.log(CRIT, b'open() "%s" failed %s' % (path, _reason(error)))
            return
        try:
            os.write(fd, self._format(r))
        except OSError as error:
            r.log(CRIT, b'write() to "%s" failed %s' % (path, _reason(error)))
        finally:
            os.close(fd)


def _reason(error: OSError | ValueError) -> bytes:
    return reason(error).encode() if isinstance(error, OSError) else str(error).encode()


# -- formats

_PLAIN = bytes(c for c in range(32, 127) if c not in b'"\\')
_DEFAULT = [bytes((c,)) if c in _PLAIN else b"\\x%02X" % c for c in range(256)]
_JSON = [bytes((c,)) if c >= 32 and c not in b'"\\' else b"\\u%04X" % c for c in range(256)]
_JSON[ord('"')], _JSON[ord("\\")] = b'\\"', b"\\\\"
for _c, _text in zip(b"\n\r\t\b\f", (b"\\n", b"\\r", b"\\t", b"\\b", b"\\f"), strict=True):
    _JSON[_c] = _text
_JSON_PLAIN = bytes(c for c in range(32, 256) if c not in b'"\\')


def escape_default(value: bytes | None) -> bytes:
    r"""``escape=default``: quotes, backslashes, control and non-ASCII bytes as ``\xXX``; no value is ``-``."""
    if value is None:
        return b"-"
    if not value.translate(None, _PLAIN):
        return value
    return b"".join([_DEFAULT[c] for c in value])


def escape_json(value: bytes | None) -> bytes:
    """``escape=json``: what a JSON string may not hold is escaped; no value is empty."""
    if value is None:
        return b""
    if not value.translate(None, _JSON_PLAIN):
        return value
    return b"".join([_JSON[c] for c in value])


def escape_none(value: bytes | None) -> bytes:
    """``escape=none``."""
    return b"" if value is None else value


ESCAPES = {"default": escape_default, "json": escape_json, "none": escape_none}


def compile_format(cf: Builder, text: str, escape: Callable[[bytes | None], bytes] = escape_default) -> Format:
    """A function that makes the line, with its end, for a request."""
    try:
        parts = split(text + "\n")
    except TemplateError as error:
        raise cf.error(str(error)) from None
    variables: list[Variable] = []
    pattern = b""
    for part in parts:
        if isinstance(part, str):
            pattern += encode(part).replace(b"%", b"%%")
        else:
            pattern += b"%b"
            variables.append(cf.variable(part[0]))

    def format(r: Request) -> bytes:
        return pattern % tuple([escape(variable.get(r)) for variable in variables])

    return format


# -- directives


def set_log_format(cf: Builder, conf: LogMain, node: Node) -> None:
    """``log_format name [escape=default|json|none] string …``."""
    name, *texts = node.args
    if name in conf.formats or name == "combined":
        raise cf.error(f'duplicate "log_format" name "{name}"')
    escape = escape_default
    if texts[0].startswith("escape="):
        word = texts.pop(0)[7:]
        if word not in ESCAPES:
            raise cf.error(f'unknown log format escaping "{word}"')
        escape = ESCAPES[word]
    conf.formats[name] = compile_format(cf, "".join(texts), escape)


def set_access_log(cf: Builder, conf: LogLocation, node: Node) -> None:
    """``access_log path [format [buffer=size] [gzip[=level]] [flush=time] [if=condition]]`` or ``access_log off``."""
    target, *words = node.args
    if target == "off" and not words:
        conf.logs = []
        return
    if conf.logs is UNSET:
        conf.logs = []
    if target.startswith("syslog:"):
        raise cf.error('"access_log syslog:" is not supported by pyresty yet')
    main = cf.config.main["log"]
    assert isinstance(main, LogMain)
    format = _combined(cf, main)
    if words and "=" not in words[0]:
        name = words.pop(0)
        if name != "combined":
            if name not in main.formats:
                raise cf.error(f'unknown log format "{name}"')
            format = main.formats[name]
    condition = None
    buffer, flush = 0, None
    for word in words:
        option, eq, value = word.partition("=")
        if option == "buffer" and eq:
            try:
                buffer = parse_size(value)
            except ValueError:
                raise cf.error(f'invalid buffer size "{value}"') from None
        elif option == "flush" and eq:
            try:
                flush = parse_time(value)
            except ValueError:
                raise cf.error(f'invalid flush time "{value}"') from None
        elif option == "if" and eq:
            condition = cf.template(value)
        elif option == "gzip":
            raise cf.error('the "gzip" parameter of "access_log" is not supported by pyresty yet')
        else:
            raise cf.error(f'invalid parameter "{word}"')
    if flush is not None and not buffer:
        raise cf.error(f'no buffer is defined for access_log "{target}"')
    if "$" in target:
        if buffer:
            raise cf.error("buffered logs cannot have variables in name")
        conf.logs.append(VariableLog(cf.template(target), encode(cf.prefix), format, condition))
        return
    path = cf.path(target)
    cf.config.log_files.add(path)
    file = log_file(path)
    if buffer:
        file.buffered(buffer, flush)
    conf.logs.append(AccessLog(file, format, condition))


def _combined(cf: Builder, main: LogMain) -> Format:
    format = main.formats.get("combined")
    if format is None:
        format = main.formats["combined"] = compile_format(cf, COMBINED)
    return format


def on_location(cf: Builder, loc: Location) -> None:
    """Add the logs of a location; without any directive it is nginx's default, ``logs/access.log combined``."""
    conf: LogLocation = loc.conf["log"]
    if conf.logs is None:
        path = cf.path("logs/access.log")
        main = cf.config.main["log"]
        assert isinstance(main, LogMain)
        conf.logs = [_default_log(cf, main, path)]
    loc.log += tuple(log.write for log in conf.logs)


def _default_log(cf: Builder, main: LogMain, path: str) -> AccessLog:
    if main.default_log is None:
        cf.config.log_files.add(path)
        main.default_log = AccessLog(log_file(path), _combined(cf, main), None)
    return main.default_log


MODULE = Module(
    name="log",
    main=LogMain,
    location=LogLocation,
    on_location=on_location,
    directives=(
        Directive("log_format", HTTP, TWO_MORE, set_log_format, "main"),
        Directive("access_log", HSL | LIF | LMT, ONE_MORE, set_access_log),
        Directive("open_log_file_cache", HSL, ONE_MORE, no_effect("log files stay open")),
    ),
)
