"""Request heads: from bytes to a Head, by nginx's rules, with one of two parser libraries.

The one idea: a plain head, and nearly every head is plain, is split by the library (h11 or httptools) and taken as it
is; any head with an unusual byte, or that the library or a rule objects to, is read again by nginx's own grammar,
which alone refuses. So both libraries give the same Head, or the same refusal, for the same bytes.
"""

from __future__ import annotations

from ..uri import BadRequest, parse_target
from .grammar import parse as parse_odd
from .head import BadHead, Head
from .limits import check_head_size, find_head_end
from .options import HeadOptions
from .rules import METHODS, UNIQUE, VERSIONS, host_and_port, learn_name, settle

__all__ = ["BadHead", "Head", "HeadOptions", "check_head_size", "find_head_end", "parse_head", "parse_odd"]

_PLAIN = b"\r\n" + bytes(range(0x20, 0x7F))


def parse_head(raw: bytes, options: HeadOptions) -> Head:
    """Parse a whole head, as ``find_head_end`` delimits it. Raises BadHead."""
    # Folded lines and bare LFs show in the number of lines below; httptools keeps spaces at the end of a value.
    if raw.translate(None, _PLAIN) or raw.find(b" \r\n") >= 0:
        return parse_odd(raw, options)
    line = raw[: raw.find(b"\r\n")]
    words = line.split(b" ")
    version = VERSIONS.get(words[-1])
    if version is None or len(words) != 3 or words[0] not in METHODS:
        return parse_odd(raw, options)
    method, target, protocol = words
    fields = options.split(raw)
    if fields is None or len(fields) + 2 != raw.count(b"\n") or len(fields) > options.max_headers:
        return parse_odd(raw, options)

    if target == b"/":
        uri, args, quoted = target, None, False
    else:
        try:
            uri, args, authority, target, quoted = parse_target(target, options.merge_slashes)
        except BadRequest:
            return parse_odd(raw, options)
        if authority is not None:
            return parse_odd(raw, options)

    names = options.names
    index: dict[bytes, bytes | list[bytes]] = {}
    for name, value in fields:
        lower = names.get(name) or learn_name(name, names)
        if lower is None:
            return parse_odd(raw, options)
        if lower in index:
            if lower in UNIQUE:
                return parse_odd(raw, options)
            seen = index[lower]
            if isinstance(seen, list):
                seen.append(value)
            else:
                index[lower] = [seen, value]
        else:
            index[lower] = value

    host, port = None, 0
    asked = index.get(b"host")
    if asked is not None:
        known = host_and_port(asked)  # type: ignore[arg-type]  # unique, so no list
        if known is None:
            return parse_odd(raw, options)
        host, port = known
    return settle(Head(method, target, version, fields, line, raw, index, uri, args, quoted, host, port, protocol))
