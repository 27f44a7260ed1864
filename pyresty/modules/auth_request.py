"""Access by the answer of a subrequest. https://nginx.org/en/docs/http/ngx_http_auth_request_module.html"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.directives import HSL, TAKE1, TAKE2, UNSET, Directive, Module, Settings, setting, store
from ..http.body import RequestBody
from ..http.headers_out import get_headers_out
from ..http.postpone import PlainSubrequest, may_begin, run_now
from ..http.request import ERROR, OK
from ..http.template import Template, Variable, assigner, encode
from ..process.logs import ERR

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request
    from ..http.routing import Location, PhaseHandler


@dataclass
class AuthRequestSettings(Settings):
    """Settings of a location; an empty URI asks nobody."""

    uri: bytes = setting(b"")
    variables: list[tuple[Variable, Template]] = setting([])


def set_auth_request(cf: Builder, conf: AuthRequestSettings, node: Node) -> None:
    """``auth_request uri | off``."""
    store(conf, "uri", b"" if node.args[0] == "off" else encode(node.args[0]))


def set_variable(cf: Builder, conf: AuthRequestSettings, node: Node) -> None:
    """``auth_request_set $variable value``: the value is rendered for the subrequest."""
    name, value = node.args
    if not name.startswith("$"):
        raise cf.error(f'invalid variable name "{name}"')
    name = name[1:].lower()
    found = cf.config.defined(name)
    if found is not None and found.set is None:
        raise cf.error(f'the duplicate "{name}" variable')
    if conf.variables is UNSET:
        conf.variables = []
    variable = found or cf.define(name, lambda r: r.vars.get(name) if r.vars is not None else None, assigner(name))
    conf.variables.append((variable, cf.template(value)))


def make_auth_request(uri: bytes, variables: list[tuple[Variable, Template]]) -> PhaseHandler:
    """The handler of the access phase."""

    async def auth_request(r: Request) -> int | None:
        if not may_begin(r, uri):
            return ERROR
        sub = PlainSubrequest(r, uri, None)
        # a body of its own, so that the client's is not read for it
        sub.body = RequestBody(r)
        sub.body.set_data(b"")
        sub.header_only = True
        await run_now(sub)
        for variable, value in variables:
            variable.set(r, value(sub))
        status = sub.status
        if status == 401:
            for value_ in get_headers_out(sub, b"www-authenticate"):
                r.headers_out.append((b"WWW-Authenticate", value_))
            return 401
        if status == 403:
            return 403
        if 200 <= status < 300:
            return OK
        r.log(ERR, f"auth request unexpected status: {status}")
        return 500

    return auth_request


def on_location(cf: Builder, loc: Location) -> None:
    """Add the handler where somebody is to be asked."""
    conf: AuthRequestSettings = loc.conf["auth_request"]
    if conf.uri:
        loc.access += (make_auth_request(conf.uri, conf.variables),)


MODULE = Module(
    name="auth_request",
    location=AuthRequestSettings,
    on_location=on_location,
    directives=(
        Directive("auth_request", HSL, TAKE1, set_auth_request),
        Directive("auth_request_set", HSL, TAKE2, set_variable),
    ),
)
