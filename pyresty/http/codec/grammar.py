"""nginx's own grammar of a request head, for heads that are not plain.

The one idea: one strict reading, in nginx's order, with nginx's leniencies (bare LF, unknown methods, header names
that are ignored, HTTP/0.9) and nginx's refusals, so that no answer depends on the parser library.

Rules and log texts: ngx_http_parse_request_line(), ngx_http_parse_header_line() and their callers in
ngx_http_request.c.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ..uri import BadRequest, check_authority, parse_target, split_target
from .head import READING_LINE, BadHead, Head, empty_head
from .options import HeadOptions
from .rules import UNIQUE, host_and_port, learn_name, refused, settle, text

if TYPE_CHECKING:
    from collections.abc import Callable

    Select = Callable[[bytes | None], HeadOptions]

_METHOD = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ_-"
_NOT_STOPS = bytes(range(0x21, 0x7F)) + bytes(range(0x80, 0x100))


def parse(raw: bytes, options: HeadOptions, select: Select | None = None) -> Head:
    """Parse a head as ``find_head_end`` delimits it. Raises BadHead.

    ``select`` gives the options of the server that a host names, which hold from there on.
    """
    raw = raw.lstrip(b"\r\n")
    head = empty_head(raw)
    authority = _read_line(head)
    try:
        head.uri, head.args, _, head.target, head.quoted = parse_target(head.target, options.merge_slashes)
    except BadRequest:
        raise refused(head, 400, "client sent invalid request", READING_LINE) from None
    if authority is not None:
        known = host_and_port(authority)
        if known is None:
            raise refused(head, 400, "client sent invalid host in request line", READING_LINE)
        head.host, head.port = known
        if select is not None:
            options = select(head.host)
    if head.version < 1000:
        return head
    _read_headers(head, options, select)
    return settle(head)


def understood(raw: bytes) -> Head:
    """As much of a head as there is, for logs; never refuses."""
    head = empty_head(raw.lstrip(b"\r\n"))
    with suppress(BadHead, BadRequest):
        _read_line(head)
        head.uri, head.args, _, head.target, head.quoted = parse_target(head.target, True)
        if head.version >= 1000 and b"\n" in head.raw:
            head.raw = head.raw[: head.raw.rfind(b"\n") + 1]
            _read_headers(head, HeadOptions())
    head.notices = ()
    return head


def line_is_final(line: bytes) -> bool:
    """Whether a request line (without its LF) is HTTP/0.9 or wrong, so that nothing more need be read."""
    head = empty_head(line)
    try:
        _read_line(head)
    except BadHead:
        return True
    return head.version < 1000


def method_is_wrong(data: bytes) -> bool:
    """Whether the beginning of a request line is not that of a method."""
    method, space, _ = data.partition(b" ")
    return bool(method.translate(None, _METHOD)) or (bool(space) and not method)


def _read_line(head: Head) -> bytes | None:
    """Read the request line of ``head.raw``: sets line, method, version, protocol, and target without its
    "scheme://host".

    Returns that host, for CONNECT the whole target. Raises BadHead.
    """
    line = head.raw.partition(b"\n")[0]
    if line[-1:] == b"\r":
        line = line[:-1]
    head.line = line.partition(b"\r")[0]
    if method_is_wrong(line) or b" " not in line:
        raise refused(head, 400, "client sent invalid method", READING_LINE)
    method, _, rest = line.partition(b" ")
    head.method = method
    target, space, rest = rest.lstrip(b" ").partition(b" ")
    protocol = rest.lstrip(b" ")
    host: bytes | None
    try:
        if method == b"CONNECT":
            host, head.target = target, b"/"
            if not check_authority(target) or not space:
                raise BadRequest("CONNECT without a port or a version")
        else:
            host, _ = split_target(target)
            if host is not None and not space and target.endswith(b"//" + host):
                raise BadRequest("HTTP/0.9 with an absolute URI and no path")
            head.target = target
        version = _version(protocol)
    except BadRequest:
        raise refused(head, 400, "client sent invalid request", READING_LINE) from None
    if not version:
        raise refused(head, 505, "client sent invalid version", READING_LINE)
    head.version = version
    head.protocol = protocol
    if version == 9 and method != b"GET":
        raise refused(head, 400, "client sent invalid method in HTTP/0.9 request", READING_LINE)
    return host


def _version(protocol: bytes) -> int:
    """major * 1000 + minor, 9 where there is none, 0 where it is above 1. Raises BadRequest."""
    if not protocol:
        return 9
    major, dot, minor = protocol[5:].partition(b".")
    if protocol[:5] != b"HTTP/" or not major[:1].isdigit() or major[:1] == b"0":
        raise BadRequest("not a version")
    if major[:1] != b"1" or major[1:2].isdigit():
        return 0
    minor = minor.rstrip(b" ")
    if major != b"1" or not minor.isdigit() or int(minor[:-1] or b"0") > 99:
        raise BadRequest("not a version")
    return 1000 + int(minor)


def _read_headers(head: Head, options: HeadOptions, select: Select | None = None) -> None:
    raw = head.raw
    index = head.index
    headers = head.headers
    names = options.names
    pos = raw.index(b"\n") + 1
    while pos < len(raw):
        end = raw.find(b"\n", pos)
        line = raw[pos:end]
        pos = end + 1
        if line in (b"", b"\r"):
            break
        name, value, length = _split_line(head, line)
        lower = names.get(name) or learn_name(name, names)
        if lower is None:
            if options.ignore_invalid_headers:
                notice = refused(head, 400, f'client sent invalid header line: "{text(line[:length])}"')
                head.notices += (notice.reason,)
                continue
            lower = name.lower()
        if len(headers) >= options.max_headers:
            raise refused(head, 494, "client sent too many header lines")
        seen = index.get(lower)
        if seen is None:
            index[lower] = value
        elif isinstance(seen, list):
            seen.append(value)
        elif lower in UNIQUE:
            raise _duplicate(head, lower, name, value)
        else:
            index[lower] = [seen, value]
        headers.append((name, value))
        if lower == b"host":
            known = host_and_port(value)
            if known is None:
                raise refused(head, 400, "client sent invalid host header")
            if head.host is None:
                head.host, head.port = known
                if select is not None:
                    options = select(head.host)
                    names = options.names


def _split_line(head: Head, line: bytes) -> tuple[bytes, bytes, int]:
    """Name, value, and length without trailing spaces, of a header line without its LF. Raises BadHead.

    nginx strips spaces, not tabs; takes a line without a colon for a name; and allows several CRs before the LF.
    """
    name = line.partition(b"\r")[0].partition(b":")[0]
    stop = name.translate(None, _NOT_STOPS)
    if stop or not name:
        raise _bad_line(head, line, name.index(stop[:1]) if stop else 0)
    start = len(name)
    if line[start : start + 1] == b":":
        start += 1
    value, _, after = line[start:].partition(b"\r")
    zero = value.find(b"\0")
    if zero >= 0:
        raise _bad_line(head, line, start + zero)
    end = start + (len(value.rstrip(b" ")) or len(value))
    if after.strip(b"\r"):
        raise _bad_line(head, line, end)
    return name, value.strip(b" "), end


def _bad_line(head: Head, line: bytes, at: int) -> BadHead:
    return refused(head, 400, f'client sent invalid header line: "{text(line[:at])}\\x{line[at]:02x}..."')


def _duplicate(head: Head, lower: bytes, name: bytes, value: bytes) -> BadHead:
    previous = next(text(b"%b: %b" % field) for field in head.headers if field[0].lower() == lower)
    what = "host header" if lower == b"host" else "header line"
    return refused(
        head, 400, f'client sent duplicate {what}: "{text(b"%b: %b" % (name, value))}", previous value: "{previous}"'
    )
