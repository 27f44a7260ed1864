"""The Nginx Development Kit's part: ``upstream_list``, and directives that set a variable to what a function makes of values.

https://github.com/vision5/ngx_devel_kit. ``setter`` makes such a directive; those of one value can be called from Lua too, as
``ndk.set_var.NAME(value)``, and are in ``config.set_var``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config.directives import HTTP, TWO_MORE, Directive, Module, Setter, Settings, inner
from ..http.template import encode
from .rewrite import define_variable

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request

#: ``function(r, value, …)``: the variable's value, or None for 500.
SetVar = Callable[..., "bytes | None"]


@dataclass
class NdkMain(Settings):
    """``upstream_list``s by their names in lower case."""

    lists: dict[str, list[bytes]] = inner(dict)


def set_upstream_list(cf: Builder, conf: NdkMain, node: Node) -> None:
    """``upstream_list name [count:]upstream …``."""
    name, *words = node.args
    if name.lower() in conf.lists:
        raise cf.error(f'duplicate upstream list name "{name}"')
    names: list[bytes] = []
    for word in words:
        digits = word[: len(word) - len(word.lstrip("0123456789"))]
        if digits == word:
            raise cf.error(f'upstream list just consists of number "{word}"')
        if digits and word[len(digits)] != ":":
            raise cf.error(f'upstream list not correct format "{word}"')
        names += [encode(word[len(digits) + 1 :] if digits else word)] * int(digits or 1)
    conf.lists[name.lower()] = names


def set_variable(cf: Builder, function: SetVar, target: str, words: list[str]) -> None:
    """Add an operation to the location's sequence: ``target`` is set to what ``function`` makes of ``words``."""
    if not target.startswith("$") or len(target) < 2:
        raise cf.error(f'invalid variable name "{target}"')
    variable = define_variable(cf, target[1:])
    values = tuple(cf.template(word) for word in words)

    def operation(r: Request) -> int | None:
        made = function(r, *[value(r) for value in values])
        if made is None:
            return 500
        variable.set(r, made)
        return None

    assert cf.scope.loc is not None
    cf.scope.loc.script_ops.append(operation)


def setter(function: SetVar) -> Setter:
    """Setter of a directive ``NAME $variable [value …]``; without a value the variable's own is taken."""

    def set_it(cf: Builder, conf: Any, node: Node) -> None:
        set_variable(cf, function, node.args[0], node.args[1:] or node.args[:1])

    return set_it


MODULE = Module(
    name="ndk",
    main=NdkMain,
    directives=(Directive("upstream_list", HTTP, TWO_MORE, set_upstream_list, "main"),),
)
