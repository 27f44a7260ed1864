"""The block ``events``. Connections are handled by uvloop, so most of its directives only describe what happens anyway.

https://nginx.org/en/docs/ngx_core_module.html#events
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.directives import (
    EVENTS,
    FLAG,
    MAIN,
    NOARGS,
    TAKE1,
    Directive,
    Module,
    Settings,
    no_effect,
    number,
    setting,
)

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node


@dataclass
class EventsSettings(Settings):
    """``worker_connections``: how many connections a worker accepts at once."""

    worker_connections: int = setting(512)


def set_events(cf: Builder, conf: EventsSettings, node: Node) -> None:
    """``events { … }``, once."""
    from ..config.build import Scope

    if cf.config.has_events:
        raise ValueError("is duplicate")
    cf.config.has_events = True
    cf.walk(node.block or [], Scope(EVENTS))


def set_use(cf: Builder, conf: EventsSettings, node: Node) -> None:
    """``use method``: uvloop picks the system's best; a name that nginx doesn't know is an error."""
    if node.args[0] not in ("epoll", "kqueue", "poll", "select", "eventport", "/dev/poll"):
        raise cf.error(f'invalid event type "{node.args[0]}"')
    cf.ineffective(node, "uvloop uses the system's best event method")


def finish(cf: Builder) -> None:
    """Apply the default."""
    cf.config.main["events"].merge(None)


ACCEPT = "uvloop accepts as many connections as wait"

MODULE = Module(
    name="events",
    main=EventsSettings,
    finish=finish,
    directives=(
        Directive("events", MAIN, NOARGS, set_events, "main", block=True),
        Directive("worker_connections", EVENTS, TAKE1, number("worker_connections"), "main"),
        Directive("use", EVENTS, TAKE1, set_use, "main"),
        Directive("multi_accept", EVENTS, FLAG, no_effect(ACCEPT), "main"),
        Directive("accept_mutex", EVENTS, FLAG, no_effect(ACCEPT), "main"),
        Directive("accept_mutex_delay", EVENTS, TAKE1, no_effect(ACCEPT), "main"),
        Directive("worker_aio_requests", EVENTS, TAKE1, no_effect("files are read without aio"), "main"),
    ),
)
