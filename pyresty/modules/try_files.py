"""try_files: the first name that exists, or the last as fallback. https://nginx.org/en/docs/http/ngx_http_core_module.html#try_files"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config.directives import LOCATION, SERVER, TWO_MORE, UNSET, Directive, Module, Settings, setting
from ..http.template import Template
from ..process.logs import CRIT

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request
    from ..http.routing import Location


@dataclass(eq=False)
class TryFiles(Settings):
    """The names to try, each with whether it must be a folder; and what to do in the end."""

    names: list[tuple[Template, bool]] | None = setting(None, inherit=False)
    fallback: Template | int = setting(0, inherit=False)


def set_try_files(cf: Builder, conf: TryFiles, node: Node) -> None:
    """``try_files file … uri`` and ``try_files file … =code``."""
    if conf.names is not UNSET:
        raise ValueError("is duplicate")
    *names, last = node.args
    conf.names = []
    for name in names:
        folder = name.endswith("/")
        conf.names.append((cf.template(name[:-1] if folder and len(name) > 0 else name), folder))
    if last.startswith("="):
        if not last[1:].isdigit() or int(last[1:]) > 999:
            raise cf.error(f'invalid code "{last}"')
        conf.fallback = int(last[1:])
    else:
        conf.fallback = cf.template(last)


def _below_alias(r: Request, template: Template, cut: int | None) -> bytes:
    """The name; below an alias, one that is made of variables loses the part that the alias stands for."""
    name = template(r)
    if cut is not None and template.const is None and name.startswith(r.uri[:cut]):
        return name[cut:]
    return name


def make_handler(loc: Location, names: list[tuple[Template, bool]], fallback: Template | int) -> Any:
    """The precontent handler of a location."""

    async def try_files(r: Request) -> int | None:
        core = r.loc.core
        cut = core.alias_cut if core.alias is not None else None
        base = core.document_root(r)
        if core.alias is not None:
            core.path(r)  # may refuse the alias
        for template, folder in names:
            name = _below_alias(r, template, cut)
            full = base + name
            try:
                info = os.stat(full)
            except OSError as error:
                if error.errno not in (2, 20, 36):
                    r.log(
                        CRIT, b'stat() "%s" failed (%d: %s)' % (full, error.errno or 0, (error.strerror or "").encode())
                    )
                continue
            except ValueError:
                continue
            if stat.S_ISDIR(info.st_mode) != folder:
                continue
            if core.alias is None:
                r.uri = name
            elif cut is not None:
                r.uri = r.uri[:cut] + name
            elif not folder:
                # in a regex location the found name is the file itself
                r.add_uri_to_alias = True
                r.uri = name
            return None
        if isinstance(fallback, int):
            return fallback
        target = _below_alias(r, fallback, cut)
        if target.startswith(b"@"):
            return r.redirect_named(target)
        uri, mark, args = target.partition(b"?")
        return r.redirect(uri, args if mark else None)

    return try_files


def on_location(cf: Builder, loc: Location) -> None:
    """Add the handler where the location has the directive; a server's holds for requests without a location."""
    conf: TryFiles = loc.conf["try_files"]
    if conf.names is not None:
        loc.precontent += (make_handler(loc, conf.names, conf.fallback),)


MODULE = Module(
    name="try_files",
    location=TryFiles,
    on_location=on_location,
    directives=(Directive("try_files", SERVER | LOCATION, TWO_MORE, set_try_files),),
)
