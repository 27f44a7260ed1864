"""The request that goes to the upstream: its line, its headers, and how its body is sent.

The one idea: most of it follows from the client's head alone, and a client repeats itself. So the bytes made for a head
that is remembered are remembered too; only header values with other variables (``$remote_addr``) are filled in each
time.

Rules: ``ngx_http_proxy_create_request``; https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_set_header.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from ..http.body import RequestBody
from ..http.template import Template, encode
from ..http.uri import escape_uri

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..http.request import Request
    from ..upstream.exchange import Body, Upstream
    from .proxy import ProxyLocation
    from .proxy_pass import Target

#: What is sent where ``proxy_set_header`` doesn't say otherwise: these headers of the client's are not passed on.
DEFAULTS = (
    ("Host", ""),
    ("Connection", ""),
    ("Proxy-Connection", ""),
    ("Content-Length", "$proxy_internal_body_length"),
    ("Transfer-Encoding", "$proxy_internal_chunked"),
    ("TE", ""),
    ("Keep-Alive", ""),
    ("Expect", ""),
    ("Upgrade", ""),
)

#: Variables that follow from the head alone, and prefixes of such.
_OF_THE_HEAD = frozenset(
    (
        "host", "request_uri", "uri", "document_uri", "args", "query_string", "is_args", "request", "request_method",
        "server_protocol", "server_name", "content_type", "proxy_host", "proxy_port", "proxy_internal_body_length",
        "proxy_internal_chunked",
    )
)  # fmt: skip
_OF_THE_HEAD_PREFIXES = ("http_", "arg_", "cookie_")

#: Heads of which a location remembers the request.
_KEPT = 512
#: Bytes of a temporary file that are read at once.
_PIECE = 65536

#: What a request is made of: bytes, and headers (``Name: ``, value) that are left out if the value is empty.
Part = bytes | tuple[bytes, Template]


def _fixed(template: Template) -> bool:
    """Whether the value follows from the head alone."""
    return all(
        isinstance(part, bytes) or part.name in _OF_THE_HEAD or part.name.startswith(_OF_THE_HEAD_PREFIXES)
        for part in template.parts
    )


class RequestMaker:
    """Makes the head of the request for one location."""

    def __init__(self, cf: Builder, conf: ProxyLocation) -> None:
        self._conf = conf
        self._version = b" HTTP/1.1\r\n" if conf.http_version == 1001 else b" HTTP/1.0\r\n"
        self._host: Template | None = None
        fields: list[tuple[str, Template]] = []
        for name, value in conf.headers_source or ():
            if name.lower() == "host":
                self._host = value
            else:
                fields.append((name, value))
        have = {name.lower() for name, _ in fields}
        fields += [(name, cf.template(text)) for name, text in DEFAULTS if name.lower() not in have]
        self._replaced = frozenset((b"host", *(encode(name.lower()) for name, _ in fields)))
        self._fields = [(encode(name) + b": ", value) for name, value in fields if value.const != b""]
        self._passes: dict[bytes, bool] = {}
        templates = [t for t in (self._host, conf.method, *(t for _, t in self._fields)) if t is not None]
        self._rememberable = (
            conf.target is not None and conf.target.template is None and (conf.method is None or _fixed(conf.method))
        )
        self._whole = all(_fixed(t) for t in templates)
        self._kept: dict[bytes, tuple[bytes, bool, bytes | list[Part]]] = {}

    def make(self, r: Request, u: Upstream, target: Target) -> bytes:
        """The head of the request, its end included; sets ``u.uri`` and ``u.head_request``. b"" if there is no URI to
        ask for.
        """
        head = r.head
        if (
            head.cacheable
            and self._rememberable
            and u.body_length == head.content_length
            and not u.chunked
            and r.headers_in is head.headers
            and r.uri is head.uri
            and r.args is head.args
            and r.method is head.method
            and not r.internal
        ):
            kept = self._kept.get(head.raw)
            if kept is None:
                if len(self._kept) >= _KEPT:
                    self._kept.clear()
                parts = self._parts(r, u, target, False)
                if not parts:
                    return b""
                kept = (u.uri, u.head_request, self._join(r, parts) if self._whole else parts)
                self._kept[head.raw] = kept
            u.uri, u.head_request, made = kept
            return made if isinstance(made, bytes) else self._join(r, made)
        parts = self._parts(r, u, target, True)
        return self._join(r, parts) if parts else b""

    def _parts(self, r: Request, u: Upstream, target: Target, now: bool) -> list[Part]:
        """What the request is made of, bytes joined; what varies is left to be filled in unless ``now``."""
        conf = self._conf
        method = r.method if conf.method is None else conf.method(r)
        uri = target.uri if target.complete else upstream_uri(r, target)
        u.uri = uri
        u.head_request = method == b"HEAD" or method.upper() == b"HEAD"
        if not uri:
            return []
        parts: list[Part] = []
        line = [method, b" ", uri, self._version]
        host = target.host_header
        if self._host is not None:
            if now or _fixed(self._host):
                host = self._host(r) or (host if conf.http_version == 1001 else b"")
            else:
                parts += (b"".join(line), (b"Host: ", self._host))
                line = []
                host = b""
        if host:
            line += (b"Host: ", host, b"\r\n")
        for name, template in self._fields:
            if now or _fixed(template):
                value = template(r)
                if value:
                    line += (name, value, b"\r\n")
            else:
                parts += (b"".join(line), (name, template))
                line = []
        if conf.pass_request_headers:
            passes = self._passes
            for name, value in r.headers_in:
                passed = passes.get(name)
                if passed is None:
                    passed = name.lower() not in self._replaced
                    if len(passes) < _KEPT:
                        passes[name] = passed
                if passed:
                    line += (name, b": ", value, b"\r\n")
        line.append(b"\r\n")
        parts.append(b"".join(line))
        return parts

    def _join(self, r: Request, parts: list[Part]) -> bytes:
        if len(parts) == 1:
            only = parts[0]
            assert isinstance(only, bytes)
            return only
        out: list[bytes] = []
        for part in parts:
            if isinstance(part, bytes):
                out.append(part)
            else:
                name, template = part
                value = template(r)
                if not value and template is self._host and self._conf.http_version == 1001:
                    value = r.upstream.host
                if value:
                    out += (name, value, b"\r\n")
        return b"".join(out)


def upstream_uri(r: Request, target: Target) -> bytes:
    """The URI to ask for: the client's as it came, or with the location's part replaced by that of ``proxy_pass``."""
    if not target.uri and r.valid_unparsed_uri:
        return r.head.target
    uri = r.uri
    replaces = target.uri and r.valid_location
    if replaces:
        uri = uri[len(target.location) :]
    if r.internal or r.head.quoted:
        uri = escape_uri(uri)
    if replaces:
        uri = target.uri + uri
    return uri + b"?" + r.args if r.args else uri


# -- the body


async def request_body(r: Request, u: Upstream, conf: ProxyLocation) -> tuple[bytes, Body | None]:
    """The request's body: what can be sent together with the head, and what makes an iterator over the rest, if any.

    Reads the client's body unless it is to be passed as it comes. Sets ``u.body_length`` and ``u.chunked``. Raises
    Finalize where the client's body is bad.
    """
    head = r.head
    body = r.body
    if body is None and not r.is_subrequest and not r.discarded:
        if head.content_length or head.chunked:
            body = r.body = RequestBody(r)
        elif head.content_length == 0:
            u.body_length = 0
    if body is not None and not (r.is_subrequest and not body.complete):
        if (
            not body.complete
            and not conf.request_buffering
            and conf.body is None
            and conf.pass_request_body
            and (not head.chunked or conf.http_version == 1001)
        ):
            body.begin()
            if not body.complete:
                streamed = body
                u.streams = True
                u.chunked = head.chunked
                u.body_length = None if head.chunked else head.content_length
                return b"", lambda: _as_it_comes(streamed, head.chunked)
        await body.read()
        if body.size or head.chunked or b"content-length" in r.index:
            u.body_length = body.size
    if conf.body is not None:
        data = conf.body(r)
        u.body_length = len(data)
        return data, None
    if body is None or not conf.pass_request_body:
        return b"", None
    path = body.path
    if path is not None:
        return b"", lambda: _from_file(path)
    return body.data or b"", None


def same_body(r: Request, u: Upstream, conf: ProxyLocation, data: bytes) -> bytes:
    """What ``request_body`` has given as ``data``, or what Lua has put in its place since then."""
    body = r.body
    if body is None or body.path is not None or u.streams or conf.body is not None or not conf.pass_request_body:
        return data
    if body.data or u.body_length is not None:
        u.body_length = body.size
    return body.data or b""


async def _as_it_comes(body: RequestBody, chunked: bool) -> AsyncGenerator[bytes, None]:
    while data := await body.next():
        yield b"%x\r\n%b\r\n" % (len(data), data) if chunked else data
    if chunked:
        yield b"0\r\n\r\n"


async def _from_file(path: str) -> AsyncGenerator[bytes, None]:
    with open(path, "rb") as file:
        while data := file.read(_PIECE):
            yield data
