"""The Lua directives of lua-nginx-module. https://github.com/openresty/lua-nginx-module#directives

Each ``*_by_lua*`` directive comes in three spellings, which differ only in where the code is: in a string, in a block, in a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config.directives import (
    FLAG,
    HSL,
    HTTP,
    LIF,
    LOCATION,
    SERVER,
    SIF,
    TAKE1,
    TAKE2,
    TWO_MORE,
    UNSET,
    Args,
    Directive,
    Module,
    Settings,
    flag,
    inner,
    no_effect,
    number,
    seconds,
    setting,
    store,
)
from ..http.template import encode
from ..lua.filters import make_filters
from ..lua.handlers import Code, make_content, make_log, make_phase, make_set
from ..lua.malloc_trim import make_trim
from ..lua.shdict import set_shared_dict
from .rewrite import define_variable

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.routing import Handler, Location, PhaseHandler


@dataclass
class LuaMain(Settings):
    """Settings of the block ``http``."""

    package_path: str | None = setting(None)
    package_cpath: str | None = setting(None)
    regex_cache_max_entries: int = setting(1024)
    regex_match_limit: int = setting(0)
    max_pending_timers: int = setting(1024)
    max_running_timers: int = setting(256)
    load_resty_core: bool = setting(True)
    sa_restart: bool = setting(True)
    init: Code | None = setting(None)
    init_worker: Code | None = setting(None)
    exit_worker: Code | None = setting(None)
    rewrite_no_postpone: bool = setting(False)
    access_no_postpone: bool = setting(False)
    precontent_no_postpone: bool = setting(False)
    malloc_trim: int = setting(0)
    trim: Any = inner(lambda: None)
    keeps_underscores: bool = setting(False)  #: lua_transform_underscores_in_response_headers is off somewhere
    code_cache_off: bool = setting(False)  #: somewhere
    codes: list[Code] = inner(list)  #: all code, in the order of the text


@dataclass
class LuaServer(Settings):
    """Settings of a server."""

    server_rewrite: Code | None = setting(None)


@dataclass
class LuaLocation(Settings):
    """Settings of a location."""

    code_cache: bool = setting(True)
    need_request_body: bool = setting(False)
    use_default_type: bool = setting(True)
    http10_buffering: bool = setting(True)
    transform_underscores: bool = setting(True)
    check_client_abort: bool = setting(False)
    rewrite: Code | None = setting(None)
    access: Code | None = setting(None)
    precontent: Code | None = setting(None)
    content: Code | None = setting(None, inherit=False)
    header_filter: Code | None = setting(None)
    body_filter: Code | None = setting(None)
    log: Code | None = setting(None)
    socket_connect_timeout: float = setting(60.0)
    socket_send_timeout: float = setting(60.0)
    socket_read_timeout: float = setting(60.0)
    socket_keepalive_timeout: float = setting(60.0)
    socket_pool_size: int = setting(30)
    socket_log_errors: bool = setting(True)


#: The longest name of a chunk that error messages show whole. nginx: ``LJ_CHUNKNAME_MAX_LEN``.
_CHUNK_NAME = 56


def chunk_name(directive: str, file: str, line: int, folder: str) -> str:
    """The name of inlined code: ``=content_by_lua(nginx.conf:28)``. ``folder`` is the main file's, below which names are relative.

    nginx: ``ngx_http_lua_gen_chunk_name``.
    """
    if file.endswith("/nginx.conf"):
        name = "nginx.conf"
    else:
        name = file.removeprefix(folder + "/")
        room = _CHUNK_NAME - len(directive) - len(str(line))
        if len(name) > room:
            name = "..." + name[-max(room - 3, 1) :]
    return f"={directive}({name}:{line})"


def code_from(cf: Builder, node: Node, phase: str) -> Code:
    """The Code of a directive in any of its spellings. nginx: the chunk names are ``=content_by_lua(nginx.conf:28)``."""
    main = cf.config.main["lua"]
    assert isinstance(main, LuaMain)
    text = node.args[-1]
    if node.name.endswith("_file"):
        code = Code(phase, cf.template(text), None, b"", node.file, node.line)
    else:
        base = node.name.removesuffix("_block")
        name = chunk_name(base, node.file, node.line, cf.conf_prefix)
        code = Code(phase, None, encode(text), encode(name), node.file, node.line)
    main.codes.append(code)
    return code


def phase_directive(field: str, phase: str = "") -> Any:
    """Setter of a ``*_by_lua*`` directive of a location or server: stores its Code in ``field``; ``phase`` where that has
    another name.
    """

    def set_phase(cf: Builder, conf: Any, node: Node) -> None:
        if getattr(conf, field) is not UNSET:
            raise ValueError("is duplicate")
        setattr(conf, field, code_from(cf, node, phase or field))

    return set_phase


def set_content(cf: Builder, conf: LuaLocation, node: Node) -> None:
    """``content_by_lua*``."""
    phase_directive("content")(cf, conf, node)
    assert cf.scope.loc is not None
    cf.scope.loc.content_factory = content_factory


def content_factory(loc: Location) -> Handler:
    """The content handler of a location (of an ``if`` inside it too)."""
    outer: Location | None = loc
    while outer is not None and outer.conf["lua"].content is None:
        outer = outer.parent
    assert outer is not None
    return make_content(loc, outer.conf["lua"].content)


def set_set(cf: Builder, conf: LuaLocation, node: Node) -> None:
    """``set_by_lua* $res code [arg …]``: runs among the rewrite directives."""
    name = node.args[0]
    if not name.startswith("$"):
        raise cf.error(f'invalid variable name "{name}"')
    args = node.args[1:]
    text, rest = args[0], args[1:]
    node.args = [text]
    code = code_from(cf, node, "set")
    variable = define_variable(cf, name[1:])
    assert cf.scope.loc is not None
    cf.scope.loc.script_ops.append(make_set(cf, code, variable, [cf.template(arg) for arg in rest]))


def set_code_cache(cf: Builder, conf: LuaLocation, node: Node) -> None:
    """``lua_code_cache on | off``; nginx warns of ``off``, we say that it costs little here."""
    flag("code_cache")(cf, conf, node)
    if not conf.code_cache:
        cf.config.main["lua"].code_cache_off = True  # type: ignore[attr-defined]
        warning = cf.error("lua_code_cache is off; this will hurt performance")
        warning.level = "alert"
        cf.config.warnings.append(warning)


def set_underscores(cf: Builder, conf: LuaLocation, node: Node) -> None:
    """``lua_transform_underscores_in_response_headers on | off``."""
    flag("transform_underscores")(cf, conf, node)
    if not conf.transform_underscores:
        cf.config.main["lua"].keeps_underscores = True  # type: ignore[attr-defined]


def set_resty_core(cf: Builder, conf: LuaMain, node: Node) -> None:
    """``lua_load_resty_core on | off``: nginx only warns, too."""
    flag("load_resty_core")(cf, conf, node)
    cf.warn("lua_load_resty_core is deprecated (the lua-resty-core library is required since ngx_lua v0.10.16)")


def set_malloc_trim(cf: Builder, conf: LuaMain, node: Node) -> None:
    """``lua_malloc_trim requests``; 0: never."""
    number("malloc_trim")(cf, conf, node)
    if conf.malloc_trim:
        conf.trim = make_trim(conf.malloc_trim)
        if conf.trim is None:
            cf.ineffective(node, "this C library has no malloc_trim")


def set_path(field: str) -> Any:
    """Setter of ``lua_package_path`` and its sister: ``$prefix`` and ``${prefix}`` name the server prefix, ``;;`` the default."""

    def set_it(cf: Builder, conf: LuaMain, node: Node) -> None:
        store(conf, field, node.args[0].replace("${prefix}", cf.prefix).replace("$prefix", cf.prefix))

    return set_it


def on_location(cf: Builder, loc: Location) -> None:
    """Add the handlers that are there."""
    conf: LuaLocation = loc.conf["lua"]
    main: LuaMain = cf.config.main["lua"]  # type: ignore[assignment]
    if loc.kind == "server":
        server: LuaServer = loc.server.conf["lua"]
        if server.server_rewrite is not None:
            loc.server.rewrite += (make_phase(loc, server.server_rewrite),)
    if conf.rewrite is not None:
        if main.rewrite_no_postpone:
            loc.first_rewrite += (make_phase(loc, conf.rewrite),)
        else:
            loc.rewrite += (make_phase(loc, conf.rewrite),)
    if conf.access is not None:
        loc.access = _placed(loc.access, make_phase(loc, conf.access), main.access_no_postpone)
    if conf.precontent is not None:
        loc.precontent = _placed(loc.precontent, make_phase(loc, conf.precontent), main.precontent_no_postpone)
    if conf.log is not None:
        loc.log = (make_log(loc, conf.log), *loc.log)
    if main.trim is not None:
        loc.log = (main.trim, *loc.log)


def _placed(handlers: tuple[PhaseHandler, ...], ours: PhaseHandler, first: bool) -> tuple[PhaseHandler, ...]:
    return (ours, *handlers) if first else (*handlers, ours)


def finish(cf: Builder) -> None:
    """Make the VM, if any Lua is there, before the workers are forked; compile what can be compiled now."""
    main = cf.config.main["lua"]
    assert isinstance(main, LuaMain)
    main.merge(None)
    if not main.codes:
        return
    from ..lua.start import check_code, start_lua

    start_lua(cf, main)
    if cf.collect:
        check_code(cf, main.codes)


_STRING = Args(1, 1)
_HSLI = HSL | LIF


def _three(name: str, where: Any, setter: Any, level: str = "location", args: Args = _STRING) -> tuple[Directive, ...]:
    return tuple(Directive(name + suffix, where, args, setter, level) for suffix in ("", "_block", "_file"))


def _two(name: str, where: Any, setter: Any, level: str = "location") -> tuple[Directive, ...]:
    return tuple(Directive(name + suffix, where, _STRING, setter, level) for suffix in ("_block", "_file"))


MODULE = Module(
    name="lua",
    main=LuaMain,
    server=LuaServer,
    location=LuaLocation,
    on_location=on_location,
    finish=finish,
    header_filter=make_filters,
    before_capture=True,
    directives=(
        *_three("init_by_lua", HTTP, phase_directive("init"), "main"),
        *_three("init_worker_by_lua", HTTP, phase_directive("init_worker"), "main"),
        *_two("exit_worker_by_lua", HTTP, phase_directive("exit_worker"), "main"),
        *_two("server_rewrite_by_lua", HTTP | SERVER, phase_directive("server_rewrite"), "server"),
        *_three("set_by_lua", SERVER | SIF | LOCATION | LIF, set_set, args=TWO_MORE),
        *_three("rewrite_by_lua", _HSLI, phase_directive("rewrite")),
        *_three("access_by_lua", _HSLI, phase_directive("access")),
        *_two("precontent_by_lua", _HSLI, phase_directive("precontent")),
        *_three("content_by_lua", LOCATION | LIF, set_content),
        *_three("header_filter_by_lua", _HSLI, phase_directive("header_filter")),
        *_three("body_filter_by_lua", _HSLI, phase_directive("body_filter")),
        *_three("log_by_lua", _HSLI, phase_directive("log")),
        Directive("rewrite_by_lua_no_postpone", HTTP, FLAG, flag("rewrite_no_postpone"), "main"),
        Directive("access_by_lua_no_postpone", HTTP, FLAG, flag("access_no_postpone"), "main"),
        Directive("precontent_by_lua_no_postpone", HTTP, FLAG, flag("precontent_no_postpone"), "main"),
        Directive("lua_transform_underscores_in_response_headers", _HSLI, FLAG, set_underscores),
        Directive("lua_load_resty_core", HTTP, FLAG, set_resty_core, "main"),
        Directive("lua_malloc_trim", HTTP, TAKE1, set_malloc_trim, "main"),
        Directive("lua_sa_restart", HTTP, FLAG, flag("sa_restart"), "main"),
        Directive(
            "lua_thread_cache_max_entries", HTTP, TAKE1, no_effect("coroutines that have ended are used again"), "main"
        ),
        Directive("lua_shared_dict", HTTP, TAKE2, set_shared_dict, "main"),
        Directive("lua_package_path", HTTP, TAKE1, set_path("package_path"), "main"),
        Directive("lua_package_cpath", HTTP, TAKE1, set_path("package_cpath"), "main"),
        Directive("lua_regex_cache_max_entries", HTTP, TAKE1, number("regex_cache_max_entries"), "main"),
        Directive("lua_regex_match_limit", HTTP, TAKE1, number("regex_match_limit"), "main"),
        Directive("lua_max_pending_timers", HTTP, TAKE1, number("max_pending_timers"), "main"),
        Directive("lua_max_running_timers", HTTP, TAKE1, number("max_running_timers"), "main"),
        Directive("lua_check_client_abort", _HSLI, FLAG, flag("check_client_abort")),
        Directive("lua_code_cache", _HSLI, FLAG, set_code_cache),
        Directive("lua_need_request_body", _HSLI, FLAG, flag("need_request_body")),
        Directive("lua_use_default_type", _HSLI, FLAG, flag("use_default_type")),
        Directive("lua_http10_buffering", _HSLI, FLAG, flag("http10_buffering")),
        Directive("lua_socket_connect_timeout", _HSLI, TAKE1, seconds("socket_connect_timeout")),
        Directive("lua_socket_send_timeout", _HSLI, TAKE1, seconds("socket_send_timeout")),
        Directive("lua_socket_read_timeout", _HSLI, TAKE1, seconds("socket_read_timeout")),
        Directive("lua_socket_keepalive_timeout", _HSLI, TAKE1, seconds("socket_keepalive_timeout")),
        Directive("lua_socket_buffer_size", _HSLI, TAKE1, no_effect("a read takes what has come, whatever its size")),
        Directive("lua_socket_send_lowat", _HSLI, TAKE1, no_effect("Linux has no such option for sending")),
        Directive("lua_socket_pool_size", _HSLI, TAKE1, number("socket_pool_size")),
        Directive("lua_socket_log_errors", _HSLI, FLAG, flag("socket_log_errors")),
    ),
)
