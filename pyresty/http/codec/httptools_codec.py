"""Header fields by httptools: the fast parser (llhttp).

The one idea: a parser is made anew for each head, so no head can leave anything behind for the next, and it calls
back for fields only.
"""

from __future__ import annotations

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser


class _Fields:
    __slots__ = ("fields",)

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))


def split(raw: bytes) -> list[tuple[bytes, bytes]] | None:
    """The header fields of a complete head, names as sent; None if llhttp refuses it."""
    collected = _Fields()
    try:
        HttpRequestParser(collected).feed_data(raw)
    except HttpParserUpgrade:
        pass
    except HttpParserError:
        return None
    return collected.fields
