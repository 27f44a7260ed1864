"""limit_conn: https://nginx.org/en/docs/http/ngx_http_limit_conn_module.html

How many requests with one key are being served, in all workers together. A worker that is killed takes those it was serving with it
into the count, as nginx's does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config.directives import (
    FLAG,
    HSL,
    HTTP,
    TAKE1,
    TAKE2,
    UNSET,
    Directive,
    Module,
    Settings,
    enum,
    flag,
    inner,
    number,
    parse_size,
    setting,
)
from ..http.shared_table import SharedTable, shared_table
from ..http.template import Template
from ..process.logs import ERR, INFO, NOTICE, WARN

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request
    from ..http.routing import Location, PhaseHandler

LEVELS = {"info": INFO, "notice": NOTICE, "warn": WARN, "error": ERR}
#: nginx's least size of a zone: eight pages.
_LEAST = 8 * 4096


@dataclass
class LimitConnMain(Settings):
    """The zones by name: key and table."""

    zones: dict[str, tuple[Template, SharedTable]] = inner(dict)


@dataclass
class LimitConnSettings(Settings):
    """Settings of a location; a block with limits of its own does not inherit any."""

    limits: list[tuple[str, int]] = setting([])
    level: int = setting(ERR)
    status: int = setting(503)
    dry_run: bool = setting(False)


def zone_parameter(cf: Builder, word: str) -> tuple[str, int]:
    """Name and size of ``zone=name:size``."""
    name, colon, text = word.removeprefix("zone=").partition(":")
    try:
        size = parse_size(text)
    except ValueError:
        size = -1
    if not name or not colon or size < 0:
        raise cf.error(f'invalid zone size "{word}"')
    if size < _LEAST:
        raise cf.error(f'zone "{word}" is too small')
    return name, size


def set_zone(cf: Builder, conf: LimitConnMain, node: Node) -> None:
    """``limit_conn_zone key zone=name:size``."""
    key, word = node.args
    if not word.startswith("zone="):
        raise cf.error(f'invalid parameter "{word}"')
    name, size = zone_parameter(cf, word)
    if name in conf.zones:
        raise cf.error(f'limit_conn_zone "{name}" is already bound to key "{conf.zones[name][0].text}"')
    conf.zones[name] = (cf.template(key), shared_table("limit_conn", name, size, key))


def need_zone(cf: Builder, zones: dict[str, Any], name: str) -> None:
    """Refuse the current directive if the zone ``name`` is not declared in the end."""

    def check() -> None:
        if name not in zones:
            raise cf.error(f'zero size shared memory zone "{name}"')

    cf.later(check)


def set_limit(cf: Builder, conf: LimitConnSettings, node: Node) -> None:
    """``limit_conn zone number``."""
    name, text = node.args
    if conf.limits is UNSET:
        conf.limits = []
    if any(name == other for other, _ in conf.limits):
        raise ValueError("is duplicate")
    if not (text.isascii() and text.isdigit()) or int(text) == 0:
        raise cf.error(f'invalid number of connections "{text}"')
    if int(text) > 65535:
        raise cf.error("connection limit must be less 65536")
    conf.limits.append((name, int(text)))
    need_zone(cf, cf.config.main["limit_conn"].zones, name)  # type: ignore[attr-defined]


def make_limit_conn(conf: LimitConnSettings, limits: list[tuple[str, Template, SharedTable, int]]) -> PhaseHandler:
    """The handler of the phase preaccess."""

    async def limit_conn(r: Request) -> int | None:
        main: Any = r.main
        if hasattr(main, "limit_conn_status"):
            return None
        held: list[tuple[SharedTable, bytes]] = []
        for name, template, table, most in limits:
            key = template(r)
            if not key:
                continue
            if len(key) > 255:
                r.log(ERR, b'the value of the "%s" key is more than 255 bytes: "%s"' % (template.text.encode(), key))
                continue
            main.limit_conn_status = b"PASSED"
            digest = table.digest(key)
            count = add(table, digest, most)
            if count is None:
                release_all(held)
                dry = ", dry run," if conf.dry_run else ""
                r.log(conf.level, f'limiting connections{dry} by zone "{name}"')
                main.limit_conn_status = b"REJECTED_DRY_RUN" if conf.dry_run else b"REJECTED"
                return None if conf.dry_run else conf.status
            held.append((table, digest))
        if held:
            main.at_end(lambda r: release_all(held))
        return None

    return limit_conn


def add(table: SharedTable, digest: bytes, most: int) -> int | None:
    """Count one more; None if there are ``most`` already, or no place for another key."""
    with table:
        found = table.find(digest)
        if found is None:
            place, count = table.place(digest, evict=False), 0
        else:
            place, count, _ = found
        if place is None or count >= most:
            return None
        table.store(place, digest, count + 1, 0)
        return count + 1


def release_all(held: list[tuple[SharedTable, bytes]]) -> None:
    """Count one less everywhere."""
    for table, digest in held:
        with table:
            found = table.find(digest)
            if found is not None:
                place, count, _ = found
                if count > 1:
                    table.store(place, digest, count - 1, 0)
                else:
                    table.remove(place)


def on_location(cf: Builder, loc: Location) -> None:
    """Add the handler where there are limits."""
    conf: LimitConnSettings = loc.conf["limit_conn"]
    if conf.limits:
        zones = cf.config.main["limit_conn"].zones  # type: ignore[attr-defined]
        limits = [(name, *zones[name], most) for name, most in conf.limits if name in zones]
        loc.preaccess += (make_limit_conn(conf, limits),)


def prepare(cf: Builder) -> None:
    """Declare the variable."""
    cf.define("limit_conn_status", lambda r: getattr(r.main, "limit_conn_status", None))


MODULE = Module(
    name="limit_conn",
    main=LimitConnMain,
    location=LimitConnSettings,
    prepare=prepare,
    on_location=on_location,
    directives=(
        Directive("limit_conn_zone", HTTP, TAKE2, set_zone, "main"),
        Directive("limit_conn", HSL, TAKE2, set_limit),
        Directive("limit_conn_log_level", HSL, TAKE1, enum("level", LEVELS)),
        Directive("limit_conn_status", HSL, TAKE1, number("status", 400, 599)),
        Directive("limit_conn_dry_run", HSL, FLAG, flag("dry_run")),
    ),
)
