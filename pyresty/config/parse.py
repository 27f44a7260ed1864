"""Text → tree of directives, as nginx reads it: crossplane turns the text into words, and the rules by which words
make directives are nginx's.

crossplane's own tree has lost what nginx's messages and handlers need (the line of the ``;``, what was quoted, the
parentheses of ``if``, bytes that are not UTF-8), so its lexer is run over an iterator of ours and the tree is built
here. Knowing where that iterator stands also lets us step over a Lua block in one go, and read again the few words
that crossplane cuts differently.

Source of the rules: nginx, ``src/core/ngx_conf_file.c``.
"""

from __future__ import annotations

import errno
import glob
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from crossplane import lexer

from .errors import ConfigError
from .lualex import LuaBlockError, block_end

#: The ``file`` of directives that come from ``-g``.
COMMAND_LINE = "command line"
#: nginx's buffer, in bytes: a word, with the quote that ends it, or a comment must be shorter.
BUFFER = 4096
#: How deep includes may nest. nginx stops when it has no more file descriptors.
INCLUDE_DEPTH = 200
#: The folder of our own copies of the files that nginx installs beside nginx.conf.
DEFAULTS = os.path.join(os.path.dirname(__file__), "defaults")


@dataclass(slots=True)
class Node:
    """One directive.

    ``args`` are the words after the name, unquoted. ``line`` is the line of its ``;`` or ``{``, the one that nginx
    reports; ``end`` is the line of its ``}``, or ``line`` again where there is none. ``block`` is None for a
    directive ended by ``;``. A ``*_by_lua_block`` has ``lua`` set, no ``block``, and its code, byte for byte, as last
    argument. Bytes that are not UTF-8 are kept as ``surrogateescape`` keeps them.
    """

    name: str
    args: list[str]
    file: str
    line: int
    block: list[Node] | None
    lua: bool = False
    end: int = 0


def parse(
    path: str,
    conf_prefix: str,
    notice: Callable[[str], None] = lambda message: None,
    files: dict[str, bytes] | None = None,
) -> list[Node]:
    """Read the configuration file ``path``, and what it includes in the place of each ``include``.

    ``conf_prefix`` is the folder that relative includes start from. ``notice`` is told when one of our DEFAULTS is
    used. ``files``, if given, gets the content of every file read, by path, in the order of reading (for ``-T``).
    Raises ConfigError with nginx's message for the first syntax error or unreadable file; its ``before`` holds the
    tree as far as it was read.
    """
    reader = _Reader(conf_prefix, notice, {} if files is None else files)
    try:
        reader.read_file(path, reader.tree, None, None)
    except ConfigError as error:
        error.before = reader.tree
        raise
    return reader.tree


def parse_command_line(directives: str, conf_prefix: str) -> list[Node]:
    """Read the argument of ``-g``. The nodes' ``file`` is COMMAND_LINE and their ``line`` 0. Raises ConfigError."""
    reader = _Reader(conf_prefix, lambda message: None, {})
    try:
        reader.read(_Text(directives, COMMAND_LINE), reader.tree)
    except ConfigError as error:
        if error.file == COMMAND_LINE:
            error.line = None
        raise
    for node in reader.tree:
        if node.file == COMMAND_LINE:
            node.line = node.end = 0
    return reader.tree


class _Reader:
    """Builds the tree out of statements, across included files."""

    def __init__(self, conf_prefix: str, notice: Callable[[str], None], files: dict[str, bytes]) -> None:
        self.tree: list[Node] = []
        self.conf_prefix = conf_prefix
        self.notice = notice
        self.files = files
        self.reading: list[str] = []

    def read_file(self, path: str, nodes: list[Node], file: str | None, line: int | None) -> None:
        """Append the directives of ``path`` to ``nodes``; ``file`` and ``line`` say where it is included."""
        path = path.partition("\0")[0]
        if path in self.reading or len(self.reading) == INCLUDE_DEPTH:
            hint = "the file includes itself" if path in self.reading else None
            raise ConfigError(f'open() "{path}" failed ({errno.EMFILE}: {os.strerror(errno.EMFILE)})', file, line, hint)
        try:
            with open(path, "rb") as stream:
                content = stream.read()
        except IsADirectoryError as error:
            raise ConfigError(f'pread() "{path}" failed ({error.errno}: {error.strerror})', level="crit") from None
        except OSError as error:
            own = os.path.join(DEFAULTS, os.path.basename(path))
            if error.errno == errno.ENOENT and file is not None and path != own and os.path.isfile(own):
                self.notice(f'no "{path}" here, using pyresty\'s own copy, in {file}:{line}')
                return self.read_file(own, nodes, file, line)
            raise ConfigError(f'open() "{path}" failed ({error.errno}: {error.strerror})', file, line) from None
        self.files.setdefault(path, content)
        self.reading.append(path)
        self.read(_Text(content.decode("utf-8", "surrogateescape"), path), nodes)
        self.reading.pop()

    def read(self, text: _Text, nodes: list[Node]) -> None:
        """Append the directives of ``text`` to ``nodes``."""
        file = text.file
        opened: list[tuple[Node, list[Node]]] = []  # blocks that still need their "}", and where what follows them goes
        for words, mark, line in text.statements():
            if mark == "}":
                if not opened:
                    raise ConfigError('unexpected "}"', file, line)
                node, nodes = opened.pop()
                node.end = line
            elif words[0] == "include":
                self.include(words, mark, text, line, nodes)
            elif mark == ";":
                nodes.append(Node(words[0], words[1:], file, line, None, False, line))
            elif file == COMMAND_LINE:
                raise ConfigError("block directives are not supported in -g option", file, line)
            elif words[0].endswith("_by_lua_block"):
                if len(words) != 1 + words[0].startswith("set_"):
                    raise ConfigError(f'invalid number of arguments in "{words[0]}" directive', file, line)
                code, end = text.lua_block()
                nodes.append(Node(words[0], [*words[1:], code], file, line, None, True, end))
            else:
                block: list[Node] = []
                node = Node(words[0], words[1:], file, line, block)
                nodes.append(node)
                opened.append((node, nodes))
                nodes = block
        if opened:
            node = opened[-1][0]
            hint = f'the block "{node.name}" that begins in line {node.line} has no "}}"'
            raise ConfigError('unexpected end of file, expecting "}"', file, text.last_line, hint)

    def include(self, words: list[str], mark: str, text: _Text, line: int, nodes: list[Node]) -> None:
        """nginx: ``ngx_conf_include``."""
        if mark == "{":
            raise ConfigError('directive "include" is not terminated by ";"', text.file, line)
        if len(words) != 2:
            raise ConfigError('invalid number of arguments in "include" directive', text.file, line)
        path = os.path.join(self.conf_prefix, words[1])
        if any(char in path for char in "*?["):
            for found in sorted(glob.glob(path), key=os.fsencode):
                self.read_file(found, nodes, text.file, line)
        else:
            self.read_file(path, nodes, text.file, line)


# crossplane lets a plugin lex ``*_by_lua_block``, and brings one that miscounts braces. As the hook is not called for
# ``content_by_lua_block{``, the plugin is only switched off here, and the block is taken when its ``{`` comes.
lexer.register_external_lexer(list(lexer.EXTERNAL_LEXERS), lambda chars, directive: ())

#: A word without quotes, as nginx reads it: a ``}`` inside it is nothing special, nor is a ``{`` after ``$``.
_WORD = re.compile(r"(?:[^ \t\r\n;{\\$]|\\[\s\S]|\$\{*)*")
#: The blanks and comments between words.
_GAP = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_ESCAPE = re.compile(r"""\\(["'\\trn])""")
_ESCAPES = {"t": "\t", "r": "\r", "n": "\n"}

#: Blanks for Python, but not for nginx. Lone surrogates, which no text has, stand in for them while crossplane reads.
_BLANKS = (
    "\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680"
    + "".join(map(chr, range(0x2000, 0x200B)))
    + "\u2028\u2029\u202f\u205f\u3000"
)
_BLANK = re.compile(f"[{_BLANKS}]")
_HIDE = {ord(blank): 0xD800 + i for i, blank in enumerate(_BLANKS)}
_SHOW = {surrogate: blank for blank, surrogate in _HIDE.items()}


class _Text:
    """One file under crossplane's lexer. nginx: ``ngx_conf_read_token``.

    ``position`` is the index behind the last token; a word's is one further, behind the blank or punctuation that
    ended it. A ``}`` of ours ends the text, so that crossplane hands over the last word: if that brace does not come
    back as the last token, a quote is open.
    """

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.text = text
        self.hides = _BLANK.search(text) is not None
        self.source = f"{text}\n\n}}".translate(_HIDE) if self.hides else f"{text}\n\n}}"
        self.chars: Any = iter(self.source)  # typeshed lacks the methods that tell and change its place
        self.position = 0
        self.last_line = text.count("\n") + 1
        self.unseen = 0  # lines that we moved past without crossplane counting them

    def move(self, position: int) -> None:
        """Let crossplane read on from ``position``, which may lie before or behind."""
        low, high = sorted((self.position, position))
        lines = self.source.count("\n", low, high)
        self.unseen += lines if position == high else -lines
        self.chars.__setstate__(position)
        self.position = position

    def statements(self) -> Iterator[tuple[list[str], str, int]]:
        """The words up to each ``;``, ``{`` or ``}``, that mark and its line. Raises ConfigError."""
        source = self.source
        length = len(source)
        remaining = self.chars.__length_hint__
        tokens = lexer._lex_file_object((self.chars,))
        words: list[str] = []
        for token, line, quoted in tokens:
            previous, self.position = self.position, length - remaining()
            line += self.unseen
            if quoted:
                if len(token) >= BUFFER // 4 or source[self.position] not in " \t\r\n;{)":
                    self.check_quoted(previous, line)
            elif token in (";", "{"):
                if not words:
                    raise self.error(f'unexpected "{token}"', line)
                yield words, token, line
                words = []
                continue
            elif token == "}":
                if self.position == length:
                    if words:
                        raise self.unfinished()
                    return
                if words:
                    raise self.error('unexpected "}"', line, f'the directive "{words[0]}" before it has no ";"')
                yield words, token, line
                continue
            else:
                if len(token) >= BUFFER // 4:
                    self.check_length(self.position - 1 - len(token), self.position - 1, line)
                if token[0] == "#":
                    continue
                if source[self.position - 1] == "}" or "${" in token:
                    token = self.read_again(token, tokens)
            if "\\" in token:
                token = _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]), token)
            words.append(token.translate(_SHOW) if self.hides else token)
        start = _GAP.match(source, self.position).end()  # type: ignore[union-attr]
        quote = source[start]
        line = source.count("\n", 0, start) + 1
        self.check_length(start + 1, len(self.text), line, quote)
        raise self.unfinished(f"the quote {quote} in line {line} is not closed")

    def read_again(self, token: str, tokens: Iterator[tuple[str, int, bool]]) -> str:
        """Return the word that crossplane cut into ``token`` as nginx cuts it, and go on behind it."""
        start = self.position - 1 - len(token)
        end = _WORD.match(self.source, start).end()  # type: ignore[union-attr]
        if end != start + len(token):
            if self.source[self.position - 1] in ";{}":
                next(tokens)  # crossplane has the punctuation that ended its word in hand
            self.move(end)
        return self.source[start:end]

    def lua_block(self) -> tuple[str, int]:
        """The code of the Lua block whose ``{`` was the last token, and the line of its ``}``. Raises ConfigError."""
        start = self.position
        try:
            end = block_end(self.text, start)
        except LuaBlockError as error:
            line = self.text.count("\n", 0, error.position) + 1
            raise self.error(error.message, line, error.hint) from None
        self.move(end)
        return self.text[start : end - 1], self.text.count("\n", 0, end) + 1

    def check_quoted(self, previous: int, line: int) -> None:
        """Raise ConfigError if the quoted word behind ``previous`` is too long, or something sticks to its end."""
        start = _GAP.match(self.source, previous).end() + 1  # type: ignore[union-attr]
        self.check_length(start, self.position, line, self.source[start - 1])
        after = self.text[self.position : self.position + 1]
        if after and after not in " \t\r\n;{)":
            lines = self.source.count("\n", start, self.position)
            hint = f"the quoted text before it begins in line {line}: is a quote missing there?"
            raise self.error(f'unexpected "{after}"', line + lines, hint if lines else None)

    def check_length(self, start: int, end: int, line: int, quote: str = "") -> None:
        """Raise ConfigError if the word or comment between ``start`` and ``end`` does not fit into nginx's buffer."""
        if (end - start) * 4 < BUFFER or self.file == COMMAND_LINE:
            return
        word = self.text[start:end].encode("utf-8", "surrogateescape")
        rest = self.text[end:].encode("utf-8", "surrogateescape")
        if len(word) >= BUFFER and len(word) + len(rest) > BUFFER:
            if quote and len(word) > BUFFER:
                raise self.error(f'too long parameter, probably missing terminating "{quote}" character', line)
            begin = word[:10].decode("utf-8", "surrogateescape")
            raise self.error(f'too long parameter "{begin}..." started', line)

    def unfinished(self, hint: str | None = None) -> ConfigError:
        """The error for a text that ends in the midst of a directive."""
        if self.file == COMMAND_LINE:
            return self.error('unexpected end of parameter, expecting ";"', self.last_line)
        return self.error('unexpected end of file, expecting ";" or "}"', self.last_line, hint)

    def error(self, message: str, line: int, hint: str | None = None) -> ConfigError:
        """An error in this text."""
        return ConfigError(message, self.file, line, hint)
