"""realip: https://nginx.org/en/docs/http/ngx_http_realip_module.html

For requests that come from trusted addresses the client's address becomes the one that a header names, until the request has been logged.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.directives import FLAG, HSL, TAKE1, UNSET, Directive, Module, Settings, flag, setting, store
from ..http.cidr import INET, UNIX, Cidr, client_address, parse_cidr
from ..http.forwarded import forwarded_address, header_values
from ..http.template import encode

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request
    from ..http.routing import Location, PhaseHandler


@dataclass
class RealipSettings(Settings):
    """Settings of a location. ``header`` is in lower case."""

    trusted: list[Cidr] | None = setting(None)
    header: bytes = setting(b"x-real-ip")
    recursive: bool = setting(False)


def set_from(cf: Builder, conf: RealipSettings, node: Node) -> None:
    """``set_real_ip_from address | CIDR | unix: | name``."""
    text = node.args[0]
    if conf.trusted is UNSET or conf.trusted is None:
        conf.trusted = []
    if text == "unix:":
        conf.trusted.append(Cidr(UNIX, 0, 0))
        return
    known = parse_cidr(text)
    if known is not None:
        if known[1]:
            cf.warn(f"low address bits of {text} are meaningless")
        conf.trusted.append(known[0])
        return
    try:
        found = socket.getaddrinfo(text, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise cf.error(f'host not found in set_real_ip_from "{text}"') from None
    for _, _, _, _, address in found:
        named = parse_cidr(str(address[0]))
        if named is not None:
            conf.trusted.append(named[0])


def set_header(cf: Builder, conf: RealipSettings, node: Node) -> None:
    """``real_ip_header field``."""
    if node.args[0] == "proxy_protocol":
        raise cf.error('"real_ip_header proxy_protocol" is not supported by pyresty yet')
    store(conf, "header", encode(node.args[0].lower()))


def make_realip(conf: RealipSettings) -> PhaseHandler:
    """The handler, once for a server and once for a location; the first that finds an address has the say."""
    trusted = conf.trusted or []
    name, recursive = conf.header, conf.recursive

    async def realip(r: Request) -> int | None:
        conn = r.conn
        if conn.real is not None or r.is_subrequest:
            return None
        values = header_values(r, name)
        if name != b"x-forwarded-for":
            values = values[:1]  # a list only by its commas
        if not values:
            return None
        found = forwarded_address(client_address(r), values, trusted, recursive)
        if found is not None:
            family, number, port = found
            af, size = (socket.AF_INET, 4) if family == INET else (socket.AF_INET6, 16)
            conn.real = (socket.inet_ntop(af, number.to_bytes(size, "big")).encode(), port)
            r.at_end(_restore)
        return None

    return realip


def _restore(r: Request) -> None:
    r.conn.real = None


def on_location(cf: Builder, loc: Location) -> None:
    """Add the handler: for a server before all others, for a location in the phase preaccess."""
    conf: RealipSettings = loc.conf["realip"]
    if conf.trusted:
        if loc.kind == "server":
            loc.server.rewrite = (make_realip(conf), *loc.server.rewrite)
        else:
            loc.preaccess = (make_realip(conf), *loc.preaccess)


def prepare(cf: Builder) -> None:
    """Declare the variables."""
    cf.define("realip_remote_addr", lambda r: r.conn.peer_addr)
    cf.define("realip_remote_port", lambda r: b"%d" % r.conn.peer_port if r.conn.peer_port else b"")


MODULE = Module(
    name="realip",
    location=RealipSettings,
    prepare=prepare,
    on_location=on_location,
    directives=(
        Directive("set_real_ip_from", HSL, TAKE1, set_from),
        Directive("real_ip_header", HSL, TAKE1, set_header),
        Directive("real_ip_recursive", HSL, FLAG, flag("recursive")),
    ),
)
