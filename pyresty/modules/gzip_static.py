"""gzip_static: https://nginx.org/en/docs/http/ngx_http_gzip_static_module.html

A content handler in front of static's: for ``/page.html`` the file ``page.html.gz``, if it is there and the client takes it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.directives import HSL, TAKE1, Directive, Module, Settings, enum, setting
from ..process.logs import CRIT, ERR, reason
from .gzip import add_vary, gzip_ok
from .static import send_file

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..http.request import Request
    from ..http.routing import Handler, Location


@dataclass
class GzipStaticSettings(Settings):
    """Settings of a location: off, on or always."""

    enable: str = setting("off")


def make_gzip_static(loc: Location) -> Handler:
    """The handler for a location."""
    always = loc.conf["gzip_static"].enable == "always"
    etags = loc.core.etag

    def gzip_static(r: Request) -> int | None | Awaitable[int]:
        if r.method not in (b"GET", b"HEAD") or r.uri.endswith(b"/"):
            return None
        taken = always or gzip_ok(r)
        if not taken and not r.loc.conf["gzip"].vary:
            return None
        path = r.loc.core.path(r) + b".gz"
        try:
            info = os.stat(path)
        except ValueError:
            return None
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
                level = ERR if error.errno in (errno.EACCES, errno.ELOOP) else CRIT
                r.log(level, b'open() "%s" failed %s' % (path, reason(error).encode()))
            return None
        if not always:
            add_vary(r)
        if not taken or stat.S_ISDIR(info.st_mode):
            return None
        if not stat.S_ISREG(info.st_mode):
            r.log(CRIT, b'"%s" is not a regular file' % path)
            return 404
        if r.head.has_body and not r.discard_body():
            return 400
        r.headers_out.append((b"Content-Encoding", b"gzip"))
        return send_file(r, path, info, etags)

    return gzip_static


def on_location(cf: Builder, loc: Location) -> None:
    """Add the handler in front of those that are there."""
    if loc.conf["gzip_static"].enable != "off":
        loc.content_chain = (make_gzip_static(loc), *loc.content_chain)


MODULE = Module(
    name="gzip_static",
    location=GzipStaticSettings,
    on_location=on_location,
    directives=(
        Directive("gzip_static", HSL, TAKE1, enum("enable", {word: word for word in ("off", "on", "always")})),
    ),
)
