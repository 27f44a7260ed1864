"""The core's variables. https://nginx.org/en/docs/http/ngx_http_core_module.html#variables"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, Any

from .. import NGINX_VERSION
from ..http.credentials import basic_credentials
from ..http.dates import iso8601_now, log_time_local_now
from ..http.headers_out import get_header_out
from ..http.output import absolute_location
from ..http.regex import capture
from ..http.request import Finalize
from ..http.template import Variable, encode
from ..http.throttle import limit_rate, size_of
from ..process.logs import CRIT

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..http.request import Request


def _header(name: bytes) -> Any:
    return lambda r: r.header_in(name)


def _variable_name(name: str) -> bytes:
    """``user_agent`` → ``user-agent``."""
    return encode(name.lower().replace("_", "-"))


def _http(name: str) -> Variable:
    """``$http_NAME``: repeated headers are joined by ``, ``."""
    key, loose = _variable_name(name), encode(name.lower())
    if key == loose:
        return Variable("http_" + name, lambda r: r.header_in(key))

    def get(r: Request) -> bytes | None:
        value = r.header_in(key)
        if loose not in r.index:
            return value
        if value is None:
            return r.header_in(loose)
        return b", ".join([text for field, text in r.headers_in if field.lower().replace(b"-", b"_") == loose])

    return Variable("http_" + name, get)


def _sent_http(name: str) -> Variable:
    """``$sent_http_NAME``."""
    key = _variable_name(name)
    return Variable("sent_http_" + name, lambda r: get_header_out(r, key))


def _sent_trailer(name: str) -> Variable:
    """``$sent_trailer_NAME``."""
    key = _variable_name(name)

    def get(r: Request) -> bytes | None:
        values = [value for field, value in r.trailers or () if field.lower() == key]
        return b", ".join(values) if values else None

    return Variable("sent_trailer_" + name, get)


def arg(r: Request, name: bytes) -> bytes | None:
    """The first query argument called ``name`` (any case), not unescaped. nginx: ``ngx_http_arg``."""
    if not r.args:
        return None
    for part in r.args.split(b"&"):
        key, eq, value = part.partition(b"=")
        if eq and key.lower() == name:
            return value
    return None


def _arg(name: str) -> Variable:
    key = encode(name.lower())
    return Variable("arg_" + name, lambda r: arg(r, key))


def cookie(r: Request, name: bytes) -> bytes | None:
    """The value of the cookie called ``name`` (any case). nginx: ``ngx_http_parse_multi_header_lines``."""
    value = r.index.get(b"cookie")
    if value is None:
        return None
    for line in (value,) if isinstance(value, bytes) else value:
        for part in line.split(b";"):
            key, eq, text = part.partition(b"=")
            if eq and key.strip(b" ").lower() == name:
                return text.lstrip(b" ")
    return None


def _cookie(name: str) -> Variable:
    key = encode(name.lower())
    return Variable("cookie_" + name, lambda r: cookie(r, key))


def _digit(number: int) -> Any:
    return lambda r: capture(r, number)


def _args_set(r: Request, value: bytes | None) -> None:
    r.args = value
    r.valid_unparsed_uri = False


def _uri(r: Request) -> bytes | None:
    return r.uri if r.uri or r.method else None


def _host(r: Request) -> bytes:
    return (r.head.host if r.host_in is None else r.host_in) or r.server.name


def _content_length(r: Request) -> bytes | None:
    value = r.header_in(b"content-length")
    if value is None and r.head.chunked:
        body = r.body
        if body is not None and body.complete:
            return b"%d" % body.size
        if r.main.discarded and not r.is_subrequest:
            return b"0"
    return value


def _request_body(r: Request) -> bytes | None:
    body = r.main.body if r.body is None else r.body
    return body.data or None if body is not None and body.path is None else None


def _request_body_file(r: Request) -> bytes | None:
    body = r.main.body if r.body is None else r.body
    return body.path.encode() if body is not None and body.path is not None else None


def _status(r: Request) -> bytes | None:
    status = r.err_status or r.status
    if not status:
        return b"009" if r.version == 9 else b"000"
    return b"%03d" % status


def _connection(r: Request) -> bytes | None:
    if r.status == 101:
        return b"upgrade"
    return b"keep-alive" if r.keepalive and not r.finished else b"close"  # nginx has decided anew when it logs


def _location(r: Request) -> bytes | None:
    if r.location is None:
        return None
    return absolute_location(r, r.location) if r.header_sent else r.location


def _request_time(r: Request) -> bytes:
    return b"%.3f" % r.request_time()


def _limit_rate(r: Request) -> bytes:
    return b"%d" % (r.limit_rate if r.limit_rate_set else size_of(r, r.loc.core.limit_rate))


def _limit_rate_set(r: Request, value: bytes | None) -> None:
    from ..config.directives import parse_size

    try:
        limit_rate(r, parse_size((value or b"").decode("ascii", "replace")))
    except ValueError:
        r.log(4, b'invalid $limit_rate "%s"' % (value or b""))


def _basic_user(r: Request) -> bytes | None:
    known = basic_credentials(r)
    return known[0] if known is not None else None


def _realpath(of: Any) -> Any:
    def get(r: Request) -> bytes | None:
        path: bytes = of(r)
        try:
            return os.path.realpath(path, strict=True)
        except OSError as error:
            r.log(CRIT, b'realpath() "%s" failed (%d: %s)' % (path, error.errno or 0, (error.strerror or "").encode()))
            return None
        except ValueError:  # a zero byte in it
            return None

    return get


def _request_length(r: Request) -> bytes:
    body = r.main.body
    return b"%d" % (len(r.head.raw) + (body.received if body is not None else 0))


_HOSTNAME = socket.gethostname().encode()
_PID = os.getpid


def _request_id(r: Request) -> bytes | None:
    main = r.main
    if main.cached is None:
        main.cached = {}
    value = main.cached.get("request_id")
    if value is None:
        value = main.cached["request_id"] = os.urandom(16).hex().encode()
    return value


def _request_filename(r: Request) -> bytes | None:
    try:
        return r.loc.core.path(r)
    except Finalize:
        return None


TABLE: dict[str, Any] = {
    "uri": _uri,
    "document_uri": _uri,
    "request_uri": lambda r: r.head.target or None,
    "request": lambda r: r.head.line,
    "request_method": lambda r: r.main.method or None,
    "request_filename": _request_filename,
    "document_root": lambda r: r.loc.core.document_root(r),
    "realpath_root": _realpath(lambda r: r.loc.core.document_root(r)),
    "query_string": lambda r: r.args,
    "is_args": lambda r: b"?" if r.args else b"",
    "host": _host,
    "hostname": lambda r: _HOSTNAME,
    "scheme": lambda r: r.conn.scheme,
    "https": lambda r: b"on" if r.conn.scheme == b"https" else b"",
    "server_protocol": lambda r: r.head.protocol or None,
    "server_name": lambda r: r.server.name,
    "server_addr": lambda r: r.conn.server_addr,
    "server_port": lambda r: b"%d" % r.conn.server_port if r.conn.server_port else b"",
    "remote_addr": lambda r: r.conn.remote_addr,
    "remote_port": lambda r: b"%d" % r.conn.remote_port if r.conn.remote_port else b"",
    "binary_remote_addr": lambda r: r.conn.binary_remote_addr,
    "remote_user": _basic_user,
    "content_type": _header(b"content-type"),
    "content_length": _content_length,
    "request_body": _request_body,
    "request_body_file": _request_body_file,
    "request_completion": lambda r: b"OK" if r.finished and not r.aborted else b"",
    "request_length": _request_length,
    "request_time": _request_time,
    "request_id": _request_id,
    "status": _status,
    "bytes_sent": lambda r: b"%d" % r.bytes_sent,
    "body_bytes_sent": lambda r: b"%d" % r.body_bytes,
    "connection": lambda r: b"%d" % r.conn.number,
    "connection_requests": lambda r: b"%d" % r.conn.requests,
    "connection_time": lambda r: b"%.3f" % (r.request_time()),
    "pipe": lambda r: b"p" if r.main.pipeline else b".",
    "pid": lambda r: b"%d" % _PID(),
    "msec": lambda r: b"%.3f" % time.time(),
    "time_local": lambda r: log_time_local_now(),
    "time_iso8601": lambda r: iso8601_now(),
    "nginx_version": lambda r: NGINX_VERSION.encode(),
    "sent_http_connection": _connection,
    "sent_http_location": _location,
    "sent_http_content_type": lambda r: get_header_out(r, b"content-type"),
    "sent_http_transfer_encoding": lambda r: b"chunked" if r.chunked else None,
    "sent_http_keep_alive": lambda r: (
        b"timeout=%d" % r.loc.core.keepalive_header if r.keepalive and r.loc.core.keepalive_header else None
    ),
    "http_host": _header(b"host"),
    "http_user_agent": _header(b"user-agent"),
    "http_referer": _header(b"referer"),
    "http_cookie": _header(b"cookie"),
    "http_x_forwarded_for": _header(b"x-forwarded-for"),
    "http_via": _header(b"via"),
}


def define_variables(cf: Builder) -> None:
    """Declare the core's variables and prefixes."""
    for name, get in TABLE.items():
        cf.define(name, get)
    cf.define("args", lambda r: r.args, _args_set)
    cf.define("limit_rate", _limit_rate, _limit_rate_set)
    for number in range(10):
        cf.define(str(number), _digit(number))
    prefixes = cf.config.prefix_variables
    prefixes["http_"] = _http
    prefixes["sent_http_"] = _sent_http
    prefixes["sent_trailer_"] = _sent_trailer
    prefixes["arg_"] = _arg
    prefixes["cookie_"] = _cookie
