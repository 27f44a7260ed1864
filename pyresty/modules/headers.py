"""add_header, add_trailer, expires. https://nginx.org/en/docs/http/ngx_http_headers_module.html

One filter for each location that has any of them: it adds to the head of a main request's response what the directives say, for the
statuses of success and redirection, and for others where they say ``always``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.directives import (
    HSL,
    LIF,
    TAKE1,
    TAKE12,
    TAKE23,
    UNSET,
    Directive,
    Module,
    Settings,
    enum,
    parse_time,
    setting,
)
from ..http.dates import http_time, http_time_now, parse_http_time
from ..http.headers_out import get_header_out, set_header_out
from ..http.template import Template, encode

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.directives import Setter
    from ..config.parse import Node
    from ..http.request import Request
    from ..http.routing import Location

#: The statuses for which headers are added without ``always``.
_SAFE = frozenset((200, 201, 204, 206, 301, 302, 303, 304, 307, 308))

#: nginx: ``ngx_http_expires_t``.
OFF, EPOCH, MAX, ACCESS, MODIFIED, DAILY = "off", "epoch", "max", "access", "modified", "daily"


@dataclass(frozen=True)
class Header:
    """One ``add_header`` or ``add_trailer``."""

    name: bytes
    value: Template
    always: bool


@dataclass(frozen=True)
class Expires:
    """One ``expires``: its kind and seconds, or with variables in it the template and the kind that it is read as."""

    kind: str
    seconds: int = 0
    value: Template | None = None


@dataclass
class HeadersLocation(Settings):
    """Settings of a location."""

    expires: Expires = setting(Expires(OFF))
    headers: list[Header] | None = setting(None, inherit=False)
    trailers: list[Header] | None = setting(None, inherit=False)
    headers_inherit: str = setting("on")
    trailers_inherit: str = setting("on")

    def merge(self, parent: Settings | None) -> None:
        """The outer block's headers count where there are none of our own, and with ``merge`` after our own."""
        super().merge(parent)
        if isinstance(parent, HeadersLocation):
            self.headers = _merged(self.headers, parent.headers, self.headers_inherit)
            self.trailers = _merged(self.trailers, parent.trailers, self.trailers_inherit)


def _merged(own: list[Header] | None, outer: list[Header] | None, inherit: str) -> list[Header] | None:
    if inherit == "off" or outer is None:
        return own
    if own is None:
        return outer
    return own + outer if inherit == "merge" else own


def parse_expires(text: str, kind: str) -> Expires:
    """Read the time of ``expires``. Raises ValueError with nginx's text. nginx: ``ngx_http_parse_expires``."""
    if kind != MODIFIED and text in (EPOCH, MAX, OFF):
        return Expires(text)
    if text.startswith("@"):
        if kind == MODIFIED:
            raise ValueError('daily time cannot be used with "modified" parameter')
        kind = DAILY
    time_text = text[1:] if text[:1] in ("@", "+", "-") else text
    if "ms" in time_text:
        raise ValueError("invalid value")
    seconds = int(parse_time(time_text))
    if kind == DAILY and seconds > 24 * 60 * 60:
        raise ValueError("daily time value must be less than 24 hours")
    return Expires(kind, -seconds if text.startswith("-") else seconds)


def set_expires(cf: Builder, conf: HeadersLocation, node: Node) -> None:
    """``expires [modified] time | @time | epoch | max | off``."""
    if conf.expires is not UNSET:
        raise ValueError("is duplicate")
    kind = ACCESS
    if len(node.args) == 2:
        if node.args[0] != MODIFIED:
            raise ValueError("invalid value")
        kind = MODIFIED
    value = cf.template(node.args[-1])
    conf.expires = parse_expires(node.args[-1], kind) if value.const is not None else Expires(kind, 0, value)


def adder(field: str) -> Setter:
    """Setter of ``add_header`` and ``add_trailer``: ``name value [always]``."""

    def add(cf: Builder, conf: HeadersLocation, node: Node) -> None:
        if len(node.args) == 3 and node.args[2] != "always":
            raise cf.error(f'invalid parameter "{node.args[2]}"')
        if getattr(conf, field) is UNSET:
            setattr(conf, field, [])
        header = Header(encode(node.args[0]), cf.template(node.args[1]), len(node.args) == 3)
        getattr(conf, field).append(header)

    return add


def add_header(r: Request, name: bytes, value: bytes) -> None:
    """Add a header to the response; those that there can be only one of are replaced, by an empty value removed."""
    low = name.lower()
    if low == b"etag":
        set_header_out(r, name, [value] if value else [])
    elif low == b"last-modified":
        r.last_modified = parsed = parse_http_time(value) if value else None
        r.headers_out = [entry for entry in r.headers_out if entry[0].lower() != low]
        if value and (parsed is None or r.status not in (200, 206, 304) or http_time(parsed) != value):
            r.last_modified = None
            r.headers_out.append((name, value))
    elif value:
        r.headers_out.append((name, value))


def add_expires(r: Request, expires: Expires) -> None:
    """Set ``Expires`` and ``Cache-Control``. nginx: ``ngx_http_set_expires``."""
    configured = expires.seconds
    if expires.value is not None:
        try:
            expires = parse_expires(expires.value(r).decode("latin-1"), expires.kind)
        except ValueError:
            return
        if expires.kind == OFF:
            return
    modified = get_header_out(r, b"last-modified")
    date, control = _expires(expires, configured, parse_http_time(modified) if modified is not None else None)
    set_header_out(r, b"Expires", [date])
    set_header_out(r, b"Cache-Control", [control])


def _expires(expires: Expires, configured: int, last_modified: int | None) -> tuple[bytes, bytes]:
    kind, seconds = expires.kind, expires.seconds
    if kind == EPOCH:
        return b"Thu, 01 Jan 1970 00:00:01 GMT", b"no-cache"
    if kind == MAX:
        return b"Thu, 31 Dec 2037 23:55:55 GMT", b"max-age=315360000"
    if seconds == 0 and kind != DAILY:
        return http_time_now(), b"max-age=0"
    now = int(time.time())
    if kind == DAILY:
        end = _next_time(seconds, now)
    else:
        end = seconds + (last_modified if kind == MODIFIED and last_modified is not None else now)
    age = end - now
    if configured < 0 or age < 0:
        return http_time(end), b"no-cache"
    return http_time(end), b"max-age=%d" % age


def _next_time(when: int, now: int) -> int:
    """The next time it is ``when`` seconds after local midnight. nginx: ``ngx_next_time``."""
    today = time.localtime(now)
    clock = (when // 3600, when % 3600 // 60, when % 60, 0, 0, -1)
    end = int(time.mktime((today.tm_year, today.tm_mon, today.tm_mday, *clock)))
    return end if end > now else int(time.mktime((today.tm_year, today.tm_mon, today.tm_mday + 1, *clock)))


def header_filter(loc: Location) -> Callable[[Request], None] | None:
    """The filter of a location; none where nothing is to be added."""
    conf: HeadersLocation = loc.conf["headers"]
    expires, headers, trailers = conf.expires, conf.headers or (), conf.trailers or ()
    if expires.kind == OFF and not headers and not trailers:
        return None
    always = tuple(header for header in headers if header.always)
    always_trailers = tuple(trailer for trailer in trailers if trailer.always)

    def add(r: Request) -> None:
        if r.is_subrequest:
            return
        safe = r.status in _SAFE
        if safe and expires.kind != OFF:
            add_expires(r, expires)
        for header in headers if safe else always:
            add_header(r, header.name, header.value(r))
        if trailers if safe else always_trailers:
            r.expect_trailers = True
            # so that no remembered head is taken (http/output.py)
            r.length_name = r.length_name or b"Content-Length"
            r.add_body_filter(send_trailers)

    def send_trailers(r: Request, data: bytes, last: bool) -> bytes:
        if last and not r.header_only:
            for trailer in trailers if r.status in _SAFE else always_trailers:
                value = trailer.value(r)
                if value:
                    r.add_trailer(trailer.name, value)
        return data

    return add


_HSLI = HSL | LIF
_INHERIT = {"off": "off", "on": "on", "merge": "merge"}

MODULE = Module(
    name="headers",
    location=HeadersLocation,
    header_filter=header_filter,
    directives=(
        Directive("expires", _HSLI, TAKE12, set_expires),
        Directive("add_header", _HSLI, TAKE23, adder("headers")),
        Directive("add_trailer", _HSLI, TAKE23, adder("trailers")),
        Directive("add_header_inherit", _HSLI, TAKE1, enum("headers_inherit", _INHERIT)),
        Directive("add_trailer_inherit", _HSLI, TAKE1, enum("trailers_inherit", _INHERIT)),
    ),
)
