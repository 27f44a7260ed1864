"""What Lua printed, on its way into the response."""

from __future__ import annotations

from ..http.request import Request


def send_header(r: Request) -> None:
    """Send the response head as ngx_lua does before the first output: the default type unless Lua set one."""
    if r.header_sent:
        return
    if r.content_type is None:
        r.content_type = r.loc.core.type_of(r.uri) if r.loc.conf["lua"].use_default_type else None
    r.send_header()


def send(r: Request, data: bytes) -> None:
    """Send the head if need be, then ``data``."""
    if not r.header_sent:
        send_header(r)
    if not r.header_only:
        r.write(data)
