"""charset: https://nginx.org/en/docs/http/ngx_http_charset_module.html

The header filter adds the charset to Content-Type; where the source's charset is another one and a ``charset_map`` joins the two,
it also leaves a recoder behind as the response's body filter.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config.directives import (
    FLAG,
    HSL,
    HTTP,
    LIF,
    ONE_MORE,
    TAKE1,
    TAKE2,
    Directive,
    Module,
    Settings,
    flag,
    inner,
    mime_types,
    setting,
    store,
)
from ..http.headers_out import get_header_out, has_type, set_header_out, split_type
from ..http.request import ERROR, Finalize
from ..http.template import Variable, encode
from ..process.logs import ERR

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import BodyFilter, Request
    from ..http.routing import HeaderFilter, Location

#: A charset's name in lower case, a variable that says it, or None for ``off``.
Charset = bytes | Variable | None
Recode = Callable[[], "BodyFilter"]

UTF8 = b"utf-8"
_TYPES = ("text/html", "text/xml", "text/plain", "text/vnd.wap.wml", "application/javascript", "application/rss+xml")


@dataclass
class CharsetMain(Settings):
    """What makes the recoder from one charset to another, and the names as they were first written."""

    recoders: dict[tuple[bytes, bytes], Recode] = inner(dict)
    names: dict[bytes, bytes] = inner(dict)


@dataclass
class CharsetLocation(Settings):
    """Settings of a location."""

    charset: Charset = setting(None)
    source: Charset = setting(None)
    override: bool = setting(False)
    types: frozenset[bytes] = setting(frozenset(name.encode() for name in _TYPES))


def _main(cf: Builder) -> CharsetMain:
    main = cf.config.main["charset"]
    assert isinstance(main, CharsetMain)
    return main


def set_charset(field: str) -> Any:
    """Setter of ``charset name | $variable | off`` and of ``source_charset``, which has no ``off``."""

    def set_it(cf: Builder, conf: CharsetLocation, node: Node) -> None:
        text = node.args[0]
        value: Charset
        if field == "charset" and text == "off":
            value = None
        elif text.startswith("$"):
            value = cf.variable(text[1:])
        else:
            value = encode(text.lower())
            _main(cf).names.setdefault(value, encode(text))
        store(conf, field, value)

    return set_it


def set_map(cf: Builder, conf: CharsetMain, node: Node) -> None:
    """``charset_map first second { … }``: bytes of the one and what they are in the other, in hexadecimal."""
    first, second = (encode(word.lower()) for word in node.args)
    if first == second:
        raise cf.error(f'"charset_map" between the same charsets "{node.args[0]}" and "{node.args[1]}"')
    if first == UTF8:
        raise cf.error('"charset_map" with "utf-8" charset should be given in the second column')
    if (first, second) in conf.recoders:
        raise cf.error(f'duplicate "charset_map" between "{node.args[0]}" and "{node.args[1]}"')
    for word in node.args:
        conf.names.setdefault(encode(word.lower()), encode(word))
    pairs: dict[int, bytes] = {}
    for row in node.block or []:
        if len(row.args) != 1 or row.block is not None:
            raise cf.error("invalid parameters number", node=row)
        source, target = _hexadecimal(cf, row, row.name), _hexadecimal(cf, row, row.args[0])
        if len(source) != 1 or (second != UTF8 and len(target) != 1) or not target:
            raise cf.error(f'invalid value "{row.name if len(source) != 1 else row.args[0]}"', node=row)
        pairs[source[0]] = target
    if second == UTF8:
        to, back = _utf8(cf, node, pairs)
    else:
        to, back = _table(pairs), _table({target[0]: bytes((byte,)) for byte, target in pairs.items()})
    conf.recoders[first, second], conf.recoders[second, first] = to, back


def _hexadecimal(cf: Builder, row: Node, text: str) -> bytes:
    try:
        return bytes.fromhex(text if len(text) % 2 == 0 else "0" + text)
    except ValueError:
        raise cf.error(f'invalid value "{text}"', node=row) from None


# -- recoders


def _table(pairs: dict[int, bytes]) -> Recode:
    """Between two charsets of one byte: what has no counterpart is ``?``."""
    table = b"".join(pairs.get(byte) or (bytes((byte,)) if byte < 128 else b"?") for byte in range(256))

    def recode(r: Request, data: bytes, last: bool) -> bytes:
        return data.translate(table)

    return lambda: recode


class _FromUnicode(dict[int, str]):
    """For ``str.translate``: what has no counterpart is a numeric entity of HTML."""

    def __missing__(self, number: int) -> str:
        return chr(number) if number < 128 else f"&#{number};"


def _lenient(error: UnicodeError) -> tuple[str, int]:
    """What nginx makes of a byte sequence that is no UTF-8: ``?``, or a character that it takes it for. ``ngx_utf8_decode``."""
    assert isinstance(error, UnicodeDecodeError)
    data, at = error.object, error.start
    number = data[at]
    length = 3 if number >= 0xF0 else 2 if number >= 0xE0 else 1
    if not 0xC2 <= number < 0xF8:
        return "?", at + 1
    number &= 0x3F >> length
    for place in range(at + 1, at + 1 + length):
        if place >= len(data) or data[place] < 0x80:
            return "?", min(place + 1, len(data))
        number = number << 6 | data[place] & 0x3F
    valid = (0x7F, 0x7FF, 0xFFFF)[length - 1] < number <= 0x10FFFF
    return chr(number) if valid else "?", at + 1 + length


codecs.register_error("pyresty.charset", _lenient)


def _utf8(cf: Builder, node: Node, pairs: dict[int, bytes]) -> tuple[Recode, Recode]:
    """To UTF-8 and from it."""
    to = [pairs.get(byte) or (bytes((byte,)) if byte < 128 else b"?") for byte in range(256)]
    back = _FromUnicode()
    for byte, target in pairs.items():
        try:
            back[ord(target.decode())] = chr(byte)
        except (UnicodeDecodeError, TypeError):
            raise cf.error(f'invalid value "{target.hex().upper()}"', node=node) from None

    same = bytes(byte for byte in range(256) if len(to[byte]) == 1)

    def encode_all(r: Request, data: bytes, last: bool) -> bytes:
        # as in nginx, nothing is touched before the first byte that becomes several, unless that comes early
        rest = data.lstrip(same)
        start = len(data) - len(rest)
        if not rest:
            return data
        if start <= 512:
            start, rest = 0, data
        return data[:start] + b"".join([to[byte] for byte in rest])

    def decoder() -> BodyFilter:
        decode = codecs.getincrementaldecoder("utf-8")("pyresty.charset").decode

        def recode(r: Request, data: bytes, last: bool) -> bytes:
            return decode(data).translate(back).encode("latin-1")

        return recode

    return lambda: encode_all, decoder


# -- the filter


def _name(r: Request, charset: bytes | Variable) -> bytes:
    if isinstance(charset, bytes):
        return charset
    value: bytes | None = charset.get(r)
    if value is None:
        raise Finalize(ERROR)
    return value


def header_filter(loc: Location) -> HeaderFilter | None:
    """The filter of a location; none where charset is off."""
    conf: CharsetLocation = loc.conf["charset"]
    if conf.charset is None:
        return None
    wanted, configured = conf.charset, conf.source
    main = loc.server.config.main["charset"]
    assert isinstance(main, CharsetMain)
    names, recoders = main.names, main.recoders

    def charset(r: Request) -> None:
        if not r.content_type:
            return
        bare, own = split_type(r.content_type)
        current = r.charset or own
        if (not conf.override) if current else not has_type(r, conf.types):
            return
        target = _name(r, wanted)
        shown = names.get(target.lower(), target) if isinstance(wanted, bytes) else target
        if current is None and configured is None:
            _add(r, r.content_type, shown)
            return
        source = current or _name(r, configured)  # type: ignore[arg-type]
        first, second = source.lower(), target.lower()
        if first != second:
            if get_header_out(r, b"content-encoding"):
                return
            recode = recoders.get((first, second))
            if recode is None:
                r.log(ERR, b'no "charset_map" between the charsets "%s" and "%s"' % (source, shown))
                return
            r.add_body_filter(recode())
            if UTF8 in (first, second):
                r.content_length = None
                r.allow_ranges = False
                set_header_out(r, b"Accept-Ranges", [])
        _add(r, bare, shown)

    return charset


def _add(r: Request, content_type: bytes, charset: bytes) -> None:
    if r.status in (301, 302):
        r.charset = None
    else:
        r.content_type, r.charset = content_type, charset


def on_location(cf: Builder, loc: Location) -> None:
    """Refuse a pair of charsets that no map joins."""
    conf: CharsetLocation = loc.conf["charset"]
    first, second = conf.source, conf.charset
    if isinstance(first, bytes) and isinstance(second, bytes) and first != second:
        main = _main(cf)
        if (first, second) not in main.recoders:
            names = (main.names[first].decode(), main.names[second].decode())
            raise cf.error('no "charset_map" between the charsets "{}" and "{}"'.format(*names))


MODULE = Module(
    name="charset",
    main=CharsetMain,
    location=CharsetLocation,
    on_location=on_location,
    header_filter=header_filter,
    directives=(
        Directive("charset", HSL | LIF, TAKE1, set_charset("charset")),
        Directive("source_charset", HSL | LIF, TAKE1, set_charset("source")),
        Directive("override_charset", HSL | LIF, FLAG, flag("override")),
        Directive("charset_types", HSL, ONE_MORE, mime_types("types")),
        Directive("charset_map", HTTP, TAKE2, set_map, "main", block=True),
    ),
)
