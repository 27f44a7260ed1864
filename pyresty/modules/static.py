"""Files. nginx: ``ngx_http_static_module``.

A small file is read once and kept with what ``stat`` said; every request asks ``stat`` again, so a change on disk shows at once.
Large files go from the kernel's page cache to the socket by ``sendfile``, in pieces, as fast as the client reads.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from ..config.directives import Module
from ..http.conditional import make_etag
from ..http.request import OK
from ..http.sendfile import send_slice
from ..http.uri import escape_uri
from ..process.logs import CRIT, ERR

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..http.request import Request
    from ..http.routing import Handler, Location

#: Files up to this many bytes are kept in memory, all together up to the second figure.
SMALL = 65536
KEPT_BYTES = 32 << 20

_METHODS = frozenset((b"GET", b"HEAD", b"POST"))


class KeptFile:
    """A small file's content, and the ``stat`` it belongs to."""

    __slots__ = ("data", "etag", "key", "mtime")

    def __init__(self, key: tuple[int, int, int, int], data: bytes, mtime: int) -> None:
        self.key = key
        self.data = data
        self.mtime = mtime
        self.etag = make_etag(mtime, len(data))


_kept: dict[bytes, KeptFile] = {}
_kept_bytes = 0


def _keep(path: bytes, file: KeptFile) -> None:
    global _kept_bytes
    old = _kept.pop(path, None)
    if old is not None:
        _kept_bytes -= len(old.data)
    _kept[path] = file
    _kept_bytes += len(file.data)
    while _kept_bytes > KEPT_BYTES:
        oldest = next(iter(_kept))
        _kept_bytes -= len(_kept.pop(oldest).data)


def open_failed(r: Request, path: bytes, error: OSError, call: str = "open()") -> int:
    """Log a file that can't be opened and choose the status, as nginx does."""
    level, status = CRIT, 500
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
        level, status = ERR, 404
    elif error.errno in (errno.EACCES, errno.ELOOP):
        level, status = ERR, 403
    if status != 404 or r.loc.core.log_not_found:
        r.log(
            level, b'%s "%s" failed (%d: %s)' % (call.encode(), path, error.errno or 0, (error.strerror or "").encode())
        )
    return status


def make_static(loc: Location) -> Handler:
    """The handler for a location."""
    core = loc.core
    etags = core.etag

    def static(r: Request) -> int | None | Awaitable[int]:
        if r.method not in _METHODS:
            return 405
        uri = r.uri
        if uri.endswith(b"/"):
            return None
        core = r.loc.core
        path = core.path(r)
        try:
            info = os.stat(path)
        except OSError as error:
            return open_failed(r, path, error)
        except ValueError:
            return 404
        mode = info.st_mode
        if not stat.S_ISREG(mode):
            return _not_a_file(r, path, mode)
        if r.method == b"POST":
            return 405
        if r.head.has_body and not r.discard_body():
            return 400
        return send_file(r, path, info, etags)

    return static


def send_file(r: Request, path: bytes, info: os.stat_result, etags: bool) -> int | Awaitable[int]:
    """Answer with the file ``path``, of which ``stat`` said ``info``. Content-Type, if not set yet, goes by the URI."""
    r.status = 200
    r.content_length = size = info.st_size
    r.last_modified = mtime = int(info.st_mtime)
    if r.content_type is None:
        r.content_type = r.loc.core.type_of(r.uri)
    r.allow_ranges = True
    if size > SMALL:
        return _large(r, path, size, mtime, etags)
    kept = _kept.get(path)
    if kept is None or kept.key != (info.st_mtime_ns, info.st_ctime_ns, size, info.st_ino):
        try:
            with open(path, "rb") as f:
                kept = KeptFile((info.st_mtime_ns, info.st_ctime_ns, size, info.st_ino), f.read(), mtime)
        except OSError as error:
            return _cannot_open(r, path, error)
        r.content_length = len(kept.data)
        _keep(path, kept)
    if etags:
        r.headers_out.append((b"ETag", kept.etag))
    return send_data(r, kept.data)


def _cannot_open(r: Request, path: bytes, error: OSError) -> int:
    r.content_length = r.last_modified = r.content_type = None
    r.allow_ranges = False
    return open_failed(r, path, error)


def send_data(r: Request, data: bytes) -> int:
    """Answer with ``data``, or the slices of it that the range filter chooses."""
    if b"range" not in r.index:
        return r.send_all(data)
    r.send_header()
    if r.header_only:
        return OK
    if r.ranges is None:
        r.write(data)
    elif r.multipart is None:
        start, end = r.ranges[0]
        r.write(data[start:end])
    else:
        for head, (start, end) in zip(r.multipart.heads, r.ranges, strict=True):
            r.write(head + data[start:end])
        r.write(r.multipart.tail)
    return OK


async def _large(r: Request, path: bytes, size: int, mtime: int, etags: bool) -> int:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return _cannot_open(r, path, error)
    try:
        if etags:
            r.headers_out.append((b"ETag", make_etag(mtime, size)))
        r.send_header()
        if r.header_only:
            return OK
        if r.ranges is None:
            await send_slice(r, fd, 0, size)
        elif r.multipart is None:
            start, end = r.ranges[0]
            await send_slice(r, fd, start, end)
        else:
            for head, (start, end) in zip(r.multipart.heads, r.ranges, strict=True):
                r.write(head)
                await send_slice(r, fd, start, end)
            r.write(r.multipart.tail)
        return OK
    finally:
        os.close(fd)


def _not_a_file(r: Request, path: bytes, mode: int) -> int:
    if not stat.S_ISDIR(mode):
        r.log(CRIT, b'"%s" is not a regular file' % path)
        return 404
    r.location = escape_uri(r.uri) + b"/" + (b"?" + r.args if r.args else b"")
    return 301


def on_location(cf: Builder, loc: Location) -> None:
    """Static files come last among the content handlers."""
    loc.content_chain += (make_static(loc),)


MODULE = Module(name="static", on_location=on_location)
