"""``lua_capture_error_log``: lines of the error log are kept for ``ngx.errlog``.

https://github.com/openresty/lua-nginx-module#lua_capture_error_log
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.directives import HTTP, TAKE1, UNSET, Directive, Module, Settings, parse_size, setting
from ..process import logs

if TYPE_CHECKING:
    from ..config.build import Builder, Config
    from ..config.parse import Node

#: Bytes: a line of the log has to fit.
LEAST = 4096


@dataclass
class ErrlogMain(Settings):
    """Settings of the block ``http``."""

    size: int | None = setting(None)


def set_capture(cf: Builder, conf: ErrlogMain, node: Node) -> None:
    """``lua_capture_error_log size``."""
    if conf.size is not UNSET:
        raise ValueError("is duplicate")
    text = node.args[0]
    try:
        size = parse_size(text)
    except ValueError:
        raise cf.error(f'invalid capture error log size "{text}"') from None
    if size < LEAST:
        raise cf.error(f'invalid capture error log size "{text}", minimum size is {LEAST}')
    conf.size = size


def finish(cf: Builder) -> None:
    """Begin when the configuration is taken up; where it doesn't ask for this, end."""
    conf = cf.config.main["errlog"]
    assert isinstance(conf, ErrlogMain)
    conf.merge(None)

    def begin(config: Config) -> None:
        from ..lua.errlog import Capture

        logs.capture = None if conf.size is None else Capture(conf.size)

    cf.config.master_start.insert(0, begin)


MODULE = Module(
    name="errlog",
    main=ErrlogMain,
    finish=finish,
    directives=(Directive("lua_capture_error_log", HTTP, TAKE1, set_capture, "main"),),
)
