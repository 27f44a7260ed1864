"""How an upstream's response becomes ours: which headers pass, under what name and rewriting, and the body as it comes.

The one idea: what a response head comes to depends only on that head and the location's settings, unless a rewriting
uses variables. So it is worked out once (``Passed``) and kept for as long as the same head keeps coming.

Rules: the tables of ``ngx_http_upstream_headers_in`` and ``ngx_http_upstream_process_headers``; X-Accel-…:
https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_ignore_headers.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from ..http.request import ERROR, OK
from ..http.status import status_line
from ..http.throttle import limit_rate
from ..http.uri import UnsafeURI, parse_unsafe_uri
from ..process.logs import ERR, WARN
from .exchange import HEAD_READ, READING
from .http_client import INVALID_BODY, TIMEOUT
from .tunnel import tunnel

if TYPE_CHECKING:
    from ..http.request import Request
    from .exchange import Upstream
    from .http_client import UpstreamConnection
    from .response_head import ResponseHead

#: Heads of which a location remembers what they come to.
_KEPT = 256

#: Headers that are about the connection to the upstream, or are made anew.
_DROPPED = frozenset((b"content-length", b"connection", b"keep-alive", b"transfer-encoding"))
#: What X-Accel-Redirect takes along.
_WITH_REDIRECT = frozenset(
    (b"content-type", b"set-cookie", b"content-disposition", b"cache-control", b"expires", b"accept-ranges")
)


class Passed:
    """What a response head comes to in a location: the fields of a request that it sets."""

    __slots__ = (
        "buffering", "content_type", "date_header", "headers", "limit_rate", "location", "redirect", "server_header",
        "status_line",
    )  # fmt: skip

    def __init__(self) -> None:
        self.status_line: bytes | None = None
        self.content_type: bytes | None = None
        self.location: bytes | None = None
        self.server_header: bytes | None = None
        self.date_header: bytes | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        self.redirect: bytes | None = None  #: X-Accel-Redirect, unless ignored
        self.limit_rate: int | None = None  #: X-Accel-Limit-Rate, unless ignored
        self.buffering: bool | None = None  #: X-Accel-Buffering, unless ignored


def pass_response(u: Upstream) -> int | Awaitable[int]:
    """Send what the upstream has answered to the client. The answer, which may have to be awaited: OK, or the code to
    end with.
    """
    r = u.r
    head = u.head
    conn = u.conn
    assert conn is not None
    if head is None:
        # HTTP/0.9: all of it is the body, and no head is made for it
        r.version = 9
        r.keepalive = False
        r.send_header()
        r.status = 0
        return _pass_body(u, conn)
    conf = u.conf
    status = head.status
    if conf.intercept_errors and status >= 300 and r.loc.core.error_pages and status in r.loc.core.error_pages:
        if status == 401:
            r.headers_out += [(name, value) for name, lower, value in head.headers if lower == b"www-authenticate"]
        return status
    passed = conf.passed.get(head)
    if passed is None:
        passed = translate(r, head, conf)
    if passed.redirect is not None:
        return _redirect(u, head, passed)
    r.status = status
    r.status_line = passed.status_line if not r.err_status else None
    if passed.content_type is not None:
        r.content_type = passed.content_type
    if not head.chunked:
        r.content_length = head.content_length
    r.headers_out += passed.headers
    r.location = passed.location
    r.server_header = passed.server_header
    r.date_header = passed.date_header
    if passed.limit_rate is not None:
        limit_rate(r, passed.limit_rate)
    if passed.buffering is not None:
        u.buffer = conf.buffers[1] if passed.buffering else 0
    r.disable_not_modified = True
    if status == 101:
        r.content_length = None
        if r.main.head.upgrade is not None:
            return tunnel(u, conn)
    return send_response(u, conn)


def send_response(u: Upstream, conn: UpstreamConnection) -> int | Awaitable[int]:
    """Send the head as it has been set, and the body. The answer as that of ``pass_response``."""
    r = u.r
    r.main.action = HEAD_READ
    if conn.complete and not conn.excess:
        data = conn.take()
        r.send_all(data, False)
        u.finish(True)
        return OK
    r.send_header()
    if r.header_only and (r.method == b"HEAD" or r.status == 101):
        u.finish(False)
        return OK
    return _pass_body(u, conn)


async def _pass_body(u: Upstream, conn: UpstreamConnection) -> int:
    """Pass the body on as fast as the client takes it: as it comes, or with buffering a buffer at a time. OK, or the
    code to break off with.
    """
    r = u.r
    client = r.conn
    enough = u.buffer
    if enough:
        u.action = READING
    while True:
        data = conn.take() if conn.pending >= enough or conn.complete else b""
        if data:
            r.write(data)
        if conn.complete:
            break
        if conn.failure:
            return _broken(u, conn)
        if data or not enough:
            r.flush()
            if client.write_paused and not r.is_subrequest:
                conn.stop_clock()
                await r.drain()
                continue
        await conn.wait()
        u.action = READING
        if u.stop:
            return u.stop
    if conn.excess:
        chunked = u.head is not None and u.head.chunked
        more = "data after final chunk" if chunked else 'more data than specified in "Content-Length" header'
        u.log(WARN, f"upstream sent {more}")
    u.finish(True)
    return OK


def _broken(u: Upstream, conn: UpstreamConnection) -> int:
    """The body will never be complete: log why, and break off. What an upstream sent before it closed still reaches the
    client.
    """
    r = u.r
    code = 502
    message = conn.message
    if conn.failure == TIMEOUT:
        message = "upstream timed out (110: Connection timed out)"
    elif conn.failure == INVALID_BODY:
        r.out.clear()
        code = ERROR
    elif conn.error is not None:
        if u.buffer:
            message = message.replace("recv()", "readv()")
    else:
        r.write(conn.take())
    u.log(ERR, message)
    u.finish(True)
    return code


def translate(r: Request, head: ResponseHead, conf: Any) -> Passed:
    """What ``head`` comes to in the location of ``r``, remembered unless it depends on the request.

    ``conf`` has ``hidden`` (lower-case names), ``ignore_headers``, ``rewrite_location(r, value, start)`` and
    ``rewrite_cookie(r, value)`` (None if there are no rules; they answer None to leave the value), and
    ``rewrites_vary``.
    """
    passed = Passed()
    headers = passed.headers
    hidden = conf.hidden
    varies = False
    if head.status_line != status_line(head.status) or head.status == 204:
        passed.status_line = head.status_line
    for name, lower, value in head.headers:
        if lower.startswith(b"x-accel-"):
            _accelerate(passed, lower, value, conf.ignore_headers)
        if lower in hidden or lower in _DROPPED:
            continue
        if lower == b"content-type":
            passed.content_type = value
        elif lower == b"location":
            varies = conf.rewrites_vary
            rewritten = conf.rewrite_location(r, value, 0) if conf.rewrite_location is not None else None
            if rewritten is not None:
                passed.location = rewritten
            else:
                headers.append((name, value))
        elif lower == b"refresh":
            varies = conf.rewrites_vary
            headers.append((name, _refresh(r, value, conf)))
        elif lower == b"set-cookie":
            varies = conf.rewrites_vary
            headers.append((name, _cookie(r, value, conf)))
        elif lower == b"server":
            passed.server_header = value
        elif lower == b"date":
            passed.date_header = value
        else:
            headers.append((name, value))
    if passed.server_header is None and b"server" not in hidden:
        passed.server_header = b""
    if passed.date_header is None and b"date" not in hidden:
        passed.date_header = b""
    if not varies:
        if len(conf.passed) >= _KEPT:
            conf.passed.clear()
        conf.passed[head] = passed
    return passed


def _accelerate(passed: Passed, lower: bytes, value: bytes, ignored: frozenset[str]) -> None:
    if lower.decode() in ignored:
        return
    if lower == b"x-accel-redirect":
        passed.redirect = value
    elif lower == b"x-accel-buffering" and value.lower() in (b"yes", b"no"):
        passed.buffering = value.lower() == b"yes"
    elif lower == b"x-accel-limit-rate" and value.isdigit():
        passed.limit_rate = int(value)


def _refresh(r: Request, value: bytes, conf: Any) -> bytes:
    at = value.lower().find(b"url=")
    if at < 0 or conf.rewrite_location is None:
        return value
    rewritten: bytes | None = conf.rewrite_location(r, value, at + 4)
    return value if rewritten is None else rewritten


def _cookie(r: Request, value: bytes, conf: Any) -> bytes:
    if conf.rewrite_cookie is None:
        return value
    rewritten: bytes | None = conf.rewrite_cookie(r, value)
    return value if rewritten is None else rewritten


def _redirect(u: Upstream, head: ResponseHead, passed: Passed) -> int:
    """X-Accel-Redirect: another location answers, with a few of the headers."""
    r = u.r
    conf = u.conf
    uri = passed.redirect
    assert uri is not None
    u.finish(False)
    for name, lower, value in head.headers:
        if lower == b"content-type":
            r.content_type = value
        elif lower == b"set-cookie":
            r.headers_out.append((name, _cookie(r, value, conf)))
        elif lower in _WITH_REDIRECT:
            r.headers_out.append((name, value))
    if uri.startswith(b"@"):
        return r.redirect_named(uri)
    try:
        path, args = parse_unsafe_uri(uri)
    except UnsafeURI:
        r.log(ERR, b'unsafe URI "%s" was detected while %s' % (uri, u.action))
        return 404
    if r.method != b"HEAD":
        r.method = b"GET"
    return r.redirect(path, args)
