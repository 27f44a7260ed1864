"""Where a ``*_by_lua_block { … }`` ends: at the ``}`` that Lua's own lexical grammar leaves over.

Braces count unless they stand in a comment, a quoted string or a long bracket. One regular expression jumps from one
such thing to the next, so that the cost is per token, not per character. What lies between the braces is the chunk,
byte for byte.

Lexical grammar: Lua 5.1 manual, section 2.1, with LuaJIT's ``\\z``. Messages: ngx_http_lua_directive.c.
"""

from __future__ import annotations

import re

_QUOTED = r"""{0}[^{0}\\\n]*(?:\\(?:z(?:[ \t\r\f\v]*\n)*|\r?\n|[^\nz])[^{0}\\\n]*)*{0}"""

#: Braces, the openings of long brackets and long comments, short comments, whole quoted strings. A quote that is not
#: closed on its line matches nothing and is passed over, so that the chunk still ends at its brace and LuaJIT can say
#: what is wrong.
_TOKEN = re.compile(
    rf"""[{{}}] | (?:--)?\[(?P<level>=*)\[ | --[^\n]* | {_QUOTED.format('"')} | {_QUOTED.format("'")}""",
    re.VERBOSE,
)

#: The longest long bracket, in bytes. ngx_lua needs one to fit into the buffer through which nginx reads.
LONGEST_BRACKET = 4096


class LuaBlockError(Exception):
    """The block has no end. nginx reports the line of ``position``, an index in the text. ``hint`` is ours, or None."""

    def __init__(self, message: str, position: int, hint: str | None = None) -> None:
        super().__init__(message, position, hint)
        self.message = message
        self.position = position
        self.hint = hint


def block_end(text: str, start: int) -> int:
    """Return the index behind the ``}`` of the Lua block whose ``{`` is just before ``start``. Raises LuaBlockError."""
    opened = [start - 1]
    last = start - 1  # what ngx_lua reports: not the brace that lacks its partner, but the last one opened
    position = start
    while token := _TOKEN.search(text, position):
        position = token.end()
        char = text[token.start()]
        if char == "{":
            last = token.start()
            opened.append(last)
        elif char == "}":
            opened.pop()
            if not opened:
                return position
        elif (level := token["level"]) is not None:
            position = _bracket_end(text, token, level)
    line = text.count("\n", 0, opened[-1]) + 1
    raise LuaBlockError(
        "unexpected end of file, expecting terminating characters for lua code block",
        last,
        f'the "{{" in line {line} has no "}}"',
    )


def _bracket_end(text: str, opening: re.Match[str], level: str) -> int:
    closing = f"]{level}]"
    start = opening.start()
    end = text.find(closing, opening.end())
    hint = None
    if end >= 0:
        end += len(closing)
        size = end - start
        if size * 4 <= LONGEST_BRACKET or len(text[start:end].encode("utf-8", "surrogateescape")) <= LONGEST_BRACKET:
            return end
        hint = f"nginx allows {LONGEST_BRACKET} bytes here: put the code into a file, and use …_by_lua_file"
    message = f'Lua code block missing the closing long bracket "{closing}", the inlined Lua code may be too long'
    raise LuaBlockError(message, start, hint)
