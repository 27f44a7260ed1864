"""memc_pass: all of memcached's commands as locations. https://github.com/openresty/memc-nginx-module

The one idea: a command is made of the variables ``$memc_cmd $memc_key $memc_value $memc_flags $memc_exptime`` and the request's body, and
sent as ``memcached.py`` sends its one command.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config.directives import (
    FLAG,
    HSL,
    LIF,
    LOCATION,
    ONE_MORE,
    TAKE1,
    Directive,
    Module,
    bitmask,
    flag,
    seconds,
    setting,
    size,
)
from ..http.body import RequestBody
from ..http.dates import http_time
from ..http.request import Finalize
from ..http.template import Template, encode
from ..process.logs import ERR
from ..upstream.memcached import COMMANDS, STORAGE
from .memcached import (
    NEXT,
    MemcachedSettings,
    ask,
    changeable,
    escape_key,
    inherit_upstream,
    set_content,
    value_of,
)

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request
    from ..http.routing import Handler, Location
    from ..upstream.exchange import Body
    from ..upstream.memcached import Reply
    from .upstream import UpstreamBlock

#: The command for a method where ``$memc_cmd`` says nothing.
_BY_METHOD = {b"GET": b"get", b"HEAD": b"get", b"POST": b"add", b"PUT": b"set", b"DELETE": b"delete"}

#: Digits of the largest flags or exptime, and of the largest value of incr and decr.
_DIGITS_32, _DIGITS_64 = 10, 20
#: Bytes of a temporary file that are read at once.
_PIECE = 65536


@dataclass(eq=False)
class MemcLocation(MemcachedSettings):
    """Settings of a location."""

    cmds_allowed: frozenset[bytes] | None = setting(None)
    flags_to_last_modified: bool = setting(False)
    target: Template | None = setting(None, inherit=False)


def _number(r: Request, name: str, digits: int) -> bytes:
    """The variable, which must be a number or empty. Raises Finalize with 400."""
    value = value_of(r, name) or b""
    if value and (len(value) > digits or not value.isdigit()):
        r.log(ERR, b'variable "$%s" takes invalid value: %s' % (name.encode(), value))
        raise Finalize(400)
    return value


def _key(r: Request) -> bytes:
    """The key as it is sent. Raises Finalize with 500."""
    key = value_of(r, "memc_key")
    if not key:
        r.log(ERR, b'the "$memc_key" variable is not set')
        raise Finalize(500)
    return escape_key(key)


def _command_of(r: Request) -> bytes | int:
    """The command that a request is for, or the status to end with."""
    word = value_of(r, "memc_cmd")
    if word:
        if word in COMMANDS:
            return word
        r.log(ERR, b'ngx_memc: unknown $memc_cmd "%s"' % word)
        return 400
    command = _BY_METHOD.get(r.method)
    if command is None:
        r.log(ERR, b"ngx_memc: $memc_cmd variable not found for HTTP %s requests" % r.method)
        return 400
    return command


async def _made(r: Request, command: bytes) -> tuple[bytes, Body | None, bytes]:
    """What is sent: the bytes that can be sent at once, an iterator over the rest, and the key. Raises Finalize.

    nginx: ``ngx_http_memc_create_…_request``.
    """
    storage = command in STORAGE
    exptime = _number(r, "memc_exptime", _DIGITS_32) if storage or command in (b"flush_all", b"delete") else b""
    flags = _number(r, "memc_flags", _DIGITS_32) if storage else b""
    amount = value_of(r, "memc_value")
    if command in (b"incr", b"decr"):
        if not amount:
            r.log(ERR, b'the "$memc_value" variable is required for command "%s"' % command)
            raise Finalize(400)
        if len(amount) > _DIGITS_64 or not amount.isdigit():
            r.log(ERR, b'variable "$memc_value" is invalid for incr/decr: ' + amount)
            raise Finalize(400)
    await _read_body(r)
    if command in (b"version", b"stats"):
        return command + b"\r\n", None, b""
    if command == b"flush_all":
        return b" ".join((command, exptime) if exptime else (command,)) + b"\r\n", None, b""
    key = _key(r)
    if not storage:
        more = amount if command in (b"incr", b"decr") else exptime
        return b" ".join((command, key, more) if more else (command, key)) + b"\r\n", None, key
    data, path = amount, None
    if data is None:
        body = r.body
        if body is None or not body.size:
            r.log(ERR, b'neither the "$memc_value" variable nor the request body is available')
            raise Finalize(500)
        data, path = body.data or b"", body.path
    size = len(data) if path is None else r.body.size  # type: ignore[union-attr]
    line = b"%s %s %s %s %d\r\n" % (command, key, flags or b"0", exptime or b"0", size)
    if path is not None:
        return line, lambda: _from_file(path), key
    return line + data + b"\r\n", None, key


async def _read_body(r: Request) -> None:
    body = r.body
    if body is None and not r.is_subrequest and not r.discarded and r.head.has_body:
        body = r.body = RequestBody(r)
    if body is not None and not body.complete:
        await body.read()


async def _from_file(path: str) -> AsyncGenerator[bytes, None]:
    with open(path, "rb") as file:
        while data := file.read(_PIECE):
            yield data
    yield b"\r\n"


def make_handler(loc: Location) -> Handler:
    """The handler of a location. nginx: ``ngx_http_memc_handler``."""
    conf: MemcLocation = loc.conf["memc"]
    fixed = conf.upstream

    def use(r: Request, head: Reply) -> int:
        if head.flags:
            if r.vars is None:
                r.vars = {}
            r.vars["memc_flags"] = head.flags
            if conf.flags_to_last_modified and head.flags.isdigit():
                r.last_modified = int(head.flags)
        return 0

    async def memc(r: Request, command: bytes, upstream: UpstreamBlock) -> int:
        sent, rest, key = await _made(r, command)
        return await ask(r, conf, upstream, sent, rest, key, use, False)

    def handler(r: Request) -> int | Awaitable[int]:
        command = _command_of(r)
        if isinstance(command, int):
            return command
        if conf.cmds_allowed is not None and command not in conf.cmds_allowed:
            r.log(ERR, b'ngx_memc: memcached command "%s" not allowed' % command)
            return 403
        r.content_type = r.loc.core.type_of(r.uri)
        upstream = fixed if conf.target is None else _named(r, conf.target)
        return 500 if upstream is None else memc(r, command, upstream)

    return handler


def _named(r: Request, target: Template) -> UpstreamBlock | None:
    """The block that the variables in ``memc_pass`` name."""
    name = target(r)
    if not name:
        r.log(ERR, b'memc: handler: empty "memc_pass" target')
        return None
    main: Any = r.server.config.main["upstream"]
    found: UpstreamBlock | None = main.blocks.get(name.lower())
    if found is None:
        r.log(ERR, b'memc: upstream "%s" not found' % name)
    return found


# -- directives


def set_memc_pass(cf: Builder, conf: MemcLocation, node: Node) -> None:
    """``memc_pass address``."""
    target = cf.template(node.args[0])
    if target.const is None:
        set_content(cf, conf, make_handler, None)
        conf.target = target
    else:
        set_content(cf, conf, make_handler, node.args[0])


def set_cmds_allowed(cf: Builder, conf: MemcLocation, node: Node) -> None:
    """``memc_cmds_allowed command …``."""
    commands = [encode(word) for word in node.args]
    for command, word in zip(commands, node.args, strict=True):
        if command not in COMMANDS:
            raise cf.error(f'Unknown memcached command "{word}" used in "memc_cmds_allowed"')
    conf.cmds_allowed = frozenset(commands)


def _moved(parameter: str) -> Any:
    """Setter of a directive that the module itself refuses: the parameter of ``server`` has taken its place."""

    def refuse_it(cf: Builder, conf: MemcLocation, node: Node) -> None:
        raise cf.error(
            f'"{node.name}" is not supported, use the "{parameter}" parameter of the "server" directive inside the '
            '"upstream" block'
        )

    return refuse_it


def on_location(cf: Builder, loc: Location) -> None:
    """Work out what a location needs."""
    conf: MemcLocation = loc.conf["memc"]
    inherit_upstream(cf, conf, loc, "memc")
    if conf.passes:
        if loc.kind == "if" and conf.target is None and loc.parent is not None:
            conf.target = loc.parent.conf["memc"].target
        conf.arrange(cf)


def _flags_as_http_time(r: Request) -> bytes | None:
    flags = value_of(r, "memc_flags")
    return http_time(int(flags)) if flags and flags.isdigit() else None


def prepare(cf: Builder) -> None:
    """Declare the variables."""
    for name in ("memc_cmd", "memc_key", "memc_value", "memc_flags", "memc_exptime"):
        changeable(cf, name)
    cf.define("memc_flags_as_http_time", _flags_as_http_time)


MODULE = Module(
    name="memc",
    location=MemcLocation,
    prepare=prepare,
    on_location=on_location,
    directives=(
        Directive("memc_pass", LOCATION | LIF, TAKE1, set_memc_pass),
        Directive("memc_cmds_allowed", HSL | LIF, ONE_MORE, set_cmds_allowed),
        Directive("memc_connect_timeout", HSL, TAKE1, seconds("connect_timeout")),
        Directive("memc_send_timeout", HSL, TAKE1, seconds("send_timeout")),
        Directive("memc_read_timeout", HSL, TAKE1, seconds("read_timeout")),
        Directive("memc_buffer_size", HSL, TAKE1, size("buffer_size")),
        Directive("memc_next_upstream", HSL, ONE_MORE, bitmask("next_upstream", NEXT)),
        Directive("memc_upstream_max_fails", HSL, TAKE1, _moved("max_fails")),
        Directive("memc_upstream_fail_timeout", HSL, TAKE1, _moved("fail_timeout")),
        Directive("memc_flags_to_last_modified", LOCATION | LIF, FLAG, flag("flags_to_last_modified")),
        Directive("memc_ignore_client_abort", LOCATION | LIF, FLAG, flag("ignore_client_abort")),
    ),
)
