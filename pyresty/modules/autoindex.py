"""autoindex: https://nginx.org/en/docs/http/ngx_http_autoindex_module.html

A content handler behind index's: a folder without an index file is answered with the list of what is in it.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ..config.directives import FLAG, HSL, TAKE1, Directive, Module, Settings, enum, flag, setting
from ..http.dates import http_time
from ..http.request import OK
from ..http.uri import ESCAPE_URI_COMPONENT, escape_uri
from ..process.logs import CRIT, ERR, INFO, reason
from .http_variables import arg
from .log import escape_json

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..http.request import Request
    from ..http.routing import Handler, Location

#: How many characters of a name are shown.
_NAME = 50
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CALLBACK = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_."
_TYPES = {"html": b"text/html", "xml": b"text/xml", "json": b"application/json", "jsonp": b"application/javascript"}


@dataclass
class AutoindexSettings(Settings):
    """Settings of a location."""

    enable: bool = setting(False)
    exact_size: bool = setting(True)
    format: str = setting("html")
    localtime: bool = setting(False)


class Entry(NamedTuple):
    """A file or folder of the list. ``kind`` is directory, file or other."""

    name: bytes
    kind: bytes
    size: int
    mtime: int


def opendir_failed(r: Request, path: bytes, error: OSError) -> int:
    """Log a folder that can't be opened and choose the status."""
    level, status = CRIT, 500
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
        level, status = ERR, 404
    elif error.errno == errno.EACCES:
        level, status = ERR, 403
    r.log(level, b'opendir() "%s" failed %s' % (path, reason(error).encode()))
    return status


def _read(r: Request, path: bytes) -> list[Entry] | int:
    """The entries of a folder, folders first; a status if it can't be read."""
    try:
        folder = os.scandir(path)
    except ValueError:
        return 404
    except OSError as error:
        return opendir_failed(r, path, error)
    entries = []
    with folder:
        for item in folder:
            if item.name.startswith(b"."):
                continue
            try:
                info = item.stat()
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ELOOP):
                    r.log(CRIT, b'stat() "%s" failed %s' % (item.path, reason(error).encode()))
                    continue
                info = item.stat(follow_symlinks=False)
            mode = info.st_mode
            kind = b"directory" if stat.S_ISDIR(mode) else b"file" if stat.S_ISREG(mode) else b"other"
            entries.append(Entry(item.name, kind, info.st_size, int(info.st_mtime)))
    entries.sort(key=lambda entry: (entry.kind != b"directory", entry.name))
    return entries


def escape_html(text: bytes) -> bytes:
    """nginx: ``ngx_escape_html``."""
    return text.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;").replace(b'"', b"&quot;")


def _short_size(size: int) -> bytes:
    for factor, letter, least in (
        (1 << 30, b"G", (1 << 30) - 1),
        (1 << 20, b"M", (1 << 20) - 1),
        (1 << 10, b"K", 9999),
    ):
        if size > least:
            return b"%6d%b" % (size // factor + (size % factor > factor // 2 - 1), letter)
    return b" %6d" % size


def _html_line(entry: Entry, conf: AutoindexSettings, utf8: bool) -> bytes:
    folder = entry.kind == b"directory"
    name: bytes = entry.name
    length = len(name)
    if utf8:
        text = name.decode("utf-8", "surrogateescape")
        length = len(text)
        short = text[: _NAME - 3].encode("utf-8", "surrogateescape")
    else:
        short = name[: _NAME - 3]
    link = escape_uri(name, ESCAPE_URI_COMPONENT) + (b"/" if folder else b"")
    if length > _NAME:
        shown = escape_html(short) + b"..&gt;</a>"
    else:
        slash = folder and length < _NAME
        shown = escape_html(name) + (b"/" if slash else b"") + b"</a>" + b" " * (_NAME - length - slash)
    moment = time.localtime(entry.mtime) if conf.localtime else time.gmtime(entry.mtime)
    stamp = time.strftime(f"%d-{_MONTHS[moment.tm_mon - 1]}-%Y %H:%M", moment).encode()
    if conf.exact_size:
        size = b"                  -" if folder else b"%19d" % entry.size
    else:
        size = b"      -" if folder else _short_size(entry.size)
    return b'<a href="%s">%s %s %s\r\n' % (link, shown, stamp, size)


def make_html(r: Request, entries: list[Entry], conf: AutoindexSettings) -> bytes:
    """The list as a page."""
    title = escape_html(r.uri)
    utf8 = (r.charset or b"").lower() == b"utf-8"
    lines = b"".join([_html_line(entry, conf, utf8) for entry in entries])
    return (
        b"<html>\r\n<head><title>Index of %s</title></head>\r\n<body>\r\n<h1>Index of %s</h1>"
        b'<hr><pre><a href="../">../</a>\r\n%s</pre><hr></body>\r\n</html>\r\n'
    ) % (title, title, lines)


def make_json(entries: list[Entry], callback: bytes) -> bytes:
    """The list as JSON, or as a call of ``callback`` with it."""
    lines = []
    for entry in entries:
        size = b', "size":%d' % entry.size if entry.kind == b"file" else b""
        line = b'\r\n{ "name":"%s", "type":"%s", "mtime":"%s"%s }'
        lines.append(line % (escape_json(entry.name), entry.kind, http_time(entry.mtime), size))
    made = b"[" + b",".join(lines) + b"\r\n]"
    return b"/* callback */\r\n%s(%s);" % (callback, made) if callback else made


def make_xml(entries: list[Entry]) -> bytes:
    """The list as XML."""
    lines = []
    for entry in entries:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.mtime)).encode()
        size = b' size="%d"' % entry.size if entry.kind == b"file" else b""
        name = escape_html(entry.name)
        lines.append(b'<%s mtime="%s"%s>%s</%s>\r\n' % (entry.kind, stamp, size, name, entry.kind))
    return b'<?xml version="1.0"?>\r\n<list>\r\n' + b"".join(lines) + b"</list>\r\n"


def _callback(r: Request) -> bytes | None:
    """The query argument ``callback``; None if it is no name."""
    name = arg(r, b"callback") or b""
    if len(name) > 128:
        r.log(INFO, b'client sent too long callback name: "%s"' % name)
        return None
    if name.translate(None, _CALLBACK):
        r.log(INFO, b'client sent invalid callback name: "%s"' % name)
        return None
    return name


def make_autoindex(loc: Location) -> Handler:
    """The handler for a location."""
    conf: AutoindexSettings = loc.conf["autoindex"]

    def autoindex(r: Request) -> int | None:
        if not r.uri.endswith(b"/") or r.method not in (b"GET", b"HEAD"):
            return None
        if r.head.has_body and not r.discard_body():
            return 400
        path = r.loc.core.path(r)
        kind, callback = conf.format, b""
        if kind == "jsonp":
            name = _callback(r)
            if name is None:
                return 400
            callback = name
        entries = _read(r, path[:-1] if len(path) > 1 else path)
        if isinstance(entries, int):
            return entries
        r.status = 200
        r.content_type = _TYPES["json" if kind == "jsonp" and not callback else kind]
        if kind == "xml":
            r.charset = b"utf-8"
        r.send_header()
        if r.header_only:
            return OK
        if kind == "html":
            r.write(make_html(r, entries, conf))
        else:
            r.write(make_xml(entries) if kind == "xml" else make_json(entries, callback))
        return OK

    return autoindex


def on_location(cf: Builder, loc: Location) -> None:
    """Add the handler in front of those that are there."""
    if loc.conf["autoindex"].enable:
        loc.content_chain = (make_autoindex(loc), *loc.content_chain)


MODULE = Module(
    name="autoindex",
    location=AutoindexSettings,
    on_location=on_location,
    directives=(
        Directive("autoindex", HSL, FLAG, flag("enable")),
        Directive("autoindex_exact_size", HSL, FLAG, flag("exact_size")),
        Directive("autoindex_format", HSL, TAKE1, enum("format", {word: word for word in _TYPES})),
        Directive("autoindex_localtime", HSL, FLAG, flag("localtime")),
    ),
)
