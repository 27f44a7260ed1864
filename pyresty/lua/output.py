"""What Lua printed, on its way into the response."""

from __future__ import annotations

from ..http.request import Request


def default_type(r: Request) -> bytes | None:
    """The Content-Type of output for which Lua set none: by the URI's extension, else ``default_type``."""
    if not r.loc.conf["lua"].use_default_type:
        return None
    core = r.loc.core
    return core.type_of(r.uri) if b"." in r.uri else core.default_type


def send_header(r: Request) -> None:
    """Send the response head as ngx_lua does before the first output: the default type unless Lua set one."""
    if r.header_sent:
        return
    if r.content_type is None:
        r.content_type = default_type(r)
    r.send_header()


def send(r: Request, data: bytes) -> None:
    """Send the head if need be, then ``data``."""
    if not r.header_sent:
        send_header(r)
    if not r.header_only:
        r.write(data)
