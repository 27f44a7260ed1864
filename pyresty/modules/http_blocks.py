"""The blocks inside ``http``: server, location, if-less parts of their headers, and the addresses that ``listen`` asks for."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..config.build import AddressConfig, Listen, Scope
from ..config.directives import LMT, LOCATION, SERVER, parse_size
from ..http.regex import compile_regex
from ..http.routing import Location, NameTable, Server
from ..http.template import encode

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node

METHODS = frozenset(
    [
        "GET",
        "HEAD",
        "POST",
        "PUT",
        "DELETE",
        "MKCOL",
        "COPY",
        "MOVE",
        "OPTIONS",
        "PROPFIND",
        "PROPPATCH",
        "LOCK",
        "UNLOCK",
        "PATCH",
    ]
)


def set_server(cf: Builder, conf: Any, node: Node) -> None:
    """``server { … }``."""
    server = Server(cf.config)
    server.file, server.line = node.file, node.line
    scope = cf.new_server_scope(SERVER)
    scope.server_object = server
    scope.loc = server.root
    server.root.conf = scope.location
    server.config_scope = scope  # type: ignore[attr-defined]
    cf.server_scopes.append((server, scope))
    cf.config.servers.append(server)
    cf.walk(node.block or [], scope)
    if not server.listens:
        port = 80 if _may_bind_low() else 8000
        _add_listen(cf, server, socket.AF_INET, "0.0.0.0", port, node, {})
    if not server.names:
        server.names.append(("exact", "", None))


def _may_bind_low() -> bool:
    import os

    return os.geteuid() == 0


def set_server_name(cf: Builder, conf: Any, node: Node) -> None:
    """``server_name name …``. https://nginx.org/en/docs/http/server_names.html"""
    server = cf.scope.server_object
    assert server is not None
    for index, text in enumerate(node.args):
        name = text.lower() if not text.startswith("~") else text
        if index == 0 and not server.name:
            shown = name[1:] if name.startswith(".") else name
            server.name = encode(shown)
        if "/" in text:
            cf.warn(f'server name "{text}" has suspicious symbols')
        if text.startswith("~"):
            if len(text) == 1:
                raise cf.error(f'empty regex in server name "{text}"')
            server.names.append(("regex", text, compile_regex(cf, text[1:], caseless=any(c.isupper() for c in text))))
            continue
        if text == "$hostname":
            server.names.append(("exact", socket.gethostname().lower(), None))
        elif name.startswith("."):
            server.names.append(("exact", name[1:], None))
            server.names.append(("head", name[1:], None))
        elif name.startswith("*."):
            server.names.append(("head", name[2:], None))
        elif name.endswith(".*"):
            server.names.append(("tail", name[:-2], None))
        elif "*" in name:
            raise cf.error(
                f'invalid server name or wildcard "{text}" on {server.listens[0][0].text if server.listens else "0.0.0.0:80"}'
            )
        else:
            server.names.append(("exact", name, None))


def set_location(cf: Builder, conf: Any, node: Node) -> None:
    """``location [ = | ~ | ~* | ^~ ] uri { … }`` and ``location @name { … }``."""
    scope = cf.scope
    server = scope.server_object
    parent = scope.loc
    assert server is not None and parent is not None
    if len(node.args) == 2:
        modifier, name = node.args
        kinds = {"=": "exact", "^~": "noregex", "~": "regex", "~*": "regex"}
        if modifier not in kinds:
            raise cf.error(f'invalid location modifier "{modifier}"')
        kind, caseless = kinds[modifier], modifier == "~*"
    else:
        kind, name, caseless = _split_location(cf, node.args[0])
    if parent.kind != "server":
        _check_nesting(cf, parent, kind, name)
    loc = Location(name, kind, server, parent)
    if kind == "regex":
        loc.regex = compile_regex(cf, name, caseless=caseless)
    elif (
        kind == "named"
        and any(c.kind == "named" and c.name == name for c in server.root.children)
        or any(c.name == name and (c.kind == kind or {c.kind, kind} == {"prefix", "noregex"}) for c in parent.children)
    ):
        raise cf.error(f'duplicate location "{name}"')
    parent.children.append(loc)
    settings = cf.new_location_settings()
    cf.add_location(loc, settings)
    inner = Scope(LOCATION, scope.server, settings, server, loc)
    loc.conf = settings
    cf.walk(node.block or [], inner)


def _split_location(cf: Builder, text: str) -> tuple[str, str, bool]:
    """``=/a``, ``~^/b``, ``^~/c``, ``@d`` or a plain prefix."""
    if text.startswith("="):
        return "exact", text[1:], False
    if text.startswith("^~"):
        return "noregex", text[2:], False
    if text.startswith("~"):
        return ("regex", text[2:], True) if text.startswith("~*") else ("regex", text[1:], False)
    return ("named" if text.startswith("@") else "prefix"), text, False


def _check_nesting(cf: Builder, parent: Location, kind: str, name: str) -> None:
    if parent.kind == "exact":
        raise cf.error(f'location "{name}" cannot be inside the exact location "{parent.name}"')
    if parent.kind == "named":
        raise cf.error(f'location "{name}" cannot be inside the named location "{parent.name}"')
    if kind == "named":
        raise cf.error(f'named location "{name}" can be on the server level only')
    if kind != "regex" and parent.kind != "regex" and not name.startswith(parent.name):
        raise cf.error(f'location "{name}" is outside location "{parent.name}"')


def limit_except(cf: Builder, node: Node) -> None:
    """``limit_except method … { … }``: another set of settings for the other methods."""
    scope = cf.scope
    assert scope.loc is not None
    if scope.loc.limit_except is not None:
        raise ValueError("is duplicate")
    methods = set()
    for method in node.args:
        if method.upper() not in METHODS:
            raise cf.error(f'invalid method "{method}"')
        methods.add(encode(method.upper()))
        if method.upper() == "GET":
            methods.add(b"HEAD")
    loc = Location(scope.loc.name, "limit_except", scope.loc.server, scope.loc)
    settings = cf.new_location_settings()
    cf.add_location(loc, settings)
    scope.loc.limit_except = (frozenset(methods), loc)
    scope.loc.children.append(loc)
    cf.walk(node.block or [], Scope(LMT, scope.server, settings, scope.server_object, loc))


# -- listen


_FLAGS = frozenset(
    (
        "default_server",
        "default",
        "reuseport",
        "deferred",
        "bind",
        "http2",
        "proxy_protocol",
        "ssl",
        "quic",
        "multipath",
    )
)


def set_listen(cf: Builder, conf: Any, node: Node) -> None:
    """``listen address[:port] | port | unix:path [parameters]``."""
    server = cf.scope.server_object
    assert server is not None
    options: dict[str, Any] = {}
    for word in node.args[1:]:
        name, eq, value = word.partition("=")
        if name in ("default_server", "default"):
            options["default_server"] = True
        elif name in ("reuseport", "bind"):
            options[name] = True
        elif word == "ssl":
            options["ssl"] = True
        elif name == "backlog" and eq:
            if not value.isdigit() or int(value) == 0:
                raise cf.error(f'invalid backlog "{value}"')
            options["backlog"] = int(value)
        elif name in ("rcvbuf", "sndbuf") and eq:
            try:
                options[name] = parse_size(value)
            except ValueError:
                raise cf.error(f'invalid {name} "{value}"') from None
        elif name == "ipv6only" and eq:
            if value not in ("on", "off"):
                raise cf.error(f'invalid ipv6only flags "{value}"')
            options["ipv6only"] = value == "on"
        elif name in ("so_keepalive", "fastopen", "setfib", "accept_filter", "deferred") or name in (
            "http2",
            "spdy",
            "quic",
            "proxy_protocol",
            "multipath",
        ):
            raise cf.error(f'the "{name}" parameter of "listen" is not supported by pyresty yet')
        else:
            raise cf.error(f'invalid parameter "{word}"')
    family, host, port = _parse_address(cf, node.args[0])
    _add_listen(cf, server, family, host, port, node, options)


def _parse_address(cf: Builder, text: str) -> tuple[int, str, int]:
    """(family, host, port) of a listen argument; a unix socket has its path as the host and port 0."""
    if text.startswith("unix:"):
        path = text[5:]
        if not path:
            raise cf.error(f'invalid unix domain socket path in "{text}" of the "listen" directive')
        return socket.AF_UNIX, cf.path(path), 0
    family, host, rest = socket.AF_INET, "", text
    if text.startswith("["):
        end = text.find("]")
        if end < 0:
            raise cf.error(f'invalid host in "{text}" of the "listen" directive')
        host, rest = text[1:end], text[end + 1 :]
        family = socket.AF_INET6
        port = rest[1:] if rest.startswith(":") else ("80" if not rest else "x")
    elif ":" in text:
        host, _, port = text.rpartition(":")
    elif text.isdigit():
        port = text
    else:
        host, port = text, "80"
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise cf.error(f'invalid port in "{text}" of the "listen" directive')
    if host in ("", "*"):
        return family, "0.0.0.0", int(port)
    try:
        info = socket.getaddrinfo(host, int(port), family if family == socket.AF_INET6 else 0, socket.SOCK_STREAM)
    except OSError:
        raise cf.error(f'host not found in "{text}" of the "listen" directive') from None
    return info[0][0], str(info[0][4][0]), int(port)


def _add_listen(
    cf: Builder, server: Server, family: int, host: str, port: int, node: Node, options: dict[str, Any]
) -> None:
    public = port
    mapping = cf.options.listen_map
    if family == socket.AF_UNIX:
        address: Any = host
        text = f"unix:{host}"
    else:
        shown = f"[{host}]" if family == socket.AF_INET6 else host
        target = mapping.get(f"{shown}:{port}", mapping.get(port, port))
        if isinstance(target, str):
            family, host, port = _parse_address(cf, target)
            shown = f"[{host}]" if family == socket.AF_INET6 else host
        else:
            port = target
        address = (host, port) if family == socket.AF_INET else (host, port, 0, 0)
        text = f"{shown}:{port}"
    listen = Listen(
        family, address, text,
        backlog=options.get("backlog", 511), reuseport=options.get("reuseport", False), ipv6only=options.get("ipv6only", True),
        rcvbuf=options.get("rcvbuf"), sndbuf=options.get("sndbuf"), ssl=options.get("ssl", False), file=node.file, line=node.line,
    )  # fmt: skip
    if any(other == listen for other, _, _ in server.listens):
        raise cf.error(f"a duplicate listen {text}")
    server.listens.append((listen, options.get("default_server", False), public))


def make_addresses(cf: Builder) -> None:
    """Gather the servers of each address, then the addresses of each socket.

    Where one port is listened to on the wildcard address and on others too, only the wildcard is bound and the local address of
    the connection decides, as in nginx (``ngx_http_init_listening``).
    """
    grouped: dict[Listen, list[tuple[Server, bool, int]]] = {}
    given: dict[Listen, Listen] = {}
    for server in cf.config.servers:
        for listen, default, public in server.listens:
            first = given.setdefault(listen, listen)
            if first is not listen:
                given[listen] = replace(
                    given[first],
                    reuseport=first.reuseport or listen.reuseport,
                    backlog=max(first.backlog, listen.backlog),
                    ssl=given[first].ssl or listen.ssl,
                )
            grouped.setdefault(listen, []).append((server, default, public))
        server.listens = [listen for listen, _, _ in server.listens]
    tables = {listen: _name_table(cf, listen, servers) for listen, servers in grouped.items()}
    for listen, table in tables.items():
        table.tls = given[listen].ssl
    bound: dict[Listen, AddressConfig] = {}
    for listen, servers in grouped.items():
        wildcard = next(
            (
                w for w in grouped
                if w is not listen and w.family == listen.family and listen.family != socket.AF_UNIX
                and w.address[1] == listen.address[1] and w.address[0] in ("0.0.0.0", "::") and w.address[0] != listen.address[0]
            ),
            None,
        )  # fmt: skip
        if wildcard is None:
            config = bound.setdefault(listen, AddressConfig(given[listen], tables[listen], servers[0][2]))
            config.listen = given[listen]
        else:
            config = bound.setdefault(
                wildcard, AddressConfig(given[wildcard], tables[wildcard], grouped[wildcard][0][2])
            )
            config.by_local[listen.address[0]] = tables[listen]
    cf.config.addresses = {config.listen: config for config in bound.values()}


def _name_table(cf: Builder, listen: Listen, servers: list[tuple[Server, bool, int]]) -> NameTable:
    defaults = [server for server, default, _ in servers if default]
    if len(defaults) > 1:
        raise cf.error(f"a duplicate default server for {listen.text}")
    table = NameTable(defaults[0] if defaults else servers[0][0])
    for server, _, _ in servers:
        for kind, text, regex in server.names:
            if kind == "regex":
                table.regex.append((regex, server))
                continue
            target: dict[bytes, Server] = getattr(table, kind)
            key = encode(text)
            if key in target:
                cf.warn(f'conflicting server name "{text}" on {listen.text}, ignored')
            else:
                target[key] = server
    table.simple = len(servers) == 1 and not table.regex
    table.mixed = any(server.core.head_options != table.default.core.head_options for server, _, _ in servers)
    return table
