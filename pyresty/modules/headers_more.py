"""more_set_headers, more_clear_headers and their sisters for requests. https://github.com/openresty/headers-more-nginx-module

Each directive is one command: which headers, and for which statuses and types. The commands for responses are run by the header
filter, in front of Lua's; those for requests at the end of the rewrite phase. A block runs those of the blocks around it first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.directives import HSL, LIF, ONE_MORE, UNSET, Directive, Module, Settings, setting
from ..http.codec.rules import host_and_port
from ..http.headers_out import split_type
from ..http.request import Finalize
from ..http.template import Template, encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request
    from ..http.routing import Location, PhaseHandler

#: Response headers of which nginx knows only one, with the name of the entry: they take no ``-a``.
_BUILTIN = {
    name: b"etag" if name == b"e-tag" else name
    for name in (
        b"server", b"date", b"content-encoding", b"location", b"refresh", b"last-modified", b"content-range", b"accept-ranges",
        b"www-authenticate", b"expires", b"e-tag", b"content-length", b"content-type", b"cache-control",
    )
}  # fmt: skip


@dataclass(frozen=True)
class Header:
    """One ``Name: value``. An empty value removes; with ``prefix`` the name ends in ``*`` and stands for all that begin so."""

    name: bytes
    low: bytes
    prefix: bool
    value: Template | None

    def matches(self, low: bytes) -> bool:
        """Whether this is about the header ``low`` (lower case)."""
        return low.startswith(self.low[:-1]) if self.prefix else low == self.low


@dataclass(frozen=True)
class Command:
    """One directive. ``option`` is of ``-a``, to append, and ``-r``, to replace only what is there."""

    headers: tuple[Header, ...]
    types: tuple[bytes, ...]
    statuses: tuple[int, ...]
    option: bool


@dataclass
class HeadersMoreSettings(Settings):
    """The commands of a location."""

    output: tuple[Command, ...] = setting(())
    input: tuple[Command, ...] = setting(())

    def merge(self, parent: Settings | None) -> None:
        """The outer block's commands come first."""
        assert parent is None or isinstance(parent, HeadersMoreSettings)
        for name in ("output", "input"):
            own = getattr(self, name)
            setattr(self, name, (getattr(parent, name) if parent else ()) + (() if own is UNSET else own))


# -- responses


def set_header_out(r: Request, header: Header, value: bytes, append: bool) -> None:
    """Set, append or (``value`` empty) remove a response header. Content-Length that is no number ends the request with 500."""
    low = header.low
    if low == b"content-type":
        if r.upstream is not None and r.content_type and split_type(value)[1] is None:
            r.charset = split_type(r.content_type)[1]  # of the upstream's answer it stays
        r.content_type = value
    elif low == b"content-length":
        if value and (not value.isdigit() or len(value) > 18):
            raise Finalize(500)
        r.content_length = int(value) if value else None
        r.length_name = header.name
    elif low == b"server":
        r.server_header = value
    elif low == b"date":
        r.date_header = value
    else:
        if low == b"last-modified":
            r.last_modified = None
        elif low == b"accept-ranges" and not value:
            r.allow_ranges = False
        elif header.matches(b"location") and (r.location is not None or value.startswith(b"/") and not header.prefix):
            r.location = value or None  # the head's writer makes it absolute
            value = b""
        _set_listed(r, header, value, append)


def _set_listed(r: Request, header: Header, value: bytes, append: bool) -> None:
    if append:
        if value:
            r.headers_out.append((header.name, value))
        return
    builtin = _BUILTIN.get(header.low)
    found = False
    headers: list[tuple[bytes, bytes]] = []
    for entry in r.headers_out:
        low = entry[0].lower()
        if not (header.matches(low) or low == builtin):
            headers.append(entry)
        elif not found:
            found = True
            if value:
                headers.append((header.name if builtin and builtin != b"cache-control" else entry[0], value))
    if not found and value:
        headers.append((b"Cache-Control" if builtin == b"cache-control" else header.name, value))
    r.headers_out = headers


def header_filter(loc: Location) -> Callable[[Request], None] | None:
    """The filter of a location; none where there is no command."""
    commands = loc.conf["headers_more"].output
    if not commands:
        return None

    def headers_more(r: Request) -> None:
        for command in commands:
            if command.types:
                content_type = r.content_type or getattr(r, "type_before_304", None)
                if split_type(content_type or b"")[0] not in command.types:
                    continue
            if command.statuses and r.status not in command.statuses:
                continue
            for header in command.headers:
                set_header_out(r, header, header.value(r) if header.value is not None else b"", command.option)

    return headers_more


# -- requests


def set_header_in(r: Request, header: Header, value: bytes, only_replace: bool) -> bool:
    """Set or (``value`` empty) remove a request header; false if the value is no good (Host, Content-Length)."""
    low = header.low
    if low == b"host":
        known = host_and_port(value) if value else (b"", 0)
        if known is None:
            return False
        r.host_in = known[0]
    elif low == b"content-length" and value and not value.isdigit():
        return False
    elif low == b"connection" and b"close" in value.lower():
        r.keepalive = False
    names = {}
    if not (header.prefix and value):
        names = {name.lower(): name for name, _ in reversed(r.headers_in) if header.matches(name.lower())}
    if not names and value and not only_replace:
        names[low] = header.name
    for name in names.values():
        r.set_header_in(name, [value] if value else [])
    return True


def make_input(commands: tuple[Command, ...]) -> PhaseHandler:
    """The handler of the rewrite phase."""

    async def headers_more_input(r: Request) -> int | None:
        if r.version < 1000:
            return None
        for command in commands:
            if command.types and r.header_in(b"content-type") not in command.types:
                continue
            for header in command.headers:
                value = header.value(r) if header.value is not None else b""
                if not set_header_in(r, header, value, command.option):
                    return 444
        return None

    return headers_more_input


def on_location(cf: Builder, loc: Location) -> None:
    """Add the handler for requests, in front of Lua's."""
    commands = loc.conf["headers_more"].input
    if commands:
        loc.rewrite = (make_input(commands), *loc.rewrite)


# -- directives


def _header(cf: Builder, directive: str, text: str) -> Header:
    name, rest = text.lstrip(), ""
    for at, char in enumerate(name):
        if char == ":" and at > 0 or char.isspace():
            name, rest = name[:at], name[at:].lstrip(": \t\r\n\v\f")
            break
    if not name:
        raise cf.error(f"{directive}: no key found in the header argument: {text}")
    if name == "*":
        raise cf.error(f"{directive}: wildcard key too short: {text}")
    value = cf.template(rest) if rest and "_set_" in directive else None
    key = encode(name)
    return Header(key, key.lower(), name.endswith("*"), value)


def set_command(cf: Builder, conf: HeadersMoreSettings, node: Node) -> None:
    """``more_set_headers [-s codes] [-t types] [-a] header …``; for requests ``[-t types] [-r] header …``."""
    directive = node.name
    field = "input" if "_input_" in directive else "output"
    options = {"-t", "-r"} if field == "input" else {"-t", "-s", "-a"} if "_set_" in directive else {"-t", "-s"}
    headers: list[Header] = []
    types: list[bytes] = []
    statuses: list[int] = []
    option = False
    words = iter(node.args)
    for word in words:
        if not word.startswith("-"):
            if word:
                headers.append(_header(cf, directive, word))
        elif word not in options:
            raise cf.error(f'{directive}: invalid option name: "{word}"')
        elif word in ("-a", "-r"):
            option = True
        else:
            value = next(words, None)
            if value is None:
                raise cf.error(f"{directive}: option {word} takes an argument.")
            if word == "-t":
                types += [encode(item) for item in value.replace(";", " ").split()]
            else:
                statuses += _statuses(cf, directive, value)
    if option and field == "output":
        for header in headers:
            if header.low in _BUILTIN:
                raise cf.error(f'{directive}: can not append builtin headers "{header.name.decode()}"')
    command = Command(tuple(headers), tuple(types), tuple(statuses), option)
    have = getattr(conf, field)
    setattr(conf, field, (*(() if have is UNSET else have), command))


def _statuses(cf: Builder, directive: str, text: str) -> list[int]:
    for char in text:
        if not char.isspace() and char not in "0123456789":
            raise cf.error(f'{directive}: invalid digit "{char}" found in the status code list "{text}"')
    return [int(word) for word in text.split()]


MODULE = Module(
    name="headers_more",
    location=HeadersMoreSettings,
    on_location=on_location,
    header_filter=header_filter,
    before_capture=True,
    directives=tuple(
        Directive(name, HSL | LIF, ONE_MORE, set_command)
        for name in ("more_set_headers", "more_clear_headers", "more_set_input_headers", "more_clear_input_headers")
    ),
)
