"""map: https://nginx.org/en/docs/http/ngx_http_map_module.html

A variable whose value is looked up when it is first read: exact names first, then wildcards, then regular expressions in their order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..config.directives import HTTP, TAKE1, TAKE2, Directive, Module, no_effect
from ..http.names import HostNames
from ..http.regex import compile_regex, set_captures
from ..http.template import Template, encode

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request


class Map:
    """One ``map``."""

    __slots__ = ("default", "hostnames", "names", "regexes", "source", "volatile")

    def __init__(self, source: Template) -> None:
        self.source = source
        self.names: HostNames[Template] = HostNames()
        self.regexes: list[tuple[Any, Template]] = []
        self.default: Template | None = None
        self.hostnames = self.volatile = False

    def value(self, r: Request) -> bytes:
        """The variable's value for ``r``. A regular expression that matches leaves its captures behind."""
        text = self.source(r)
        if self.hostnames and text.endswith(b"."):
            text = text[:-1]
        found = self.names.find(text.lower())
        if found is None and text:
            for regex, value in self.regexes:
                match = regex.search(text)
                if match is not None:
                    set_captures(r, match)
                    found = value
                    break
        if found is None:
            found = self.default
        return found(r) if found is not None else b""

    def add(self, cf: Builder, row: Node) -> None:
        """One line of the block."""
        key, words = row.name, row.args
        if not words and key in ("hostnames", "volatile"):
            setattr(self, key, True)
            return
        if len(words) != 1 or row.block is not None:
            raise cf.error("invalid number of the map parameters", node=row)
        value = cf.template(words[0])
        if key == "default":
            if self.default is not None:
                raise cf.error("duplicate default map parameter", node=row)
            self.default = value
        elif key.startswith("~"):
            caseless = key.startswith("~*")
            self.regexes.append((compile_regex(cf, key[1 + caseless :], caseless=caseless), value))
        else:
            name = key.removeprefix("\\").lower()
            wrong = self.names.add(encode(name), value, self.hostnames)
            if wrong == "invalid":
                raise cf.error(f'invalid hostname or wildcard "{name}"', node=row)
            if wrong is not None:
                raise cf.error(f'conflicting parameter "{name}"', node=row)


def set_map(cf: Builder, conf: Any, node: Node) -> None:
    """``map string $variable { … }``."""
    made = Map(cf.template(node.args[0]))
    for row in node.block or []:
        made.add(cf, row)
    cf.compute(node.args[1], made.value, made.volatile)


MODULE = Module(
    name="map",
    directives=(
        Directive("map", HTTP, TAKE2, set_map, block=True),
        Directive("map_hash_max_size", HTTP, TAKE1, no_effect("maps are Python's dictionaries")),
        Directive("map_hash_bucket_size", HTTP, TAKE1, no_effect("maps are Python's dictionaries")),
    ),
)
