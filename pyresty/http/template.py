"""A string with ``$variables``, compiled once at start-up to a function of the request.

nginx calls this a complex value (``ngx_http_compile_complex_value``). Variables are resolved by name when the configuration is built;
serving only calls their getters and joins bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .request import Request

Getter = Callable[["Request"], "bytes | None"]
#: A setter of a variable that may be written: ``setter(request, value)``; None takes its value away.
VariableSetter = Callable[["Request", "bytes | None"], None]


class Variable:
    """One ``$name``. ``get`` is None until something defines it; ``set`` is None for variables that cannot be written."""

    __slots__ = ("get", "name", "set")

    def __init__(self, name: str, get: Getter | None = None, set: VariableSetter | None = None) -> None:
        self.name = name
        self.get: Any = get
        self.set: Any = set


def assigner(name: str) -> VariableSetter:
    """The setter of a variable whose value is kept in ``r.vars``."""

    def assign(r: Request, value: bytes | None) -> None:
        if r.vars is None:
            r.vars = {}
        r.vars[name] = value

    return assign


class Template:
    """A compiled string. ``const`` holds its bytes if it has no variables, else None; call it with the request to render it."""

    __slots__ = ("captures_only", "const", "parts", "text")

    def __init__(self, text: str, parts: tuple[bytes | Variable, ...]) -> None:
        self.text = text
        self.parts = parts
        self.const: bytes | None = None
        if all(isinstance(part, bytes) for part in parts):
            self.const = b"".join(part for part in parts if isinstance(part, bytes))
        self.captures_only = all(isinstance(part, bytes) or part.name.isdigit() for part in parts)

    def remembered(self, r: Request) -> bytes:
        """The same as calling it; kept with the head where it depends on the location's captures alone."""
        head = r.head
        if not self.captures_only or r.captures is not head.captures or head.captures is None:
            return self(r)
        if head.rendered is None:
            head.rendered = {}
        value = head.rendered.get(self)
        if value is None:
            value = head.rendered[self] = self(r)
        return value

    def __call__(self, r: Request) -> bytes:
        """Render for the request ``r``; a variable without a value counts as empty (nginx warns of those that ``set`` never reached)."""
        if self.const is not None:
            return self.const
        out = []
        for part in self.parts:
            if isinstance(part, bytes):
                out.append(part)
            else:
                value = part.get(r)
                if value is not None:
                    out.append(value)
        return out[0] if len(out) == 1 else b"".join(out)


class TemplateError(Exception):
    """A string whose variables are malformed; its text is nginx's message."""


_NAME = re.compile(r"[A-Za-z0-9_]+")


def split(text: str) -> list[str | tuple[str]]:
    """Cut ``text`` into literals (str) and variable names (1-tuples). ``$`` followed by a digit is a capture of one digit.

    Raises TemplateError with nginx's text (``ngx_http_script_compile``).
    """
    parts: list[str | tuple[str]] = []
    position = 0
    while True:
        dollar = text.find("$", position)
        if dollar < 0:
            break
        if dollar > position:
            parts.append(text[position:dollar])
        start = dollar + 1
        if text[start : start + 1].isdigit():
            parts.append((text[start],))
            position = start + 1
            continue
        braced = text[start : start + 1] == "{"
        match = _NAME.match(text, start + braced)
        if match is None:
            raise TemplateError("invalid variable name")
        position = match.end()
        if braced:
            if text[position : position + 1] != "}":
                raise TemplateError(f'the closing bracket in "{match.group()}" variable is missing')
            position += 1
        parts.append((match.group(),))
    if position < len(text):
        parts.append(text[position:])
    return parts


def encode(text: str) -> bytes:
    """Configuration text → the bytes that stood in the file."""
    return text.encode("utf-8", "surrogateescape")
