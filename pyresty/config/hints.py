"""From a mistake to its mend, in one line. Where the mend is not certain there is no hint: a wrong one costs more
than none.

The first half is about nginx's directives; the second about Lua written by habit in another language, found by
LuaJIT's message together with the source line that it names.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import NamedTuple

from . import known
from .directives import Where
from .parse import Node

_BLOCKS = {
    Where.EVENTS: "events",
    Where.HTTP: "http",
    Where.SERVER: "server",
    Where.LOCATION: "location",
    Where.UPSTREAM: "upstream",
}
_SPECIAL = {
    Where.SERVER_IF: '"if" inside "server"',
    Where.LOCATION_IF: '"if" inside "location"',
    Where.LIMIT_EXCEPT: '"limit_except { … }"',
}

#: Characters that look like others: typed with another keyboard layout, or pasted from a document.
_LOOKALIKES = dict(zip("；｛｝（），：＝。“”‘’", ";{}(),:=.\"\"''", strict=True))
_BLANKS = {
    "\xa0": "a no-break space",
    "\u3000": "an ideographic space",
    "\u200b": "a zero width space",
    "\u2028": "a line separator",
}


def unknown_directive(name: str, names: Iterable[str]) -> str | None:
    """The mend for ``unknown directive "NAME"``; ``names`` are the directives that we support."""
    if name.startswith("\ufeff"):
        return "the file begins with a byte order mark: save it as UTF-8 without one"
    if hint := _lookalike(name):
        return hint
    if re.match(r"\d+(,\d*)?\}", name):
        return 'a regular expression with braces must stand in quotes: "…{3}…"'
    if name.startswith("ngx.") or name in ("local", "function", "end"):
        return 'Lua code belongs inside a block such as "content_by_lua_block { … }"'
    candidates = {*names, *known.names()}
    word = re.split("[=:]", name, maxsplit=1)[0]
    if word != name and word in candidates:
        return f'a blank, and nothing else, separates a directive from its value: "{word} …;"'
    if name.lower() in candidates:
        return f'directives are written in small letters: "{name.lower()}"'
    return _nearest(name, candidates)


def unknown_variable(name: str, names: Iterable[str]) -> str | None:
    """The mend for ``unknown "NAME" variable``; ``names`` are the variables that exist."""
    if name.lower() != name and name.lower() in (names := list(names)):
        return f'variables are written in small letters: "${name.lower()}"'
    return _nearest(name, names, "$")


def upstream(name: str, names: Iterable[str]) -> str | None:
    """The mend for ``host not found in upstream "NAME"``; ``names`` are the upstreams of the configuration."""
    near = difflib.get_close_matches(name, names, 1, 0.7)
    return f'there is an "upstream {near[0]} {{ … }}": did you mean "{near[0]}"?' if near else None


def missing_events() -> str:
    """The mend for ``no "events" section in configuration``."""
    return 'add "events {}" outside of all other blocks; it may be empty'


def missing_semicolon(node: Node) -> str | None:
    """The mend for a wrong number of arguments, or a strange one, where the next directive has been read as an
    argument.
    """
    for i, word in enumerate(node.args):
        if hint := _lookalike(word):
            return hint
        if (i or "_" in word) and known.lookup(word):
            return f'is a ";" missing before "{word}"?'
    return None


def misplaced(node: Node, here: Where, allowed: Where, previous: Node | None) -> str:
    """The mend for ``"NAME" directive is not allowed here``.

    ``here`` is the block that the directive stands in, ``allowed`` where it may stand, and ``previous`` the directive
    before it, if any.
    """
    if allowed == Where.MAIN:
        return f'"{node.name}" belongs at the top of the file, outside of all blocks'
    blocks = [f'"{name} {{ … }}"' for where, name in _BLOCKS.items() if where & allowed]
    blocks = blocks or [text for where, text in _SPECIAL.items() if where & allowed]
    place = " or ".join(filter(None, [", ".join(blocks[:-1]), blocks[-1]]))
    if here in (Where.SERVER_IF, Where.LOCATION_IF):
        return f'"{node.name}" may not stand inside "if"; it belongs inside {place}'
    hint = f'"{node.name}" belongs inside {place}'
    if previous is not None and previous.block is not None:
        before = next((where for where, name in _BLOCKS.items() if name == previous.name), Where(0))
        if before & allowed:
            hint += f'; the "{previous.name}" before it ends with the "}}" in line {previous.end}'
    return hint


def _lookalike(text: str) -> str | None:
    for char, name in _BLANKS.items():
        if char in text:
            return f"{name} (U+{ord(char):04X}) stands here: replace it by an ordinary blank"
    for char, plain in _LOOKALIKES.items():
        if char in text:
            return f"write {plain} for {char}"
    return None


def _nearest(name: str, names: Iterable[str], sign: str = "") -> str | None:
    near = difflib.get_close_matches(name, names, 1, 0.75)
    return f'did you mean "{sign}{near[0]}"?' if near else None


class _Rule(NamedTuple):
    """``message`` is looked for in what LuaJIT says, ``code`` in the line; its groups fill ``hint``."""

    message: str
    code: str
    hint: str


_NAME = r"[A-Za-z_]\w*(?:[.:]\w+|\[[^\]]*\])*"
_FOR = '"for i = 1, n do … end" or "for k, v in pairs(t) do … end"'

#: In the code, comments are blank and the insides of strings are underscores. The first rule that fits wins.
_RULES = [
    _Rule(r"near '!'", r"!==?", 'Lua writes "~=" for "{0}"'),
    _Rule(r"near '!'", r"!", 'Lua writes "not" for "!"'),
    _Rule(r"near '>'", r"<>", 'Lua writes "~=" for "<>"'),
    _Rule(r"near '&'", r"&&", 'Lua writes "and" for "&&"'),
    _Rule(r"near '\|'", r"\|\|", 'Lua writes "or" for "||"'),
    _Rule(r"near '&'", r"&", 'Lua has no "&": bit.band(a, b)'),
    _Rule(r"near '\|'", r"\|", 'Lua has no "|": bit.bor(a, b)'),
    _Rule(r"near '\?'", r"\?\?", 'Lua writes "a or b" for "a ?? b"'),
    _Rule(r"near '\?'", r"\?", 'Lua writes "a and b or c" for "a ? b : c"'),
    _Rule(r"near '`'", r"`", 'Lua strings stand in "…", \'…\' or [[…]], and are joined with ".."'),
    _Rule(r"near '/'", r"/\*", 'Lua comments are "--", or "--[[ … ]]" over several lines'),
    _Rule(r"near '/'", r"//", 'Lua comments begin with "--"'),
    _Rule(r"near '#'", r"#", 'Lua comments begin with "--"'),
    _Rule(r"near '='", r"=>", 'Lua writes "function(…) … end" for "=>"'),
    _Rule(r"near '='", r"===", 'Lua writes "==" for "==="'),
    _Rule(
        r"near '='",
        r"\b(if|elseif|while|until)\b[^=]*[^=~<>]=(?!=)",
        'after "{1}", Lua compares with "==": "=" only assigns',
    ),
    _Rule(r"near '=='", rf"^\s*(?:local\s+)?({_NAME})\s*==", 'to assign, write "{1} = …" with one "="'),
    _Rule(r"near ':'", r"\b(if|elseif)\b.*:\s*$", 'Lua writes "{1} … then" for "{1} …:"'),
    _Rule(r"near ':'", r"\b(while|for)\b.*:\s*$", 'Lua writes "{1} … do" for "{1} …:"'),
    _Rule(
        r"near '|function arguments expected",
        rf"(?:^|[{{,(])\s*({_NAME}):(?=\s|[\"'{{\d])",
        "a Lua table is written {{{1} = …}}, not {{{1}: …}}",
    ),
    _Rule(r"near ':'", r"[\"']_*[\"']\s*:", 'a Lua table is written {{["key"] = …}}, not {{"key": …}}'),
    _Rule(r"near '\['", r"(?:[=(,{]|return)\s*\[", "a Lua list is written {{a, b}}, not [a, b]"),
    _Rule(r"'=' expected near", rf"({_NAME})\s*(\+|-|\*|/|%|\.\.)=", 'Lua has no "{2}=": {1} = {1} {2} …'),
    _Rule(r"near '\+'", rf"({_NAME})\s*\+\+|\+\+\s*({_NAME})", 'Lua has no "++": {1} = {1} + 1'),
    _Rule(r"'=' expected near", r"\b(const|let|var)\s+[A-Za-z_]", 'Lua declares variables with "local", not "{1}"'),
    _Rule(r"'=' expected near", r"\b(elif|elsif)\b", 'Lua writes "elseif" for "{1}"'),
    _Rule(r"'=' expected near", r"\b(def|func|fn)\s+[A-Za-z_]", 'Lua defines functions with "function", not "{1}"'),
    _Rule(r"'=' expected near", r"\bunless\b", 'Lua writes "if not …" for "unless"'),
    _Rule(r"'<name>' expected near '\('", r"\bfor\s*\(", f"Lua loops are {_FOR}"),
    _Rule(r"'then' expected near", r"\belse[ \t]+if\b", 'Lua writes "elseif" in one word'),
    _Rule(r"global '(?:null|NULL|None|undefined)'", r"\b(null|NULL|None|undefined)\b", 'Lua writes "nil" for "{1}"'),
    _Rule(r"arithmetic on a string", r"[\"']\s*\+|\+\s*[\"']", 'Lua joins strings with "..", not "+"'),
]

#: Comments, long brackets and strings.
_TEXT = re.compile(
    r"""--\[(=*)\[.*?\]\1\] | --[^\n]* | \[(=*)\[.*?\]\2\] | "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*'""",
    re.DOTALL | re.VERBOSE,
)


def lua_hint(message: str, source: bytes) -> str | None:
    """The mend for Lua code that LuaJIT refuses with ``message`` (``CHUNK:LINE: …``), or None. ``source`` is the chunk.

    Line numbers in the hint are the chunk's, as they are in the message.
    """
    place = re.search(r":(\d+): (.*)", message)
    if place is None:
        return None
    number, problem = int(place[1]), place[2]
    lines = _TEXT.sub(_blank, source.decode("utf-8", "replace")).split("\n")
    if not 1 <= number <= len(lines):
        return None
    line = lines[number - 1]
    return _lookalike(line) or _by_rule(problem, line) or _by_structure(problem, lines, number)


def _blank(match: re.Match[str]) -> str:
    text = match[0]
    if text.startswith("--"):
        return re.sub(r"[^\n]", " ", text)
    return text[0] + re.sub(r"[^\n]", "_", text[1:-1]) + text[-1]


def _by_rule(problem: str, line: str) -> str | None:
    for rule in _RULES:
        if re.search(rule.message, problem) and (found := re.search(rule.code, line)):
            return rule.hint.format(found[0], *(group for group in found.groups() if group is not None))
    return None


#: The beginning of a statement: so the parenthesis, "then" or "do" that LuaJIT misses belongs before it.
_STATEMENT = re.compile(
    r"\s*(?:(?:local|if|for|while|repeat|return|break|end|else|elseif|until|function)\b"
    rf"|{_NAME}\s*(?:=[^=]|\())"
)
#: A block that begins with a brace.
_BRACE = re.compile(
    r"""^\s*(?:\}\s*)?(?:else|if|elseif|while|for|(?:local\s+)?function)\b.*\{\s*$
    | \bfunction\s*[\w.:]*\([^)]*\)\s*\{""",
    re.VERBOSE,
)
_CONTINUE = re.compile(r"\bcontinue\s*;?\s*(?:$|\bend\b)", re.MULTILINE)


def _by_structure(problem: str, lines: list[str], number: int) -> str | None:
    """Mends that show only in how several lines hang together."""
    line = lines[number - 1]
    above = next((text for text in reversed(lines[: number - 1]) if text.strip()), "")
    before = "\n".join(lines[:number])
    if re.search(r"'(?:then|do|end)' expected|unexpected symbol|expected near '<eof>'", problem):
        for i, text in enumerate(lines[:number], 1):
            if _BRACE.search(text):
                return (
                    f'line {i}: Lua blocks have no braces: "if … then … end", "while … do … end", "function(…) … end"'
                )
    if problem.startswith("'=' expected near") and _CONTINUE.search(f"{above}\n{line}"):
        return 'Lua has no "continue": "goto continue", with "::continue::" before the "end" of the loop'
    if re.match(r"'end' expected.*near '<eof>'", problem):
        for i, text in enumerate(lines, 1):
            if re.search(r"\belse[ \t]+if\b", text):
                return f'line {i}: Lua writes "elseif" in one word; an "else if" needs an "end" of its own'
    opened = re.match(r"'\)' expected (?:\(to close '\(' at line (\d+)\) )?near", problem)
    if opened and (problem.endswith("near '<eof>'") or (opened[1] and _STATEMENT.match(line))):
        return f'the "(" in line {opened[1] or number} lacks its ")"'
    if problem.endswith("near ')'") and before.count(")") > before.count("("):
        return 'there is one ")" too many'
    if problem.startswith("'<eof>' expected near 'end'"):
        return 'there is one "end" too many'
    if re.match(r"'(?:<eof>|end)' expected", problem) and re.match(r"\s*return\b", above):
        return '"return" must be the last statement of its block: write "do return … end" before others'
    for word, opening in (("then", r"\s*(?:else)?if\b"), ("do", r"\s*(?:for|while)\b")):
        missing = problem.startswith(f"'{word}' expected near") and _STATEMENT.match(line)
        if missing and re.match(rf"{opening}(?!.*\b{word}\b)", above):
            return f'"{word}" is missing at the end of the line above'
    return None
