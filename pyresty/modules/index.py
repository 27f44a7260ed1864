"""index: what a URI that ends with a slash serves. https://nginx.org/en/docs/http/ngx_http_index_module.html"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config.directives import HSL, ONE_MORE, UNSET, Directive, Module, Settings, setting
from ..http.template import Template
from ..process.logs import ERR
from .static import open_failed

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
                if error.errno in (2, 20, 36):
                    if not tested:
                        tested = True
                        rc = _test_folder(r, folder)
                        if rc is not None:
                            return rc
                    continue
                return open_failed(r, folder + name, error)
            except ValueError:
                return 404
            return r.redirect(r.uri + name, r.args)
        return None

    return index


def _test_folder(r: Request, folder: bytes) -> int | None:
    """A missing folder is 404, not 403. nginx: ``ngx_http_index_test_dir``."""
    try:
        info = os.stat(folder.rstrip(b"/") or b"/")
    except OSError as error:
        if error.errno == 2:
            if r.loc.core.log_not_found:
                r.log(ERR, b'"%s" is not found (2: No such file or directory)' % (folder + b"index.html"))
            return 404
        if error.errno == 13:
            return 403
        return 500
    import stat

    if not stat.S_ISDIR(info.st_mode):
        r.log(2, b'"%s" is not a directory' % folder)
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
