"""Request targets and percent-encoding, by nginx's rules.

The one idea: nearly every target is plain, so each function first asks, with one C-level scan, whether there is
anything to do at all, and only then takes the byte-exact road.

What counts as plain, decoded, merged or refused is what ngx_http_parse_request_line(), ngx_http_parse_complex_uri(),
ngx_http_parse_unsafe_uri(), ngx_escape_uri() and ngx_unescape_uri() do, and for Lua what ngx_lua's own escaping
tables do (they differ from nginx's). See https://nginx.org/en/docs/http/ngx_http_core_module.html#merge_slashes and
https://github.com/openresty/lua-nginx-module#ngxescape_uri.
"""

from __future__ import annotations

from typing import NamedTuple

ESCAPE_URI = 0
ESCAPE_ARGS = 1
ESCAPE_URI_COMPONENT = 2
ESCAPE_HTML = 3
ESCAPE_REFRESH = 4
ESCAPE_MEMCACHED = 5
ESCAPE_MAIL_AUTH = 6

UNESCAPE_COMPONENT = 0
UNESCAPE_URI = 1
UNESCAPE_REDIRECT = 2

_ALNUM = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CONTROLS = bytes(range(0x20)) + b"\x7f"
_NOT_CONTROLS = bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))
_PLAIN = bytes(range(0x21, 0x7F))
_HASH, _PERCENT = b"#%"  # an int is found much faster than a bytes of length one
_SCHEME = _ALNUM + b"+-."
_HOST = _ALNUM + b".-"
_IP_LITERAL = _ALNUM + b":-._~!$&'()*+,;="

_HEX = b"0123456789ABCDEFabcdef"
_DECODED = {bytes((a, b)): bytes((int(bytes((a, b)), 16),)) for a in _HEX for b in _HEX}


_tuple = tuple.__new__  # half the price of calling a NamedTuple


class BadRequest(ValueError):
    """The target is not one that nginx accepts: status 400, "client sent invalid request"."""


class UnsafeURI(ValueError):
    """An internal URI that leaves the document root or has a zero byte (nginx: `unsafe URI "..." was detected`)."""


class Target(NamedTuple):
    """A parsed request target."""

    uri: bytes  #: decoded and normalised path: $uri
    args: bytes | None  #: what follows "?", without a fragment: $args; None when there is none
    host: bytes | None  #: "host" or "host:port" of an absolute target, not yet validated
    unparsed: bytes  #: path and query as sent: $request_uri
    quoted: bool  #: the path had percent-encoded bytes (a proxied URI must be encoded again)


def parse_target(target: bytes, merge_slashes: bool) -> Target:
    """Parse the target of a request line (what stands between the method and the version).

    Raises BadRequest for control bytes, bad percent-encoding, "%00", a path above the root, "*" and whatever else is
    neither a path nor "scheme://host[:port][/path]". Bytes above 0x7f are taken as they are.
    """
    host = None
    unparsed = target
    if target[:1] != b"/" or target.translate(None, _PLAIN):
        host, unparsed = split_target(target)
    path, _, query = unparsed.partition(b"?")
    args: bytes | None = query or None
    if _HASH in unparsed:
        if _HASH in path:
            path, args = path[: path.index(b"#")], None
        else:
            args = query[: query.index(b"#")]
    quoted = _PERCENT in path
    if quoted:
        path = _decode(path)
    if not path:
        path = b"/"
    elif path.find(b"/.") >= 0 or path.find(b"//") >= 0:
        path = _normalise(path, merge_slashes)
    return _tuple(Target, (path, args, host, unparsed, quoted))


def split_target(target: bytes) -> tuple[bytes | None, bytes]:
    """Check the bytes of a target and cut the "scheme://host:port" off: (host or None, path and query as sent).

    Raises BadRequest.
    """
    if target.translate(None, _NOT_CONTROLS):
        raise BadRequest("control byte in the request target")
    if target[:1] == b"/":
        return None, target
    scheme, mark, rest = target.partition(b"://")
    if not mark or not scheme[:1].isalpha() or scheme.translate(None, _SCHEME):
        raise BadRequest("neither a path nor an absolute URI")
    end = min((at for at in (rest.find(b"/"), rest.find(b"?")) if at >= 0), default=len(rest))
    host = rest[:end]
    check_authority(host)
    return host, rest[end:] or b"/"


def check_authority(authority: bytes) -> bytes:
    """Check "name", "name:port" or "[address]:port" as nginx's request line parser does; the port's digits, or b"".

    Raises BadRequest. The name itself may still be refused by the stricter rules for Host.
    """
    if authority[:1] == b"[":
        name, mark, rest = authority[1:].partition(b"]")
        allowed = _IP_LITERAL
        if not mark:
            raise BadRequest("unclosed address literal")
    else:
        name, mark, port = authority.partition(b":")
        rest = mark + port
        allowed = _HOST
    if name.translate(None, allowed) or rest[:1] not in (b"", b":") or rest[1:].translate(None, b"0123456789"):
        raise BadRequest("invalid host in the request target")
    return rest[1:]


def parse_unsafe_uri(uri: bytes) -> tuple[bytes, bytes | None]:
    """Split and decode the URI of an internal redirect or subrequest: (decoded URI, args or None).

    Raises UnsafeURI for an empty URI, one that begins with "?", one with a zero byte, and one with a ".." segment,
    before or after decoding (ngx_http_parse_unsafe_uri). "//" and "/./" stay as they are.
    """
    path, mark, args = uri.partition(b"?")
    if not path:
        raise UnsafeURI(uri)
    _refuse_unsafe(path)
    if b"%" in path:
        path = unescape(path)
        _refuse_unsafe(path)
    return path, args if mark else None


def _refuse_unsafe(path: bytes) -> None:
    if b"\0" in path or (b".." in path and b".." in path.split(b"/")):
        raise UnsafeURI(path)


def _decode(path: bytes) -> bytes:
    first, *rest = path.split(b"%")
    out = [first]
    for part in rest:
        byte = _DECODED.get(part[:2])
        if byte is None or byte == b"\0":
            raise BadRequest("invalid percent-encoding")
        out.append(byte)
        out.append(part[2:])
    return b"".join(out)


def _normalise(path: bytes, merge_slashes: bool) -> bytes:
    """Resolve "." and ".." segments and merge slashes in an already decoded path; BadRequest above the root."""
    kept: list[bytes] = []
    segments = path.split(b"/")
    last = len(segments) - 1
    for i in range(1, last + 1):
        segment = segments[i]
        if segment == b"..":
            if not kept:
                raise BadRequest("path above the root")
            kept.pop()
        elif segment != b"." and (segment or (not merge_slashes and i < last)):
            kept.append(segment)
            continue
        if i == last:
            kept.append(b"")
    return b"/" + b"/".join(kept)


def _allowed(escaped: bytes) -> tuple[bytes, list[bytes]]:
    """From the bytes that a kind of escaping escapes: the bytes it leaves alone, and what each byte becomes."""
    table = [b"%%%02X" % byte if byte in escaped else bytes((byte,)) for byte in range(256)]
    return bytes(byte for byte in range(256) if byte not in escaped), table


_HIGH = bytes(range(0x7F, 0x100))
_LOW = bytes(range(0x20))
_NEVER = _LOW + _HIGH + b' "<>\\^`{|}'
_UNRESERVED = _ALNUM + b"-._~"
_NOT_UNRESERVED = bytes(byte for byte in range(256) if byte not in _UNRESERVED)
_MEMCACHED = _allowed(_LOW + b" %")

_NGINX = (
    _allowed(_NEVER + b"#%?"),
    _allowed(_NEVER + b"#%&+;?"),
    _allowed(_NOT_UNRESERVED),
    _allowed(_NEVER + b"#%'"),
    _allowed(_LOW + _HIGH + b" \"'<>\\^`{|~"),
    _MEMCACHED,
    _MEMCACHED,
)

# ngx_lua escapes fewer bytes in whole URIs, and spares the marks !'()* of a component.
_LUA = (
    _allowed(_LOW + _HIGH + b" #%?"),
    _allowed(_LOW + _HIGH + b" #%+?"),
    _allowed(bytes(byte for byte in _NOT_UNRESERVED if byte not in b"!'()*")),
    _allowed(_LOW + _HIGH + b" \"#%'"),
    _allowed(_LOW + _HIGH + b" \"'"),
    _MEMCACHED,
    _MEMCACHED,
)


def escape_uri(data: bytes, kind: int = ESCAPE_URI) -> bytes:
    """Percent-encode as nginx does for the given ESCAPE_* kind (ngx_escape_uri)."""
    return _escape(data, _NGINX[kind])


def lua_escape_uri(data: bytes, kind: int = ESCAPE_URI_COMPONENT) -> bytes:
    """Percent-encode as `ngx.escape_uri(data, kind)` does: 0 for a whole URI, 2 (its default) for a component."""
    return _escape(data, _LUA[kind])


def _escape(data: bytes, rule: tuple[bytes, list[bytes]]) -> bytes:
    allowed, table = rule
    if not data.translate(None, allowed):
        return data
    return b"".join(map(table.__getitem__, data))


def lua_unescape_uri(data: bytes) -> bytes:
    """Decode as `ngx.unescape_uri(data)` does: "+" is a space, and what is no valid %XX stays as it is."""
    data = data.replace(b"+", b" ")
    if b"%" not in data:
        return data
    first, *rest = data.split(b"%")
    out = [first]
    for part in rest:
        byte = _DECODED.get(part[:2])
        out.append(b"%" + part if byte is None else byte + part[2:])
    return b"".join(out)


def unescape(data: bytes, kind: int = UNESCAPE_COMPONENT) -> bytes:
    """Decode percent-encoding as ngx_unescape_uri does. "+" stays.

    A broken escape loses its "%" (and its one good digit): nginx's way. UNESCAPE_URI and UNESCAPE_REDIRECT stop at
    the first "?", also an encoded one, and leave what follows alone; UNESCAPE_REDIRECT decodes only what is safe in a
    Location.
    """
    if b"%" not in data:
        return data
    out = bytearray()
    i = 0
    end = len(data)
    while i < end:
        byte = data[i]
        i += 1
        if byte != 0x25:
            out.append(byte)
            if byte == 0x3F and kind != UNESCAPE_COMPONENT:
                break
            continue
        pair = data[i : i + 2]
        i += 2
        if pair[:1] not in _HEX:
            out += pair[:1]
            i -= 1
            continue
        decoded = _DECODED.get(pair)
        if decoded is None:
            continue
        if kind == UNESCAPE_REDIRECT and decoded != b"?" and not b"%" < decoded < b"\x7f":
            out += b"%" + pair
            continue
        out += decoded
        if decoded == b"?" and kind != UNESCAPE_COMPONENT:
            break
    return bytes(out) + data[i:]
