"""ngx.exit, ngx.exec, ngx.redirect: https://github.com/openresty/lua-nginx-module#ngxexit"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...http.request import OK, Request
from ...http.uri import UnsafeURI, parse_unsafe_uri
from ...process.logs import ERR, WARN
from ..output import send_header
from ..scheduler import Exit

if TYPE_CHECKING:
    from ..vm import LuaVM

#: nginx's codes as Lua knows them.
ERROR, DECLINED = -1, -5
#: Statuses after which the connection is closed without an answer, or is closed already.
CLOSING = frozenset((408, 444, 499))


def exit_(r: Request, status: int, content: bool) -> tuple[Any, ...]:
    """``ngx.exit(status)``: 0 goes on to the next phase, a status ends the request. ``content``: in the content phase."""
    raise Exit(exit_code(r, int(status), content))


def exit_code(r: Request, status: int, content: bool) -> int | None:
    """The handler's code for ``ngx.exit(status)``. nginx: ``ngx_http_lua_handle_exit``."""
    if status == ERROR:
        return _terminate(r)
    if not r.header_sent and r.status == 0 and status >= 200:
        r.status = status
    if (status == 0 and content) or (200 <= status < 300 and status != 204):
        send_header(r)
        return OK
    if (r.header_sent or r.held is not None) and status > 0 and status not in CLOSING:
        send_header(r)
        return OK
    if status == DECLINED:
        return OK if content else DECLINED
    return None if status <= 0 else status


def _terminate(r: Request) -> int:
    """``ngx.exit(ngx.ERROR)``: break off; a client that has got nothing yet gets nothing, a subrequest fails."""
    if r.is_subrequest:
        return 500
    r.keepalive = False
    if r.header_sent:
        return ERROR
    r.header_sent = r.header_only = True
    return OK


def exec_(r: Request, uri: bytes, args: bytes | None) -> tuple[Any, ...]:
    """``ngx.exec(uri, args)``: go on in another location."""
    path, own_args = parse_unsafe_uri(uri)
    if own_args:
        args = own_args + b"&" + args if args else own_args
    if path.startswith(b"@"):
        if args:
            r.log(WARN, b"query strings %s ignored when exec'ing named location %s" % (args, path))
        raise Exit(r.redirect_named(path))
    raise Exit(r.redirect(path, args or None))


def redirect(r: Request, uri: bytes, status: int) -> tuple[Any, ...]:
    """``ngx.redirect(uri, status)``: the URI stands in ``Location`` as it is."""
    r.headers_out.append((b"Location", uri))
    r.status = int(status)
    raise Exit(int(status))


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls."""

    def safe_uri(uri: bytes) -> bool:
        """Whether ``ngx.exec`` may go there; logs nginx's message if not."""
        try:
            parse_unsafe_uri(uri)
        except UnsafeURI:
            assert vm.r is not None
            vm.r.log(ERR, b'unsafe URI "%s" was detected' % uri)
            return False
        return True

    return {"safe_uri": safe_uri}


OPERATIONS = {"exit": exit_, "exec": exec_, "redirect": redirect}
