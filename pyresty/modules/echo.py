"""echo: what a location answers, written in the configuration. https://github.com/openresty/echo-nginx-module

The content commands of a location become one sequence, run in order as a shell script is; the filter commands become two texts around
whatever answers. What the commands do is in ``echo_commands.py`` and ``echo_subrequest.py``, the variables are in ``echo_variables.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.directives import (
    ANY,
    LIF,
    LOCATION,
    NOARGS,
    TAKE1,
    TAKE12,
    TWO_MORE,
    UNSET,
    Args,
    Directive,
    Module,
    Settings,
    number,
    setting,
)
from . import echo_commands as commands
from . import echo_subrequest as subrequests
from .echo_commands import Command, make_handler
from .echo_filter import make_filter
from .echo_variables import define_variables

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..config.build import Builder
    from ..config.directives import Setter
    from ..config.parse import Node
    from ..http.routing import Handler, HeaderFilter, Location
    from ..http.template import Template


@dataclass
class EchoSettings(Settings):
    """Settings of a location; one with commands of its own inherits none."""

    commands: list[Command] = setting([])
    before: list[Template] = setting([])
    after: list[Template] = setting([])
    status: int = setting(200)
    outputs: bool = setting(False)  #: a command that sends the head has been seen


def split_options(cf: Builder, node: Node) -> tuple[tuple[str, ...], list[str]]:
    """The options (``-n`` → ``n``) in front of a command's arguments, and the arguments. Words with variables are no options."""
    options: list[str] = []
    for at, word in enumerate(node.args):
        if "$" in word or len(word) < 2 or word[0] != "-":
            return tuple(options), node.args[at:]
        if word[1] == "-":
            return tuple(options), node.args[at + 1 :]
        options.append(word[1:])
    return tuple(options), []


def command(make: Callable[[tuple[str, ...], tuple[Template, ...]], Command], outputs: bool = False) -> Setter:
    """Setter of a content command; the first one of a block makes echo its content handler. ``outputs``: it sends the head."""

    def set_command(cf: Builder, conf: EchoSettings, node: Node) -> None:
        if conf.commands is UNSET:
            conf.commands = []
            assert cf.scope.loc is not None
            cf.scope.loc.content_factory = content_factory
        options, words = split_options(cf, node)
        if outputs and conf.outputs is UNSET:
            conf.outputs = True
            if make in subrequests.MAKERS:
                conf.commands.append(commands.sync)
        conf.commands.append(make(options, tuple(cf.template(word) for word in words)))

    return set_command


def content_factory(loc: Location) -> Handler:
    """The content handler of a location (of an ``if`` inside it too)."""
    conf: EchoSettings = loc.conf["echo"]
    return make_handler(conf.commands, conf.status)


def filter_text(field: str) -> Setter:
    """Setter of ``echo_before_body`` and ``echo_after_body``."""

    def set_text(cf: Builder, conf: EchoSettings, node: Node) -> None:
        if getattr(conf, field) is UNSET:
            setattr(conf, field, [])
        options, words = split_options(cf, node)
        getattr(conf, field).append(cf.template(" ".join(words) + ("" if options[:1] == ("n",) else "\n")))

    return set_text


def set_echo(cf: Builder, conf: EchoSettings, node: Node) -> None:
    """``echo [-n] [--] text …``: the words joined by spaces and ended by a newline are one string."""
    options, words = split_options(cf, node)
    text = cf.template(" ".join(words) + ("" if options[:1] == ("n",) else "\n"))
    command(lambda options, arguments: commands.echo(text), True)(cf, conf, node)


def header_filter(loc: Location) -> HeaderFilter | None:
    """The filter of a location with ``echo_before_body`` or ``echo_after_body``."""
    conf: EchoSettings = loc.conf["echo"]
    return make_filter(conf.before, conf.after) if conf.before or conf.after else None


def on_location(cf: Builder, loc: Location) -> None:
    """Mark locations whose commands make subrequests into the response."""
    if any(one.subrequest for one in loc.conf["echo"].commands):
        loc.postpones = True


_LLIF = LOCATION | LIF


def _row(name: str, args: Args, make: Callable[..., Command], outputs: bool = False) -> Directive:
    return Directive(name, _LLIF, args, command(make, outputs))


MODULE = Module(
    name="echo",
    location=EchoSettings,
    prepare=define_variables,
    on_location=on_location,
    header_filter=header_filter,
    before_capture=True,
    directives=(
        Directive("echo", _LLIF, ANY, set_echo),
        _row("echo_duplicate", TWO_MORE, commands.duplicate, True),
        _row("echo_request_body", NOARGS, commands.request_body, True),
        _row("echo_flush", NOARGS, commands.flush, True),
        _row("echo_sleep", TAKE1, commands.sleep),
        _row("echo_blocking_sleep", TAKE1, commands.blocking_sleep),
        _row("echo_reset_timer", NOARGS, commands.reset_timer),
        _row("echo_read_request_body", NOARGS, commands.read_request_body),
        _row("echo_foreach_split", TWO_MORE, commands.foreach_split),
        _row("echo_end", NOARGS, commands.end),
        _row("echo_exec", TAKE12, commands.exec_),
        _row("echo_location", TAKE12, subrequests.location, True),
        _row("echo_location_async", TAKE12, subrequests.location_async, True),
        _row("echo_subrequest", TWO_MORE, subrequests.subrequest, True),
        _row("echo_subrequest_async", TWO_MORE, subrequests.subrequest_async, True),
        _row("echo_abort_parent", NOARGS, commands.abort_parent),
        Directive("echo_status", _LLIF, TAKE1, number("status")),
        Directive("echo_before_body", _LLIF, ANY, filter_text("before")),
        Directive("echo_after_body", _LLIF, ANY, filter_text("after")),
    ),
)
