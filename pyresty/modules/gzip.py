"""gzip: https://nginx.org/en/docs/http/ngx_http_gzip_module.html

The header filter decides, and leaves a compressor behind as the response's body filter. What a client takes is asked of ``gzip_ok``,
which gzip_static and gunzip ask too.
"""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config.directives import (
    FLAG,
    HSL,
    LIF,
    ONE_MORE,
    TAKE1,
    TAKE2,
    Directive,
    Module,
    Settings,
    bitmask,
    enum,
    flag,
    mime_types,
    no_effect,
    number,
    setting,
    size,
)
from ..http.dates import parse_http_time
from ..http.headers_out import body_changes, get_header_out, has_type
from ..http.regex import compile_regex
from ..http.status import is_msie6

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request
    from ..http.routing import Location

_STATUSES = frozenset((200, 403, 404))
_PROXIED = ("off", "expired", "no-cache", "no-store", "private", "no_last_modified", "no_etag", "auth", "any")
#: zlib's window bits for a gzip header and trailer around the data.
GZIP_BITS = 31


@dataclass
class GzipSettings(Settings):
    """Settings of a location; ``msie6`` is of ``gzip_disable``."""

    enable: bool = setting(False)
    level: int = setting(1)
    min_length: int = setting(20)
    types: frozenset[bytes] = setting(frozenset((b"text/html",)))
    http_version: int = setting(1001)
    proxied: frozenset[str] = setting(frozenset(("off",)))
    disable: tuple[Any, ...] = setting(())
    msie6: bool = setting(False)
    vary: bool = setting(False)


def set_disable(cf: Builder, conf: GzipSettings, node: Node) -> None:
    """``gzip_disable regex … | msie6``."""
    for word in node.args:
        if word == "msie6":
            conf.msie6 = True
        else:
            conf.disable = (*(conf.disable or ()), compile_regex(cf, word, caseless=True))


# -- what the client takes


def _accepts(value: bytes) -> bool:
    """Whether an Accept-Encoding header lets gzip pass. nginx: ``ngx_http_gzip_accept_encoding``."""
    if value.startswith(b"gzip,"):
        return True
    low = value.lower()
    at = low.find(b"gzip")
    while at > 0 and low[at - 1 : at] not in (b",", b" "):
        at = low.find(b"gzip", at + 4)
    if at < 0:
        return False
    rest = low[at + 4 :].lstrip(b" ")
    if not rest or rest.startswith(b","):
        return True
    if not rest.startswith(b";"):
        return False
    rest = rest[1:].lstrip(b" ")
    if not rest:
        return True
    return rest.startswith(b"q=") and _quantity(rest[2:]) > 0


def _quantity(text: bytes) -> int:
    """The value of ``q=``, as nginx reads it: 0 where it is none."""
    number = text.replace(b" ", b",").partition(b",")[0]
    whole, dot, digits = number.partition(b".")
    if whole not in (b"0", b"1") or (digits and not digits.isdigit()) or len(digits) > 3:
        return 0
    total = (100 if whole == b"1" else 0) + sum(digits) - 48 * len(digits)
    return total if total <= 100 else 0


def _proxied(r: Request, proxied: frozenset[str]) -> bool:
    """Whether a request that came through a proxy may get gzip. nginx: ``gzip_proxied``."""
    if "off" in proxied:
        return False
    if "any" in proxied or ("auth" in proxied and b"authorization" in r.index):
        return True
    expires = get_header_out(r, b"expires")
    if expires is not None:
        moment = parse_http_time(expires)
        date = parse_http_time(r.date_header) if r.date_header else time.time()
        return "expired" in proxied and moment is not None and date is not None and moment < date
    control = get_header_out(r, b"cache-control")
    if control is not None:
        words = {word.strip().partition(b"=")[0].lower().decode("latin-1") for word in control.split(b",")}
        return bool(words & proxied & {"no-cache", "no-store", "private"})
    if "no_last_modified" in proxied and any(name.lower() == b"last-modified" for name, _ in r.headers_out):
        return False
    return not ("no_etag" in proxied and get_header_out(r, b"etag") is not None)


def gzip_ok(r: Request) -> bool:
    """Whether the client takes gzip and the ``gzip_…`` directives allow it. nginx: ``ngx_http_gzip_ok``."""
    accepted = r.header_in(b"accept-encoding")
    if accepted is None or r.is_subrequest or not _accepts(accepted):
        return False
    conf: GzipSettings = r.loc.conf["gzip"]
    agent = r.header_in(b"user-agent")
    if r.version < conf.http_version or (conf.msie6 and agent is not None and is_msie6(agent)):
        return False
    if b"via" in r.index and not _proxied(r, conf.proxied):
        return False
    return agent is None or not any(regex.search(agent) for regex in conf.disable)


def add_vary(r: Request) -> None:
    """``Vary: Accept-Encoding`` where ``gzip_vary`` is on."""
    field = (b"Vary", b"Accept-Encoding")
    if r.loc.conf["gzip"].vary and field not in r.headers_out:
        r.headers_out.append(field)


# -- the filter


class Gzip:
    """The compressor of a response, and its body filter. ``into`` and ``out`` count bytes."""

    __slots__ = ("_stream", "into", "out")

    def __init__(self, level: int) -> None:
        self._stream = zlib.compressobj(level, zlib.DEFLATED, GZIP_BITS)
        self.into = self.out = 0

    def __call__(self, r: Request, data: bytes, last: bool) -> bytes:
        if r.header_only:
            return b""
        made = self._stream.compress(data) if data else b""
        if last:
            made += self._stream.flush()
        elif not data:
            made += self._stream.flush(zlib.Z_SYNC_FLUSH)
        self.into += len(data)
        self.out += len(made)
        return made


def header_filter(loc: Location) -> Callable[[Request], None] | None:
    """The filter of a location; none where gzip is off."""
    conf: GzipSettings = loc.conf["gzip"]
    if not conf.enable:
        return None

    def gzip(r: Request) -> None:
        if (
            r.status not in _STATUSES
            or (r.content_length is not None and r.content_length < conf.min_length)
            or not has_type(r, conf.types)
            or r.header_only
            or get_header_out(r, b"content-encoding")
        ):
            return
        add_vary(r)
        if not gzip_ok(r):
            return
        r.gzip = Gzip(conf.level)  # type: ignore[attr-defined]
        r.add_body_filter(r.gzip)  # type: ignore[attr-defined]
        body_changes(r)
        r.headers_out.append((b"Content-Encoding", b"gzip"))

    return gzip


def ratio(r: Request) -> bytes | None:
    """``$gzip_ratio``: ``3.14``, rounded; none without compression."""
    done: Gzip | None = getattr(r, "gzip", None)
    if done is None or not done.out:
        return None
    thousandths = done.into * 1000 // done.out
    return b"%d.%02d" % divmod((thousandths + 5) // 10, 100)


def prepare(cf: Builder) -> None:
    """Declare the variable."""
    cf.define("gzip_ratio", ratio)


MODULE = Module(
    name="gzip",
    location=GzipSettings,
    prepare=prepare,
    header_filter=header_filter,
    directives=(
        Directive("gzip", HSL | LIF, FLAG, flag("enable")),
        Directive("gzip_buffers", HSL, TAKE2, no_effect("zlib's output needs no buffers of its own")),
        Directive("gzip_comp_level", HSL, TAKE1, number("level", 1, 9)),
        Directive("gzip_disable", HSL, ONE_MORE, set_disable),
        Directive("gzip_http_version", HSL, TAKE1, enum("http_version", {"1.0": 1000, "1.1": 1001})),
        Directive("gzip_min_length", HSL, TAKE1, size("min_length")),
        Directive("gzip_proxied", HSL, ONE_MORE, bitmask("proxied", {word: word for word in _PROXIED})),
        Directive("gzip_types", HSL, ONE_MORE, mime_types("types")),
        Directive("gzip_vary", HSL, FLAG, flag("vary")),
    ),
)
