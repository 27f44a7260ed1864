"""What nginx makes of header lines once they are split: which names count, which may not repeat, and what follows
from the values.

The one idea: header names, and values of Host, come from small sets, so each is checked once and then looked up.

Rules and log texts: ngx_http_request.c (ngx_http_process_host, ngx_http_validate_host, ngx_http_process_connection,
ngx_http_process_request_header); https://nginx.org/en/docs/http/ngx_http_core_module.html#underscores_in_headers.
"""

from __future__ import annotations

from ..conditional import CONDITIONS
from .head import READING_HEADERS, BadHead, Head

#: Methods that take the fast road; others are checked byte by byte. CONNECT and TRACE are refused there.
METHODS = frozenset(b"GET HEAD POST PUT DELETE OPTIONS PATCH MKCOL COPY MOVE PROPFIND PROPPATCH LOCK UNLOCK".split())
VERSIONS = {b"HTTP/1.1": 1001, b"HTTP/1.0": 1000}

#: Headers of which a second line is refused. Host is too, with a text of its own.
UNIQUE = frozenset(
    b"host if-modified-since if-unmodified-since if-match if-none-match content-length content-range if-range "
    b"transfer-encoding expect authorization proxy-authorization".split()
)

#: Lower case by name as sent, for names without and with underscores allowed.
NAMES: tuple[dict[bytes, bytes], dict[bytes, bytes]] = ({}, {})
_hosts: dict[bytes, tuple[bytes, int]] = {}
_REMEMBERED = 1024

_ALNUM = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_NAME = _ALNUM + b"-"
_HOST = _ALNUM + b"-._~!$&'()*+,;=%"
_IP_LITERAL = _ALNUM + b":-._~!$&'()*+,;="
_MAX_OFF_T = 2**63 - 1


def learn_name(name: bytes, names: dict[bytes, bytes]) -> bytes | None:
    """The lower-case form of a header name that was not in ``names`` (one of NAMES), or None if nginx calls it
    invalid."""
    if name.translate(None, _NAME if names is NAMES[0] else _NAME + b"_") or not name:
        return None
    lower = name.lower()
    if len(names) < _REMEMBERED:
        names[name] = lower
    return lower


def host_and_port(value: bytes) -> tuple[bytes, int] | None:
    """Server name (lower case, no final dot) and port (0 if none) of a Host value, or None if nginx refuses it."""
    known = _hosts.get(value)
    if known is None:
        known = _validate_host(value)
        if known is not None and len(_hosts) < _REMEMBERED:
            _hosts[value] = known
    return known


def _validate_host(value: bytes) -> tuple[bytes, int] | None:
    if value[:1] == b"[":
        inside, closed, rest = value[1:].partition(b"]")
        if not closed or inside.translate(None, _IP_LITERAL) or rest[:1] not in (b"", b":"):
            return None
        name = b"[" + inside + b"]"
        digits = rest[1:]
    else:
        name, _, digits = value.partition(b":")
        if name.translate(None, _HOST):
            return None
    if b".." in name or digits.translate(None, b"0123456789"):
        return None
    if name[-1:] == b".":
        name = name[:-1]
    digits = digits.lstrip(b"0")
    if not name or len(digits) > 5:
        return None
    port = int(digits or b"0")
    return (name.lower(), port) if port <= 65535 else None


def parse_content_length(value: bytes) -> int | None:
    """The number, or None if it isn't one that nginx's ngx_atoof takes: digits only, at most 2^63 - 1."""
    if not value or value.translate(None, b"0123456789"):
        return None
    value = value.lstrip(b"0")
    if len(value) > 19:
        return None
    number = int(value or b"0")
    return number if number <= _MAX_OFF_T else None


def settle(head: Head) -> Head:
    """Draw nginx's conclusions from the headers, in nginx's order: length, encoding, keep-alive, upgrade, Expect.

    Raises BadHead with status 400, 405 or 501.
    """
    index = head.index
    version = head.version
    if version > 1000 and b"host" not in index:
        raise refused(head, 400, 'client sent HTTP/1.1 request without "Host" header')
    length: int | None = None
    value = index.get(b"content-length")
    if value is not None:
        assert isinstance(value, bytes)
        length = parse_content_length(value)
        if length is None:
            raise refused(head, 400, 'client sent invalid "Content-Length" header')
        head.content_length = length
    value = index.get(b"transfer-encoding")
    if value is not None:
        assert isinstance(value, bytes)
        _settle_encoding(head, value)
    if head.method == b"TRACE" or head.method == b"CONNECT":
        raise refused(head, 405, f"client sent {head.method.decode()} method")
    keepalive = version > 1000
    value = index.get(b"connection")
    if value is not None:
        for one in (value,) if isinstance(value, bytes) else value:
            lower = one.lower()
            if b"close" in lower:
                keepalive = False
            elif b"keep-alive" in lower:
                keepalive = True
    head.keepalive = keepalive
    upgrade = index.get(b"upgrade")
    if upgrade is not None:
        head.upgrade = upgrade if isinstance(upgrade, bytes) else upgrade[0]
    value = index.get(b"expect")
    if value is not None:
        assert isinstance(value, bytes)
        head.expect_continue = version > 1000 and value.lower() == b"100-continue"
    head.has_body = bool(length) or head.chunked
    head.cacheable = not head.chunked and upgrade is None and value is None
    head.may_refuse_body = head.method == b"HEAD" or not CONDITIONS.isdisjoint(index)
    return head


def _settle_encoding(head: Head, value: bytes) -> None:
    if head.version < 1001:
        raise refused(head, 400, 'client sent HTTP/1.0 request with "Transfer-Encoding" header')
    if value.lower() != b"chunked":
        raise refused(head, 501, f'client sent unknown "Transfer-Encoding": "{text(value)}"')
    if head.content_length is not None:
        raise refused(head, 400, 'client sent "Content-Length" and "Transfer-Encoding" headers at the same time')
    head.chunked = True


def refused(head: Head, status: int, reason: str, action: str = READING_HEADERS) -> BadHead:
    """The exception for a refused head, with nginx's log text."""
    return BadHead(status, f"{reason} while {action}", head)


def text(data: bytes) -> str:
    """Bytes of the client's for a log text."""
    return data.decode("utf-8", "surrogateescape")
