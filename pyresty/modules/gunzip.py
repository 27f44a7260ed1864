"""gunzip: https://nginx.org/en/docs/http/ngx_http_gunzip_module.html

The counterpart of gzip: what comes compressed is decompressed for clients that do not take it so.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.directives import FLAG, HSL, TAKE2, Directive, Module, Settings, flag, no_effect, setting
from ..http.headers_out import body_changes, get_header_out, set_header_out
from ..http.request import ERROR, Finalize
from ..process.logs import ERR
from .gzip import GZIP_BITS, add_vary, gzip_ok

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..http.request import Request
    from ..http.routing import Location


@dataclass
class GunzipSettings(Settings):
    """Settings of a location."""

    enable: bool = setting(False)


class Gunzip:
    """The decompressor of a response, and its body filter. A body may have several members (RFC 1952 section 2.2)."""

    __slots__ = ("_begun", "_stream")

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(GZIP_BITS)
        self._begun = False

    def __call__(self, r: Request, data: bytes, last: bool) -> bytes:
        if r.header_only:
            return b""
        made = []
        try:
            while data:
                if self._stream.eof:
                    self._stream = zlib.decompressobj(GZIP_BITS)
                self._begun = True
                made.append(self._stream.decompress(data))
                data = self._stream.unused_data
        except zlib.error:
            r.log(ERR, f"inflate() failed: {4 if last else 0}, -3")
            raise Finalize(ERROR) from None
        if last and self._begun and not self._stream.eof:
            r.log(ERR, "inflate() returned -5 on response end")
            raise Finalize(ERROR)
        return b"".join(made)


def header_filter(loc: Location) -> Callable[[Request], None] | None:
    """The filter of a location; none where gunzip is off."""
    if not loc.conf["gunzip"].enable:
        return None

    def gunzip(r: Request) -> None:
        if (get_header_out(r, b"content-encoding") or b"").lower() != b"gzip":
            return
        add_vary(r)
        if gzip_ok(r):
            return
        r.add_body_filter(Gunzip())
        set_header_out(r, b"Content-Encoding", [])
        body_changes(r)

    return gunzip


MODULE = Module(
    name="gunzip",
    location=GunzipSettings,
    header_filter=header_filter,
    directives=(
        Directive("gunzip", HSL, FLAG, flag("enable")),
        Directive("gunzip_buffers", HSL, TAKE2, no_effect("zlib's output needs no buffers of its own")),
    ),
)
