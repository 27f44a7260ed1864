"""What Lua printed, on its way into the response."""

from __future__ import annotations

from ..http.request import Request
from ..process.logs import DEBUG

#: What a file name must have in it to have a type of its own. (A number, because looking for bytes in bytes is much dearer.)
DOT = ord(".")


def default_type(r: Request) -> bytes | None:
    """The Content-Type of output for which Lua set none: by the URI's extension, else ``default_type``."""
    if not r.loc.conf["lua"].use_default_type or r.status == 304:
        return None
    core = r.loc.core
    return core.type_of(r.uri) if DOT in r.uri else core.default_type


def holds(r: Request) -> bool:
    """Whether output is held until its length is known, for a client of HTTP/1.0 (``lua_http10_buffering on``)."""
    return (
        r.version < 1001 and not r.header_sent and r.content_length is None and r.method != b"HEAD"
        and r.loc.conf["lua"].http10_buffering
    )  # fmt: skip


def set_length(r: Request, output: bytes) -> None:
    """This is all the output that was held for a client of HTTP/1.0."""
    r.content_length = len(output)
    if r.loc.core.error_log.enabled(DEBUG):
        if output:
            r.log(DEBUG, "lua buffering output bufs for the HTTP 1.0 request")
        r.log(DEBUG, "lua sending HTTP 1.0 response headers")


def begin(r: Request) -> None:
    """The first output: from here on the status and the type are what they are unless Lua changes them."""
    if r.status == 0:
        r.status = 200
    if r.content_type is None:
        r.content_type = default_type(r)


def send_header(r: Request, *, whole: bool = True) -> None:
    """Send the response head, with the default type unless Lua set one. ``whole``: held output is all there will be."""
    if r.header_sent:
        return
    begin(r)
    held, r.held = r.held or b"", None
    if whole and holds(r):
        set_length(r, held)
    r.send_header()
    if held:
        r.write(held)


def send(r: Request, data: bytes) -> None:
    """Send the head if need be, then ``data``."""
    if not r.header_sent:
        if r.version < 1001 and holds(r):
            begin(r)
            r.held = (r.held or b"") + data
            return
        send_header(r)
    if not r.header_only:
        r.write(data)
