"""The block ``http`` and what nginx's core HTTP module decides for servers and locations.

The table is ngx_http_core_module's (https://nginx.org/en/docs/http/ngx_http_core_module.html); the blocks themselves, and ``listen``,
are in ``http_blocks.py``, its variables in ``http_variables.py``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from mmap import PAGESIZE
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..config.directives import (
    ANY,
    FLAG,
    HSL,
    HTTP,
    LIF,
    LMT,
    LOCATION,
    MAIN,
    NOARGS,
    ONE_MORE,
    SERVER,
    TAKE1,
    TAKE2,
    TAKE12,
    TAKE1234,
    TWO_MORE,
    UNSET,
    Directive,
    Module,
    Settings,
    bitmask,
    byte_string,
    enum,
    flag,
    inner,
    no_effect,
    number,
    parse_size,
    parse_time,
    seconds,
    setting,
    size,
    store,
    template,
)
from ..http.codec import HeadOptions
from ..http.request import Finalize
from ..http.template import Template, encode
from ..http.throttle import limit_rate, size_of
from ..process.logs import ALERT, ErrorLog, reason
from . import http_blocks as blocks
from .core import error_log_target, make_error_log
from .http_variables import define_variables

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.directives import Setter
    from ..config.parse import Node
    from ..http.request import Request
    from ..http.routing import HeaderFilter, Location


@dataclass
class CoreServer(Settings):
    """Settings of a server. Times in seconds, sizes in bytes."""

    client_header_timeout: float = setting(60.0)
    client_header_buffer_size: int = setting(1024)
    large_client_header_buffers: tuple[int, int] = setting((4, 8192))
    ignore_invalid_headers: bool = setting(True)
    merge_slashes: bool = setting(True)
    underscores_in_headers: bool = setting(False)
    max_headers: int = setting(1000)
    head_options: HeadOptions = inner(HeadOptions)


@dataclass
class ErrorPage:
    """One ``error_page``: where to go, and the status to answer with (None: the error's, 0: whatever the page answers)."""

    uri: Template
    overwrite: int | None


@dataclass(eq=False)
class CoreLocation(Settings):
    """Settings of a location. Times in seconds, sizes in bytes."""

    root: Template = setting(None)  # type: ignore[assignment]
    alias: Template | None = setting(None, inherit=False)
    client_max_body_size: int = setting(1 << 20)
    client_body_buffer_size: int = setting(2 * PAGESIZE)
    client_body_timeout: float = setting(60.0)
    client_body_temp_path: str = setting("client_body_temp")
    client_body_in_file_only: str = setting("")
    client_body_in_single_buffer: bool = setting(False)
    send_timeout: float = setting(60.0)
    limit_rate: Template | None = setting(None)
    limit_rate_after: Template | None = setting(None)
    postpone_output: int = setting(1460)
    keepalive_timeout: float = setting(75.0)
    keepalive_header: int = setting(0)
    keepalive_requests: int = setting(1000)
    keepalive_disable: frozenset[str] = setting(frozenset(("msie6",)))
    lingering_close: str = setting("on")
    lingering_time: float = setting(30.0)
    lingering_timeout: float = setting(5.0)
    server_tokens: str = setting("on")
    absolute_redirect: bool = setting(True)
    port_in_redirect: bool = setting(True)
    server_name_in_redirect: bool = setting(False)
    chunked_transfer_encoding: bool = setting(True)
    default_type: bytes = setting(b"text/plain")
    types: dict[bytes, bytes] = setting({b"html": b"text/html", b"gif": b"image/gif", b"jpg": b"image/jpeg"})
    etag: bool = setting(True)
    if_modified_since: str = setting("exact")
    max_ranges: int | None = setting(None)
    internal: bool = setting(False, inherit=False)
    satisfy_any: bool = setting(False)
    log_not_found: bool = setting(True)
    log_subrequest: bool = setting(False)
    recursive_error_pages: bool = setting(False)
    msie_padding: bool = setting(True)
    disable_symlinks: str = setting("off")
    resolver: Any = setting(None)
    resolver_timeout: float = setting(30.0)
    reset_timedout_connection: bool = setting(False)
    error_pages: dict[int, ErrorPage] | None = setting(None)
    error_log_targets: list[tuple[str, str]] | None = setting(None)
    error_log: ErrorLog = setting(None)  # type: ignore[assignment]
    prefix: bytes = inner(bytes)
    server_line: bytes = inner(bytes)
    keepalive_limit: int = inner(int)  #: requests per connection; 0 where there is no keep-alive
    alias_cut: int | None = inner(lambda: None)
    alias_whole: bool = inner(bool)

    def server_name(self) -> bytes:
        """What ``Server`` and the error pages say: with the version only while ``server_tokens`` is on."""
        if self.server_tokens == "on":
            return b"pyresty/" + __version__.encode()
        return b"pyresty"

    def path(self, r: Request) -> bytes:
        """The file that ``r.uri`` names by ``root`` or ``alias``, absolute. nginx: ``ngx_http_map_uri_to_path``.

        Raises Finalize where ``rewrite … break`` has left no URI that an alias could stand for a part of.
        """
        if self.alias is not None:
            if not r.valid_location:
                r.log(ALERT, b'"alias" cannot be used in location "%s" where URI was rewritten' % r.loc.prefix)
                raise Finalize(500)
            base = self.alias(r)
            if self.alias_cut is not None:
                base += r.uri if r.add_uri_to_alias else r.uri[self.alias_cut :]
        else:
            base = self.root(r) + r.uri
        return base if base.startswith(b"/") else self.prefix + base

    def document_root(self, r: Request) -> bytes:
        """``$document_root``."""
        base = self.alias(r) if self.alias is not None else self.root(r)
        return base if base.startswith(b"/") else self.prefix + base

    def type_of(self, uri: bytes) -> bytes:
        """The MIME type for a URI by its extension, else ``default_type``. nginx: ``ngx_http_set_content_type``."""
        dot = uri.rfind(b".")
        if dot > 0 and uri.find(b"/", dot) < 0 and uri[dot - 1 : dot] != b"/":
            found = self.types.get(uri[dot + 1 :].lower())
            if found is not None:
                return found
        return self.default_type


def set_http(cf: Builder, conf: Any, node: Node) -> None:
    """``http { … }``, once."""
    if cf.http_scope is not None:
        raise ValueError("is duplicate")
    cf.http_scope = cf.new_server_scope(HTTP)
    cf.config.has_http = True
    cf.walk(node.block or [], cf.http_scope)


def set_root(cf: Builder, conf: CoreLocation, node: Node) -> None:
    """``root path``: the URI is added to it."""
    if conf.root is not UNSET:
        raise ValueError('"alias" directive is duplicate' if conf.alias is not UNSET else "is duplicate")
    if conf.alias is not UNSET:
        raise cf.error('"root" directive is duplicate, "alias" directive was specified earlier')
    text = node.args[0]
    if "$document_root" in text or "${document_root}" in text or "$realpath_root" in text:
        raise cf.error('the $document_root variable cannot be used in the "root" directive')
    if len(text) > 1 and text.endswith("/"):
        text = text[:-1]
    conf.root = cf.template(text)


def set_alias(cf: Builder, conf: CoreLocation, node: Node) -> None:
    """``alias path``: replaces the location's prefix."""
    if conf.alias is not UNSET:
        raise ValueError("is duplicate")
    if conf.root is not UNSET:
        raise cf.error('"alias" directive is duplicate, "root" directive was specified earlier')
    loc = cf.scope.loc
    assert loc is not None
    if loc.kind == "named":
        raise cf.error('the "alias" directive cannot be used inside the named location')
    conf.alias = cf.template(node.args[0])
    # in a regex location the alias is the whole path; elsewhere what follows the location's name is added
    conf.alias_cut = None if loc.kind == "regex" else len(loc.prefix)


def set_types(cf: Builder, conf: CoreLocation, node: Node) -> None:
    """``types { text/html html htm; … }``."""
    table: dict[bytes, bytes] = {} if conf.types is UNSET else conf.types
    for row in node.block or []:
        if row.block is not None:
            raise cf.error(f'directive "{row.name}" is not terminated by ";"', node=row)
        if row.name == "include":
            raise cf.error('"include" inside "types" is not supported by pyresty yet', node=row)
        for extension in row.args:
            key = encode(extension.lower())
            if key in table and table[key] != encode(row.name):
                cf.warn(
                    f'duplicate extension "{extension}", content type: "{row.name}", '
                    f'previous content type: "{table[key].decode()}"'
                )
            table[key] = encode(row.name)
    conf.types = table


def set_error_page(cf: Builder, conf: CoreLocation, node: Node) -> None:
    """``error_page code … [=[response]] uri``."""
    args = list(node.args)
    uri = args.pop()
    overwrite: int | None = None
    if args[-1].startswith("="):
        word = args.pop()[1:]
        if word and not word.isdigit():
            raise cf.error(f'invalid value "={word}"')
        overwrite = int(word) if word else 0
        if not args:
            raise cf.error('invalid number of arguments in "error_page" directive')
    page = ErrorPage(cf.template(uri), overwrite)
    if conf.error_pages is UNSET:
        conf.error_pages = {}
    pages = conf.error_pages
    assert pages is not None
    for word in args:
        if not word.isdigit():
            raise cf.error(f'invalid value "{word}"')
        code = int(word)
        if code == 499:
            raise cf.error('value "499" must not be used')  # the client has gone
        if not 300 <= code <= 599:
            raise cf.error(f'value "{word}" must be between 300 and 599')
        chosen = page
        if overwrite is None and code in (494, 495, 496, 497):
            chosen = ErrorPage(page.uri, 400)
        pages.setdefault(code, chosen)


def set_keepalive(cf: Builder, conf: CoreLocation, node: Node) -> None:
    """``keepalive_timeout timeout [header_timeout]``."""
    store(conf, "keepalive_timeout", parse_time(node.args[0]))
    if len(node.args) > 1:
        conf.keepalive_header = int(parse_time(node.args[1]))


def set_large_buffers(cf: Builder, conf: CoreServer, node: Node) -> None:
    """``large_client_header_buffers number size``."""
    if not node.args[0].isdigit() or int(node.args[0]) == 0:
        raise ValueError("invalid value")
    store(conf, "large_client_header_buffers", (int(node.args[0]), parse_size(node.args[1])))


def set_internal(cf: Builder, conf: CoreLocation, node: Node) -> None:
    """``internal``: only for internal redirects and subrequests."""
    conf.internal = True


def set_error_log(cf: Builder, conf: CoreLocation, node: Node) -> None:
    """``error_log`` of http, server or location."""
    if conf.error_log_targets is UNSET or conf.error_log_targets is None:
        conf.error_log_targets = []
    conf.error_log_targets.append(error_log_target(cf, node))


def set_temp_path(cf: Builder, conf: CoreLocation, node: Node) -> None:
    """``client_body_temp_path path [levels]``; the levels of subfolders are nginx's own business and not needed here."""
    store(conf, "client_body_temp_path", cf.path(node.args[0]))


def set_limit_except(cf: Builder, conf: Any, node: Node) -> None:
    """``limit_except method … { … }``."""
    blocks.limit_except(cf, node)


def set_resolver(cf: Builder, conf: CoreLocation, node: Node) -> None:
    """``resolver address … [valid=time] [ipv4=on|off] [ipv6=on|off]``."""
    from ..upstream.resolver import Resolver

    store(conf, "resolver", Resolver.configured(cf, node))


def size_template(field: str) -> Setter:
    """Setter for a size with variables. nginx: ``ngx_http_set_complex_value_size_slot``."""

    def set_size(cf: Builder, conf: CoreLocation, node: Node) -> None:
        value = cf.template(node.args[0])
        if value.const is not None:
            parse_size(node.args[0])
        store(conf, field, value)

    return set_size


def header_filter(loc: Location) -> HeaderFilter | None:
    """The last filter of a location with ``limit_rate``: from here on the response is limited."""
    rate = loc.core.limit_rate
    if rate is None:
        return None

    def limit(r: Request) -> None:
        if not r.limit_rate_set:
            limit_rate(r, size_of(r, rate))

    return limit


def set_max_ranges(cf: Builder, conf: CoreLocation, node: Node) -> None:
    """``max_ranges number``."""
    number("max_ranges")(cf, conf, node)


def on_location(cf: Builder, loc: Location) -> None:
    """Settle what follows from several settings once they are merged."""
    core = loc.core
    core.prefix = encode(cf.prefix.rstrip("/") + "/")
    core.keepalive_limit = core.keepalive_requests if core.keepalive_timeout else 0
    core.server_line = b"Server: " + core.server_name()
    if core.root is None:
        core.root = Template("html", (b"html",))
    if core.error_log_targets:
        core.error_log = make_error_log(cf, core.error_log_targets)
    elif core.error_log is None:
        core.error_log = make_error_log(cf, None)
    if loc.kind in ("if", "limit_except") and core.alias is None and loc.parent is not None:
        core.alias, core.alias_cut = loc.parent.core.alias, loc.parent.core.alias_cut
    if loc.kind in ("if", "limit_except") and loc.parent is not None:
        core.internal = core.internal or loc.parent.core.internal
    core.client_body_temp_path = cf.path(core.client_body_temp_path)
    cf.config.temp_folders.add(core.client_body_temp_path)


def finish(cf: Builder) -> None:
    """Make the address table and each server's head options."""
    for server, scope in cf.server_scopes:
        core = scope.server["http_core"]
        assert isinstance(core, CoreServer)
        server.core = core
        core.head_options = HeadOptions(
            ignore_invalid_headers=core.ignore_invalid_headers,
            underscores_in_headers=core.underscores_in_headers,
            merge_slashes=core.merge_slashes,
            max_headers=core.max_headers,
            parser=cf.options.http,
        )
    blocks.make_addresses(cf)
    for folder in cf.config.temp_folders:
        _make_temp_folder(cf, folder)


def _make_temp_folder(cf: Builder, folder: str) -> None:
    """Make a folder that only the workers' user can use. nginx: ``ngx_create_paths``."""
    import pwd

    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        if cf.config.user is not None and os.geteuid() == 0:
            uid = pwd.getpwnam(cf.config.user[0]).pw_uid
            if os.stat(folder).st_uid != uid:
                os.chown(folder, uid, -1)
    except OSError as error:
        raise cf.error(f'mkdir() "{folder}" failed {reason(error)}') from None


NO_AIO = "files are read without aio; the kernel's sendfile is used where it can be"

MODULE = Module(
    name="http_core",
    server=CoreServer,
    location=CoreLocation,
    prepare=define_variables,
    on_location=on_location,
    finish=finish,
    header_filter=header_filter,
    directives=(
        Directive("http", MAIN, NOARGS, set_http, "main", block=True),
        Directive("server", HTTP, NOARGS, blocks.set_server, "main", block=True),
        Directive("listen", SERVER, ONE_MORE, blocks.set_listen, "server"),
        Directive("server_name", SERVER, ONE_MORE, blocks.set_server_name, "server"),
        Directive("location", SERVER | LOCATION, TAKE12, blocks.set_location, "location", block=True),
        Directive("limit_except", LOCATION, ONE_MORE, set_limit_except, "location", block=True),
        Directive("root", HSL | LIF, TAKE1, set_root),
        Directive("alias", LOCATION, TAKE1, set_alias),
        Directive("types", HSL, NOARGS, set_types, block=True),
        Directive("default_type", HSL, TAKE1, byte_string("default_type")),
        Directive("error_page", HSL | LIF, TWO_MORE, set_error_page),
        Directive("error_log", HSL, ONE_MORE, set_error_log),
        Directive("internal", LOCATION, NOARGS, set_internal),
        Directive("satisfy", HSL, TAKE1, enum("satisfy_any", {"all": False, "any": True})),
        Directive("client_max_body_size", HSL, TAKE1, size("client_max_body_size")),
        Directive("client_body_buffer_size", HSL, TAKE1, size("client_body_buffer_size")),
        Directive("client_body_timeout", HSL, TAKE1, seconds("client_body_timeout")),
        Directive("client_body_temp_path", HSL, TAKE1234, set_temp_path),
        Directive(
            "client_body_in_file_only",
            HSL,
            TAKE1,
            enum("client_body_in_file_only", {"off": "", "on": "on", "clean": "clean"}),
        ),
        Directive("client_body_in_single_buffer", HSL, FLAG, flag("client_body_in_single_buffer")),
        Directive("client_header_timeout", HTTP | SERVER, TAKE1, seconds("client_header_timeout"), "server"),
        Directive("client_header_buffer_size", HTTP | SERVER, TAKE1, size("client_header_buffer_size"), "server"),
        Directive("large_client_header_buffers", HTTP | SERVER, TAKE2, set_large_buffers, "server"),
        Directive("ignore_invalid_headers", HTTP | SERVER, FLAG, flag("ignore_invalid_headers"), "server"),
        Directive("merge_slashes", HTTP | SERVER, FLAG, flag("merge_slashes"), "server"),
        Directive("underscores_in_headers", HTTP | SERVER, FLAG, flag("underscores_in_headers"), "server"),
        Directive("max_headers", HTTP | SERVER, TAKE1, number("max_headers"), "server"),
        Directive("keepalive_timeout", HSL, TAKE12, set_keepalive),
        Directive("keepalive_requests", HSL, TAKE1, number("keepalive_requests")),
        Directive(
            "keepalive_disable",
            HSL,
            ONE_MORE,
            bitmask("keepalive_disable", {w: w for w in ("none", "msie6", "safari")}),
        ),
        Directive("limit_rate", HSL | LIF, TAKE1, size_template("limit_rate")),
        Directive("limit_rate_after", HSL | LIF, TAKE1, size_template("limit_rate_after")),
        Directive("postpone_output", HSL, TAKE1, size("postpone_output")),
        Directive("send_timeout", HSL, TAKE1, seconds("send_timeout")),
        Directive(
            "lingering_close", HSL, TAKE1, enum("lingering_close", {"off": "off", "on": "on", "always": "always"})
        ),
        Directive("lingering_time", HSL, TAKE1, seconds("lingering_time")),
        Directive("lingering_timeout", HSL, TAKE1, seconds("lingering_timeout")),
        Directive("server_tokens", HSL, TAKE1, enum("server_tokens", {"on": "on", "off": "off", "build": "on"})),
        Directive("absolute_redirect", HSL, FLAG, flag("absolute_redirect")),
        Directive("port_in_redirect", HSL, FLAG, flag("port_in_redirect")),
        Directive("server_name_in_redirect", HSL, FLAG, flag("server_name_in_redirect")),
        Directive("chunked_transfer_encoding", HSL, FLAG, flag("chunked_transfer_encoding")),
        Directive("etag", HSL, FLAG, flag("etag")),
        Directive(
            "if_modified_since",
            HSL,
            TAKE1,
            enum("if_modified_since", {"off": "off", "exact": "exact", "before": "before"}),
        ),
        Directive("max_ranges", HSL, TAKE1, set_max_ranges),
        Directive("log_not_found", HSL, FLAG, flag("log_not_found")),
        Directive("log_subrequest", HSL, FLAG, flag("log_subrequest")),
        Directive("recursive_error_pages", HSL, FLAG, flag("recursive_error_pages")),
        Directive("msie_padding", HSL, FLAG, flag("msie_padding")),
        Directive("resolver", HSL, ONE_MORE, set_resolver),
        Directive("resolver_timeout", HSL, TAKE1, seconds("resolver_timeout")),
        Directive("reset_timedout_connection", HSL, FLAG, flag("reset_timedout_connection")),
        Directive("sendfile", HSL | LIF, FLAG, no_effect(NO_AIO)),
        Directive("sendfile_max_chunk", HSL, TAKE1, no_effect(NO_AIO)),
        Directive("aio", HSL, TAKE1, no_effect(NO_AIO)),
        Directive("directio", HSL, TAKE1, no_effect(NO_AIO)),
        Directive("tcp_nopush", HSL, FLAG, no_effect("whole responses are written at once")),
        Directive("tcp_nodelay", HSL, FLAG, no_effect("TCP_NODELAY is always set")),
        Directive(
            "server_names_hash_max_size", HTTP, TAKE1, no_effect("names are looked up in Python's dictionaries"), "main"
        ),
        Directive(
            "server_names_hash_bucket_size",
            HTTP,
            TAKE1,
            no_effect("names are looked up in Python's dictionaries"),
            "main",
        ),
        Directive("types_hash_max_size", HSL, TAKE1, no_effect("types are looked up in Python's dictionaries")),
        Directive("types_hash_bucket_size", HSL, TAKE1, no_effect("types are looked up in Python's dictionaries")),
        Directive("variables_hash_max_size", HTTP, TAKE1, no_effect("variables are resolved at start-up"), "main"),
        Directive("variables_hash_bucket_size", HTTP, TAKE1, no_effect("variables are resolved at start-up"), "main"),
        Directive(
            "open_file_cache", HSL, ONE_MORE, no_effect("small hot files are remembered, checked at every request")
        ),
        Directive("output_buffers", HSL, TAKE2, no_effect("files are sent by the kernel")),
        Directive("read_ahead", HSL, TAKE1, no_effect("files are sent by the kernel")),
        Directive("connection_pool_size", HTTP | SERVER, TAKE1, no_effect("Python manages memory")),
        Directive("request_pool_size", HTTP | SERVER, TAKE1, no_effect("Python manages memory")),
    ),
)

__all__ = ["ANY", "LMT", "MODULE", "CoreLocation", "CoreServer", "ErrorPage", "template"]
