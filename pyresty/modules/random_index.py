"""random_index: https://nginx.org/en/docs/http/ngx_http_random_index_module.html

A content handler in front of index's: a URI that ends in ``/`` is answered with one of the folder's files.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.directives import FLAG, LOCATION, Directive, Module, Settings, flag, setting
from .autoindex import opendir_failed

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..http.request import Request
    from ..http.routing import Location


@dataclass
class RandomIndexSettings(Settings):
    """Settings of a location."""

    enable: bool = setting(False)


def random_index(r: Request) -> int | None:
    """The content handler."""
    if not r.uri.endswith(b"/") or r.method not in (b"GET", b"HEAD", b"POST"):
        return None
    path = r.loc.core.path(r)[:-1]
    try:
        with os.scandir(path or b"/") as folder:
            names = [item.name for item in folder if not item.name.startswith(b".") and item.is_file()]
    except ValueError:
        return 404
    except OSError as error:
        return opendir_failed(r, path, error)
    return r.redirect(r.uri + random.choice(names), r.args) if names else None


def on_location(cf: Builder, loc: Location) -> None:
    """Add the handler in front of those that are there."""
    if loc.conf["random_index"].enable:
        loc.content_chain = (random_index, *loc.content_chain)


MODULE = Module(
    name="random_index",
    location=RandomIndexSettings,
    on_location=on_location,
    directives=(Directive("random_index", LOCATION, FLAG, flag("enable")),),
)
