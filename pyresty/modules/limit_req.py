"""limit_req: https://nginx.org/en/docs/http/ngx_http_limit_req_module.html

The leaky bucket: each key has an excess of requests (in thousandths), which runs off at the zone's rate. Requests that would make it
larger than the burst are refused, those above the delay wait.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config.directives import (
    FLAG,
    HSL,
    HTTP,
    TAKE1,
    TAKE3,
    TAKE123,
    UNSET,
    Directive,
    Module,
    Settings,
    enum,
    flag,
    inner,
    number,
    setting,
)
from ..http.request import Finalize
from ..http.shared_table import SharedTable, shared_table
from ..http.template import Template
from ..process.logs import ERR, INFO
from .limit_conn import LEVELS, need_zone, zone_parameter

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request
    from ..http.routing import Location, PhaseHandler


@dataclass(frozen=True)
class Zone:
    """One ``limit_req_zone``; ``rate`` is in thousandths of a request per second."""

    name: str
    key: Template
    table: SharedTable
    rate: int

    def excess(self, last: int, excess: int, now: int) -> tuple[int, int]:
        """The excess with one more request, and when it was reckoned; times in milliseconds."""
        passed = now - last
        passed = 1 if passed < -60000 else max(passed, 0)
        return max(excess - self.rate * passed // 1000 + 1000, 0), now if passed else last

    def take(self, digest: bytes, burst: int, account: bool) -> tuple[bool, int]:
        """Whether one more request with this key is within the burst, and the excess; with ``account`` it counts."""
        now = time.monotonic_ns() // 1_000_000
        with self.table as table:
            found = table.find(digest)
            if found is None:
                place = table.place(digest, evict=True)
                assert place is not None
                table.store(place, digest, now if account else 0, 0)
                return True, 0
            place, last, old = found
            excess, moment = self.excess(last, old, now)
            if excess > burst:
                return False, excess
            if account:
                table.store(place, digest, moment, excess)
            return True, excess

    def count(self, digest: bytes) -> int:
        """Count a request that all limits have let pass; its excess."""
        now = time.monotonic_ns() // 1_000_000
        with self.table as table:
            found = table.find(digest)
            if found is None:
                return 0
            place, last, old = found
            excess, moment = self.excess(last, old, now)
            table.store(place, digest, moment, excess)
            return excess


@dataclass(frozen=True)
class Limit:
    """One ``limit_req``; ``burst`` and ``delay`` are in thousandths of a request."""

    zone: Zone
    burst: int
    delay: int

    def wait(self, excess: int) -> int:
        """Milliseconds to wait."""
        return 0 if excess <= self.delay else (excess - self.delay) * 1000 // self.zone.rate


@dataclass
class LimitReqMain(Settings):
    """The zones by name."""

    zones: dict[str, Zone] = inner(dict)


@dataclass
class LimitReqSettings(Settings):
    """Settings of a location; a block with limits of its own does not inherit any. A limit is zone, burst and delay."""

    limits: list[tuple[str, int, int]] = setting([])
    level: int = setting(ERR)
    status: int = setting(503)
    dry_run: bool = setting(False)


def set_zone(cf: Builder, conf: LimitReqMain, node: Node) -> None:
    """``limit_req_zone key zone=name:size rate=Nr/s | Nr/m``."""
    name, size, rate = "", 0, 1000
    for word in node.args[1:]:
        if word.startswith("zone="):
            name, size = zone_parameter(cf, word)
        elif word.startswith("rate="):
            digits, unit = word[5:-3], word[-3:]
            if unit not in ("r/s", "r/m") or not (digits.isascii() and digits.isdigit()) or int(digits) == 0:
                raise cf.error(f'invalid rate "{word}"')
            rate = int(digits) * 1000 // (60 if unit == "r/m" else 1)
        else:
            raise cf.error(f'invalid parameter "{word}"')
    if not name:
        raise cf.error('"limit_req_zone" must have "zone" parameter')
    if name in conf.zones:
        raise cf.error(f'limit_req_zone "{name}" is already bound to key "{conf.zones[name].key.text}"')
    key = node.args[0]
    conf.zones[name] = Zone(name, cf.template(key), shared_table("limit_req", name, size, key), rate)


def set_limit(cf: Builder, conf: LimitReqSettings, node: Node) -> None:
    """``limit_req zone=name [burst=number] [nodelay | delay=number]``."""
    name, burst, delay = "", 0, 0
    for word in node.args:
        option, _, value = word.partition("=")
        if option == "zone":
            name = value
        elif option == "burst":
            if not (value.isascii() and value.isdigit()) or int(value) == 0:
                raise cf.error(f'invalid burst value "{word}"')
            burst = int(value) * 1000
        elif option == "delay":
            if not (value.isascii() and value.isdigit()) or int(value) == 0:
                raise cf.error(f'invalid delay value "{word}"')
            delay = int(value) * 1000
        elif word == "nodelay":
            delay = 1 << 62
        else:
            raise cf.error(f'invalid parameter "{word}"')
    if not name:
        raise cf.error('"limit_req" must have "zone" parameter')
    if conf.limits is UNSET:
        conf.limits = []
    if any(name == other for other, _, _ in conf.limits):
        raise ValueError("is duplicate")
    conf.limits.append((name, burst, delay))
    need_zone(cf, cf.config.main["limit_req"].zones, name)  # type: ignore[attr-defined]


async def delay(r: Request, milliseconds: int) -> None:
    """Wait so long. Raises Finalize if the client leaves before. nginx: ``ngx_http_limit_req_delay``, ``ngx_http_test_reading``."""
    loop = r.conn.loop
    over: asyncio.Future[bool] = loop.create_future()
    timer = loop.call_later(milliseconds / 1000, over.set_result, True)

    def left() -> None:
        if not over.done():
            over.set_result(False)

    r.on_abort = left
    try:
        if not await over:
            r.log(INFO, "client prematurely closed connection")
            raise Finalize(499)
    finally:
        timer.cancel()
        r.on_abort = None


def make_limit_req(conf: LimitReqSettings, limits: list[Limit]) -> PhaseHandler:
    """The handler of the phase preaccess."""
    dry = ", dry run" if conf.dry_run else ""
    suffix = b"_DRY_RUN" if conf.dry_run else b""
    delay_level = min(conf.level + 1, INFO)

    async def limit_req(r: Request) -> int | None:
        main: Any = r.main
        if hasattr(main, "limit_req_status"):
            return None
        passed: list[tuple[Limit, bytes]] = []
        wait, slowest, most = 0, limits[-1], 0
        for index, limit in enumerate(limits):
            zone = limit.zone
            key = zone.key(r)
            if not key:
                continue
            if len(key) > 65535:
                r.log(ERR, b'the value of the "%s" key is more than 65535 bytes: "%s"' % (zone.key.text.encode(), key))
                continue
            digest = zone.table.digest(key)
            last = index == len(limits) - 1
            within, excess = zone.take(digest, limit.burst, last)
            if not within:
                r.log(conf.level, f'limiting requests{dry}, excess: {excess / 1000:.3f} by zone "{zone.name}"')
                main.limit_req_status = b"REJECTED" + suffix
                return None if conf.dry_run else conf.status
            if last:
                wait, most = limit.wait(excess), excess
            else:
                passed.append((limit, digest))
            main.limit_req_status = b"PASSED"
        for limit, digest in reversed(passed):
            excess = limit.zone.count(digest)
            if limit.wait(excess) > wait:
                wait, slowest, most = limit.wait(excess), limit, excess
        if not wait:
            return None
        r.log(delay_level, f'delaying request{dry}, excess: {most / 1000:.3f}, by zone "{slowest.zone.name}"')
        main.limit_req_status = b"DELAYED" + suffix
        if not conf.dry_run:
            await delay(r, wait)
        return None

    return limit_req


def on_location(cf: Builder, loc: Location) -> None:
    """Add the handler where there are limits."""
    conf: LimitReqSettings = loc.conf["limit_req"]
    if conf.limits:
        zones = cf.config.main["limit_req"].zones  # type: ignore[attr-defined]
        limits = [Limit(zones[name], burst, delay) for name, burst, delay in conf.limits if name in zones]
        loc.preaccess += (make_limit_req(conf, limits),)


def prepare(cf: Builder) -> None:
    """Declare the variable."""
    cf.define("limit_req_status", lambda r: getattr(r.main, "limit_req_status", None))


MODULE = Module(
    name="limit_req",
    main=LimitReqMain,
    location=LimitReqSettings,
    prepare=prepare,
    on_location=on_location,
    directives=(
        Directive("limit_req_zone", HTTP, TAKE3, set_zone, "main"),
        Directive("limit_req", HSL, TAKE123, set_limit),
        Directive("limit_req_log_level", HSL, TAKE1, enum("level", LEVELS)),
        Directive("limit_req_status", HSL, TAKE1, number("status", 400, 599)),
        Directive("limit_req_dry_run", HSL, FLAG, flag("dry_run")),
    ),
)
