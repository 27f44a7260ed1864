"""Variables that hold arrays. https://github.com/openresty/array-var-nginx-module

An array is an empty byte string with a list beside it, so that it can be the value of a variable and be passed on whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..config.directives import LIF, LOCATION, SERVER, SIF, TAKE23, Args, Directive, Module
from ..http.template import Template
from ..process.logs import ERR
from .ndk import set_variable
from .rewrite import define_variable
from .set_misc_values import number

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request


class Array(bytes):
    """The value of a variable that holds an array: nothing as text."""

    items: list[bytes]

    @classmethod
    def of(cls, items: list[bytes]) -> Array:
        """An array of these."""
        array = cls()
        array.items = items
        return array


def split(r: Request, separator: bytes, text: bytes, most: bytes = b"0") -> bytes | None:
    """``array_split``: at each ``separator``, or between all bytes, into at most ``most`` items (0: no limit)."""
    count = number(most)
    if count is None:
        r.log(ERR, b'array_split: invalid max items: "%s"' % most)
        return None
    limit = count - 1
    if separator:
        return Array.of(text.split(separator, limit))
    at = len(text) - 1 if limit < 0 else min(limit, len(text) - 1)
    return Array.of([bytes((byte,)) for byte in text[: max(at, 0)]] + [text[max(at, 0) :]])


def join(r: Request, separator: bytes, array: bytes) -> bytes | None:
    """``array_join``."""
    if not isinstance(array, Array):
        r.log(ERR, b'array_join: invalid array variable value in the 2nd argument: "%s"' % array)
        return None
    return separator.join(array.items)


def _split_words(cf: Builder, node: Node) -> tuple[list[str], str]:
    """The values and the target: ``to=`` is the last word, or the array takes the place of its text."""
    words = list(node.args)
    if len(words) > 2 and words[-1].startswith("to="):
        return words[:-1], words[-1][3:]
    if len(words) == 4:
        raise cf.error(f'{node.name}: expecting the "to" option at the 4th argument: "{words[3]}"')
    return words, words[1]


def set_split(cf: Builder, conf: Any, node: Node) -> None:
    """``array_split separator text [max] [to=$array]``."""
    words, target = _split_words(cf, node)
    if len(words) > 3:
        raise cf.error(f'{node.name}: unexpected argument "{words[3]}"')
    set_variable(cf, split, target, words)


def _two(cf: Builder, node: Node) -> str:
    if len(node.args) == 2:
        return node.args[1]
    if not node.args[2].startswith("to="):
        raise cf.error(f'{node.name}: unexpected argument "{node.args[2]}"')
    return node.args[2][3:]


def set_join(cf: Builder, conf: Any, node: Node) -> None:
    """``array_join separator $array [to=$text]``."""
    set_variable(cf, join, _two(cf, node), node.args[:2])


def _mapped(r: Request, name: str, array: bytes, function: Callable[[bytes], bytes | None]) -> bytes | None:
    if not isinstance(array, Array):
        r.log(ERR, b'%s: invalid array variable value in the 2nd argument: "%s"' % (name.encode(), array))
        return None
    made = []
    for item in array.items:
        value = function(item)
        if value is None:
            return None
        made.append(value)
    return Array.of(made)


def set_map(cf: Builder, conf: Any, node: Node) -> None:
    """``array_map template $array [to=$array]``: each item becomes the template, with ``$array_it`` for the item."""
    item = define_variable(cf, "array_it")
    template: Template = cf.template(node.args[0])

    def array_map(r: Request, array: bytes) -> bytes | None:
        def one(value: bytes) -> bytes:
            item.set(r, value)
            return template(r)

        made = _mapped(r, "array_map", array, one)
        item.set(r, None)
        return made

    set_variable(cf, array_map, _two(cf, node), node.args[1:2])


def set_map_op(cf: Builder, conf: Any, node: Node) -> None:
    """``array_map_op directive $array [to=$array]``: each item becomes what a directive of one value makes of it."""
    functions = cf.config.set_var

    def array_map_op(r: Request, name: bytes, array: bytes) -> bytes | None:
        function = functions.get(name)
        if function is None:
            r.log(ERR, b'array_map_op: directive "%s" not found or does not use ndk_set_var_value' % name)
            return None
        return _mapped(r, "array_map_op", array, lambda value: function(r, value))

    set_variable(cf, array_map_op, _two(cf, node), node.args[:2])


_REWRITE = SERVER | SIF | LOCATION | LIF

MODULE = Module(
    name="array_var",
    directives=(
        Directive("array_split", _REWRITE, Args(2, 4), set_split),
        Directive("array_join", _REWRITE, TAKE23, set_join),
        Directive("array_map", _REWRITE, TAKE23, set_map),
        Directive("array_map_op", _REWRITE, TAKE23, set_map_op),
    ),
)
