"""What a module declares: directives as rows of a table, and settings as dataclasses that know how to inherit.

A directive's row names where it may stand, how many arguments it takes, and the setter that stores it. Setters for the common forms
(flag, size, time, enumeration, string with variables) are made here, so that a module's table reads like nginx's own
``ngx_command_t`` array. The walk over the configuration that calls them is in ``build.py``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntFlag
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from .build import Builder
    from .parse import Node

T = TypeVar("T")


class Where(IntFlag):
    """The blocks in which a directive may stand (nginx's ``NGX_HTTP_LOC_CONF`` and its sisters)."""

    MAIN = 1
    EVENTS = 2
    HTTP = 4
    SERVER = 8
    SERVER_IF = 16
    LOCATION = 32
    LOCATION_IF = 64
    LIMIT_EXCEPT = 128
    UPSTREAM = 256


MAIN, EVENTS, HTTP, SERVER, LOCATION = Where.MAIN, Where.EVENTS, Where.HTTP, Where.SERVER, Where.LOCATION
SIF, LIF, LMT, UPSTREAM = Where.SERVER_IF, Where.LOCATION_IF, Where.LIMIT_EXCEPT, Where.UPSTREAM
#: Where most directives of HTTP modules may stand: ``http``, ``server`` and ``location``.
HSL = HTTP | SERVER | LOCATION


class Args(NamedTuple):
    """How many arguments a directive takes; ``high`` is None for no limit."""

    low: int
    high: int | None
    flag: bool = False


NOARGS, TAKE1, TAKE2, TAKE3, TAKE4 = Args(0, 0), Args(1, 1), Args(2, 2), Args(3, 3), Args(4, 4)
TAKE12, TAKE23, TAKE34, TAKE123, TAKE1234 = Args(1, 2), Args(2, 3), Args(3, 4), Args(1, 3), Args(1, 4)
ONE_MORE, TWO_MORE, ANY = Args(1, None), Args(2, None), Args(0, None)
FLAG = Args(1, 1, True)

#: A setter stores one directive: ``setter(builder, settings, node)``. It raises ``ValueError("is duplicate")`` for nginx's
#: ``"NAME" directive is duplicate``, or a ConfigError from ``builder.error(...)`` for any other text.
Setter = Callable[["Builder", Any, "Node"], None]


@dataclass(frozen=True)
class Directive:
    """One row of a module's table.

    ``level`` says whose settings the setter gets: ``"main"`` (one for the whole block ``http``), ``"server"`` or ``"location"``.
    ``block`` is true for directives with ``{ … }``; their setter walks into ``node.block`` itself.
    """

    name: str
    where: Where
    args: Args
    set: Setter
    level: str = "location"
    block: bool = False


class _Unset:
    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> bool:
        return False


#: The value of a setting that no directive has set at this level.
UNSET: Any = _Unset()


def setting(default: T, *, inherit: bool = True) -> T:
    """A field of a Settings class: UNSET until a directive sets it; after merging the outer block's value, else ``default``."""
    value: T = field(default=UNSET, metadata={"default": default, "inherit": inherit})
    return value


def inner(factory: Callable[[], T]) -> T:
    """A field that each level makes for itself and that is not inherited."""
    value: T = field(default_factory=factory, metadata={"own": True})
    return value


@dataclass(eq=False)
class Settings:
    """Settings of one module at one level of the configuration. Subclasses are dataclasses whose fields are made by ``setting``."""

    def merge(self, parent: Settings | None) -> None:
        """Fill what is unset from ``parent`` (already merged) or from the defaults. nginx: the modules' ``merge_loc_conf``."""
        for f in dataclasses.fields(self):
            if "default" in f.metadata and getattr(self, f.name) is UNSET:
                if parent is not None and f.metadata["inherit"]:
                    value = getattr(parent, f.name)
                else:
                    value = f.metadata["default"]
                setattr(self, f.name, value)


@dataclass
class Module:
    """A module: one file, this table at its top.

    ``name`` is nginx's without ``ngx_`` and ``_module``. ``prepare(builder)`` runs before the walk (variables are declared there),
    ``location(builder, loc)`` runs for every location once its settings are merged and adds handlers and filters to it, and
    ``finish(builder)`` runs last. ``header_filter(loc)`` answers with the location's header filter, or None where it needs none.
    ``before_capture`` marks filters that also see the response of a captured subrequest.
    """

    name: str
    directives: tuple[Directive, ...] = ()
    main: type[Settings] | None = None
    server: type[Settings] | None = None
    location: type[Settings] | None = None
    prepare: Callable[[Builder], None] | None = None
    on_location: Callable[[Builder, Any], None] | None = None
    finish: Callable[[Builder], None] | None = None
    header_filter: Callable[[Any], Callable[[Any], None] | None] | None = None
    before_capture: bool = False


def store(settings: Any, name: str, value: Any) -> None:
    """Set a field once; a second time raises ``ValueError("is duplicate")``."""
    if getattr(settings, name) is not UNSET:
        raise ValueError("is duplicate")
    setattr(settings, name, value)


def flag(name: str) -> Setter:
    """Setter for ``on | off``, stored as a bool. nginx: ``ngx_conf_set_flag_slot``."""

    def set_flag(cf: Builder, conf: Any, node: Node) -> None:
        text = node.args[0].lower()
        if text not in ("on", "off"):
            if getattr(conf, name) is not UNSET:
                raise ValueError("is duplicate")
            raise cf.error(f'invalid value "{node.args[0]}" in "{node.name}" directive, it must be "on" or "off"')
        store(conf, name, text == "on")

    return set_flag


def string(name: str) -> Setter:
    """Setter for one word, stored as str. nginx: ``ngx_conf_set_str_slot``."""
    return lambda cf, conf, node: store(conf, name, node.args[0])


def byte_string(name: str) -> Setter:
    """Setter for one word, stored as bytes. nginx: ``ngx_conf_set_str_slot``."""
    return lambda cf, conf, node: store(conf, name, node.args[0].encode("utf-8", "surrogateescape"))


def number(name: str, low: int = 0, high: int | None = None) -> Setter:
    """Setter for a whole number, stored as int. nginx: ``ngx_conf_set_num_slot``, ``ngx_conf_check_num_bounds``."""

    def set_number(cf: Builder, conf: Any, node: Node) -> None:
        if getattr(conf, name) is not UNSET:
            raise ValueError("is duplicate")
        if not node.args[0].isascii() or not node.args[0].isdigit():
            raise ValueError("invalid number")
        value = int(node.args[0])
        if high is not None and not low <= value <= high:
            raise cf.error(f"value must be between {low} and {high}")
        setattr(conf, name, value)

    return set_number


def size(name: str) -> Setter:
    """Setter for a size such as ``8k`` or ``1m``, stored as bytes. nginx: ``ngx_conf_set_size_slot``."""

    def set_size(cf: Builder, conf: Any, node: Node) -> None:
        store(conf, name, parse_size(node.args[0]))

    return set_size


def seconds(name: str) -> Setter:
    """Setter for a time such as ``75s`` or ``500ms``, stored as seconds (float). nginx: ``ngx_conf_set_msec_slot``."""

    def set_seconds(cf: Builder, conf: Any, node: Node) -> None:
        store(conf, name, parse_time(node.args[0]))

    return set_seconds


def enum(name: str, values: dict[str, Any]) -> Setter:
    """Setter for one of several words, in any case. nginx: ``ngx_conf_set_enum_slot``."""
    known = {word.lower(): value for word, value in values.items()}

    def set_enum(cf: Builder, conf: Any, node: Node) -> None:
        if getattr(conf, name) is not UNSET:
            raise ValueError("is duplicate")
        if node.args[0].lower() not in known:
            raise cf.error(f'invalid value "{node.args[0]}"')
        setattr(conf, name, known[node.args[0].lower()])

    return set_enum


def bitmask(name: str, values: dict[str, Any]) -> Setter:
    """Setter for a set of words, in any case, stored as a frozenset of their values. nginx: ``ngx_conf_set_bitmask_slot``."""
    known = {word.lower(): value for word, value in values.items()}

    def set_bitmask(cf: Builder, conf: Any, node: Node) -> None:
        have = getattr(conf, name)
        chosen = set() if have is UNSET else set(have)
        for word in node.args:
            if word.lower() not in known:
                raise cf.error(f'invalid value "{word}"')
            value = known[word.lower()]
            if value in chosen:
                cf.warn(f'duplicate value "{word}"')
            chosen.add(value)
        setattr(conf, name, frozenset(chosen))

    return set_bitmask


#: What ``mime_types`` stores for ``*``.
ANY_TYPE = frozenset((b"*",))


def mime_types(name: str, first: str = "text/html") -> Setter:
    """Setter for MIME types, stored as a frozenset of bytes with ``first`` in it, or ANY_TYPE. nginx: ``ngx_http_types_slot``."""

    def set_types(cf: Builder, conf: Any, node: Node) -> None:
        have = getattr(conf, name)
        if have is ANY_TYPE:
            return
        chosen = {first.encode()} if have is UNSET else set(have)
        for word in node.args:
            if word == "*":
                setattr(conf, name, ANY_TYPE)
                return
            key = word.lower().encode("utf-8", "surrogateescape")
            if key in chosen:
                cf.warn(f'duplicate MIME type "{word.lower()}"')
            chosen.add(key)
        setattr(conf, name, frozenset(chosen))

    return set_types


def template(name: str) -> Setter:
    """Setter for a string with ``$variables``, stored as a Template. nginx: ``ngx_http_set_complex_value_slot``."""
    return lambda cf, conf, node: store(conf, name, cf.template(node.args[0]))


def refuse(reason: str) -> Setter:
    """Setter for a form that is known but not supported: always refused, with ``reason``, which is the setter's docstring too."""

    def set_refused(cf: Builder, conf: Any, node: Node) -> None:
        raise cf.error(f'"{node.name}" directive is not supported by pyresty yet: {reason}')

    set_refused.__doc__ = f"refused: {reason}"
    return set_refused


def no_effect(why: str) -> Setter:
    """Setter for a directive whose effect does not exist here; the documentation lists ``why`` (which is the setter's docstring)."""

    def set_nothing(cf: Builder, conf: Any, node: Node) -> None:
        cf.ineffective(node, why)

    set_nothing.__doc__ = f"no effect: {why}"
    return set_nothing


_SIZES = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def parse_size(text: str) -> int:
    """``8k`` → 8192. nginx: ``ngx_parse_offset``. Raises ValueError("invalid value")."""
    factor = _SIZES.get(text[-1:].lower(), 1)
    digits = text[:-1] if factor != 1 else text
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError("invalid value")
    return int(digits) * factor


_UNITS = (
    ("y", 31536000.0),
    ("M", 2592000.0),
    ("w", 604800.0),
    ("d", 86400.0),
    ("h", 3600.0),
    ("m", 60.0),
    ("s", 1.0),
    ("ms", 0.001),
)


def parse_time(text: str) -> float:
    """``1h 30m``, ``500ms``, ``75`` → seconds; units go from large to small. nginx: ``ngx_parse_time``.

    Raises ValueError("invalid value").
    """
    total, last, position, end = 0.0, -1, 0, len(text)
    if not text:
        raise ValueError("invalid value")
    while position < end:
        start = position
        while position < end and text[position].isdigit():
            position += 1
        if position == start:
            raise ValueError("invalid value")
        value = int(text[start:position])
        unit = ""
        if text.startswith("ms", position):
            unit = "ms"
        elif position < end and text[position] != " ":
            unit = text[position]
        position += len(unit)
        step = next((i for i, (name, _) in enumerate(_UNITS) if name == (unit or "s")), -1)
        if step <= last:
            raise ValueError("invalid value")
        total += value * _UNITS[step][1]
        last = step
        while position < end and text[position] == " ":
            position += 1
    return total
