"""Subrequests: requests to locations of the same server whose output is gathered instead of sent.

nginx: ``ngx_http_subrequest`` with ``NGX_HTTP_SUBREQUEST_IN_MEMORY``; https://nginx.org/en/docs/dev/development_guide.html#http_subrequests.
They are run like main requests, by ``phases.run``, as a part of whatever waits for them: no task unless they wait themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..process.logs import ERR
from .output import build_head
from .phases import run
from .request import MAX_SUBREQUESTS, Request

if TYPE_CHECKING:
    from .body import RequestBody


class Subrequest(Request):
    """A request made by another one. Its response is in ``status``, ``headers_out`` … and ``captured``."""

    is_subrequest = True
    internal = True
    truncated = False

    def __init__(self, parent: Request, uri: bytes, args: bytes | None, method: bytes) -> None:
        self.conn = parent.conn
        self.head = parent.head
        self.main = parent.main
        self.parent = parent
        self.start = parent.start
        self.method = method
        self.uri = uri
        self.args = args
        self.version = parent.version
        self.headers_in = parent.headers_in
        self.index = parent.index
        self.headers_owned = False
        self.keepalive = False
        self.server = parent.server
        self.loc = parent.server.root
        self.headers_out = []
        self.out = []
        self.captured: list[bytes] = []
        self.subrequests = parent.subrequests - 1
        self.valid_unparsed_uri = False
        self.body: RequestBody | None = None

    def send_header(self) -> None:
        if self.header_sent:
            return
        if self.err_status:
            self.status = self.err_status
        elif self.status == 0:
            self.status = 200
        for header_filter in self.loc.capture_filters:
            header_filter(self)
        self.header_sent = True
        if self.method == b"HEAD":
            self.header_only = True

    def emit(self, data: bytes) -> None:
        self.captured.append(data)

    def emit_end(self) -> None:
        pass

    def flush(self) -> None:
        pass

    async def drain(self) -> None:
        pass

    def log_phase(self) -> None:
        """Subrequests are logged only with ``log_subrequest on``."""
        if self.loc.core.log_subrequest:
            for log in self.loc.log:
                log(self)


async def run_subrequest(sub: Subrequest) -> None:
    """Serve a subrequest to its end."""
    await run(sub)
    if sub.loc.core.log_subrequest:
        sub.log_phase()
    if sub.lua:
        sub.server.config.lua.release(sub)
    if sub.body is not None:
        sub.body.close()


def may_go_deeper(parent: Request) -> bool:
    """Whether ``parent`` may make another level of subrequests; logs nginx's message if not."""
    if parent.subrequests == 0:
        parent.log(ERR, b'lua subrequests cycle while processing "%s"' % parent.uri)
        return False
    return True


__all__ = ["MAX_SUBREQUESTS", "Subrequest", "build_head", "may_go_deeper", "run_subrequest"]
