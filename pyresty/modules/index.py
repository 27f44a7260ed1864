"""index: what a URI that ends with a slash serves. https://nginx.org/en/docs/http/ngx_http_index_module.html"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config.directives import HSL, ONE_MORE, UNSET, Directive, Module, Settings, setting
from ..http.template import Template
from ..process.logs import ALERT, CRIT, ERR

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request
    from ..http.routing import Location


@dataclass(eq=False)
class IndexSettings(Settings):
    """Settings of a location."""

    names: list[Template] = setting([Template("index.html", (b"index.html",))])


def set_index(cf: Builder, conf: IndexSettings, node: Node) -> None:
    """``index file …``."""
    if conf.names is UNSET:
        conf.names = []
    for index, name in enumerate(node.args):
        if name.startswith("/") and index != len(node.args) - 1:
            cf.warn('only the last index in "index" directive should be absolute')
        if not name:
            raise cf.error('index "" in "index" directive is invalid')
        conf.names.append(cf.template(name))


def make_index(loc: Location) -> Any:
    """The handler for a location."""
    names = loc.conf["index"].names

    def index(r: Request) -> int | None:
        if not r.uri.endswith(b"/"):
            return None
        if r.method not in (b"GET", b"HEAD", b"POST"):
            return None
        folder = r.loc.core.path(r)
        tested = False
        for template in names:
            name = template(r)
            if name.startswith(b"/"):
                return r.redirect(name, r.args)
            if not name:
                return None
            try:
                os.stat(folder + name)
            except OSError as error:
                rc = _missing(r, folder, name, error, tested)
                if rc is not None:
                    return rc
                tested = True
                continue
            except ValueError:
                return 404
            return r.redirect(r.uri + name, r.args)
        return None

    return index


def _missing(r: Request, folder: bytes, name: bytes, error: OSError, tested: bool) -> int | None:
    """What a name that can't be used means: None goes on with the next one. nginx: ``ngx_http_index_error``."""
    if error.errno == errno.ELOOP:
        return 403
    if error.errno in (errno.ENOTDIR, errno.ENAMETOOLONG, errno.EACCES):
        return _index_error(r, folder + name, error)
    if not tested:
        rc = _test_folder(r, folder, name)
        if rc is not None:
            return rc
    if error.errno == errno.ENOENT:
        return None
    r.log(CRIT, b'stat() "%s" failed (%d: %s)' % (folder + name, error.errno or 0, (error.strerror or "").encode()))
    return 500


def _index_error(r: Request, path: bytes, error: OSError) -> int:
    reason = b"(%d: %s)" % (error.errno or 0, (error.strerror or "").encode())
    if error.errno == errno.EACCES:
        r.log(ERR, b'"%s" is forbidden %s' % (path, reason))
        return 403
    if r.loc.core.log_not_found:
        r.log(ERR, b'"%s" is not found %s' % (path, reason))
    return 404


def _test_folder(r: Request, folder: bytes, name: bytes) -> int | None:
    """A missing folder is 404, not 403. nginx: ``ngx_http_index_test_dir``."""
    try:
        info = os.stat(folder.rstrip(b"/") or b"/")
    except OSError as error:
        if error.errno == errno.ENOENT:
            return _index_error(r, folder + name, error)
        return None if error.errno == errno.EACCES else 500
    if not stat.S_ISDIR(info.st_mode):
        r.log(ALERT, b'"%s" is not a directory' % folder)
        return 500
    return None


def on_location(cf: Builder, loc: Location) -> None:
    """The index comes before static files."""
    loc.content_chain = (make_index(loc), *loc.content_chain)


MODULE = Module(
    name="index",
    location=IndexSettings,
    on_location=on_location,
    directives=(Directive("index", HSL, ONE_MORE, set_index),),
)
