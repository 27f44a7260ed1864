"""The same configurations read by the reference and by us: same words, same lines, same messages, same files.

The reference tells its words in its complaints: ``user WORD;`` brings ``getpwnam("WORD") failed``, and an unknown
directive its name.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from harness import MODULES, REFERENCE

from pyresty.config.dump import dump
from pyresty.config.errors import ConfigError
from pyresty.config.parse import BUFFER, parse

pytestmark = [
    pytest.mark.skipif(not Path(REFERENCE).exists(), reason=f"no reference server to compare with: {REFERENCE}"),
    pytest.mark.skipif(
        os.geteuid() != 0, reason="the reference checks a configuration as Debian built it only for root"
    ),
]

_LUA = [MODULES / f"{name}.so" for name in ("ndk_http_module", "ngx_http_lua_module")]
_STAMP = re.compile(r"^\S+ \S+ \[(\w+)\] \d+#\d+: ")


def write(folder: Path, text: str | bytes) -> str:
    """``text`` as nginx.conf in ``folder``; its path."""
    path = folder / "nginx.conf"
    path.write_bytes(text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text)
    (folder / "logs").mkdir(exist_ok=True)
    return str(path)


def nginx(path: str, *switches: str) -> subprocess.CompletedProcess[bytes]:
    """The reference, asked about the configuration file ``path``."""
    folder = str(Path(path).parent)
    return subprocess.run(
        [REFERENCE, "-p", folder, "-c", path, "-e", "stderr", *switches], capture_output=True, check=False
    )


def complaint(path: str) -> str:
    """The reference's message about ``path``, without time, level and process."""
    said = nginx(path, "-t").stderr.decode("utf-8", "surrogateescape")
    message, _, _ = said.partition("\nnginx: configuration file ")
    return _STAMP.sub("", message.removeprefix("nginx: "))


def ours(path: str) -> str:
    """Our message about ``path``."""
    with pytest.raises(ConfigError) as caught:
        parse(path, str(Path(path).parent))
    return str(caught.value)


# Refused by both. Directives before the mistake must be right, as nginx carries them out while it reads.
E = "events {}\n"
REFUSED = {
    "closed twice": E + "}\n",
    "closed twice in one line": "events {}}",
    "closed at once": "}",
    "closed after a word": E + "http {\n server\n}\n",
    "closed after words": E + "http { server { listen 80 } }",
    "closed after a quote": E + "pid 'x'}",
    "never closed": "events {\n\n",
    "never closed, two deep": E + "http {\n server {\n }\n",
    "never closed, no line feed": E + "http {",
    "word at the end": E + "worker_processes",
    "word and line feeds at the end": E + "pid\n\n",
    "words at the end": E + "pid x",
    "words in a block at the end": "events {\n use epoll\n",
    "semicolon in a comment": E + "pid x # ;\n",
    "quote open": E + "pid 'x;\n\n",
    "other quote open": E + 'pid "x;\n',
    "quote open, escaped": E + "pid 'x\\';\n",
    "quote open at the start": "'events {}\n",
    "quote open after a comment": E + "pid # c\n 'x",
    "backslash at the end": E + "pid \\",
    "backslash in a word at the end": E + "pid x\\",
    "variable open at the end": E + "pid ${x",
    "semicolon alone": E + ";\n",
    "semicolon twice": "events {\n use epoll;\n ;\n}",
    "semicolon after a block": "events {};",
    "brace alone": E + "{\n}",
    "brace twice": "events {\n {",
    "letter after a quote": E + "pid 'x'y;",
    "quote after a quote": E + "pid 'x''y';",
    "comment after a quote": E + "pid 'x'# c\n;",
    "backslash after a quote": E + "pid 'x'\\;",
    "dollar after a quote": E + 'pid "x"$y;',
    "letter after a quote over lines": E + "pid 'x\n\n';pid '\n'y;",
    "brace in a word": E + "http {\n server {\n listen 80}\n}\n",
    "include of nothing": E + "\ninclude none.conf;",
    "include of an absolute nothing": "include '/none/no ne.conf';",
    "include without name": "include;",
    "include of two": "include a b;",
    "include as a block": "include a {}",
    "include of an empty name": "include '';",
    "include of a folder": "include /tmp;",
    "include with escapes": r"include 'a\\b\"c\t';",
    "word as long as the buffer": E + "pid " + "x" * BUFFER + ";\n",
    "long word at the end": E + "pid " + "x" * BUFFER + ";",
    "word in bytes as long as the buffer": E + "pid " + "é" * (BUFFER // 2) + ";\n",
    "quoted word one short of the buffer": E + "pid '" + "x" * (BUFFER - 1) + "';\n",
    "quoted word as long as the buffer": E + "\npid 'x\n" + "x" * BUFFER + "';\n",
    "open quote as long as the buffer": E + '\npid "x\n' + "x\n" * BUFFER,
    "comment as long as the buffer": E + "# " + "x" * (BUFFER - 2) + "\nzzz;",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_refused(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    assert ours(path) == complaint(path)


# Read by both; the reference complains only about the first directive, and so tells its words.
USER = [
    "x;",
    "'x y';",
    '"x;{}#y";',
    r"x\"y\'z\\;",
    r"'x\"y\'z\\';",
    r'"x\"y\'z\\";',
    r"x\ty;",
    r"'x\ty\d\.\$\{';",
    r"\;x\{\};",
    r"\ x;",
    "x'y\"z;",
    "x#y;",
    "x}y;",
    "x}}y};",
    "${x};",
    "${x} y;",
    "${x}y${z};",
    "${x}}y;",
    "${x\ny;",
    "$x{y;\n}",
    "$${x}y;",
    "x$ y;",
    "${'x'};",
    "x)y(;",
    "'x')y;",
    "\n\n x # comment ; \n ;",
    "# ' comment\nx;",
    "'x\\\ny';",
    "x\u00a0y;",
    "\u3000;",
    "x\x0by\x0c;",
    "x\x85\u2028y;",
    "é\udcffü;",
    "x\r\n;\r\n",
    "x" * (BUFFER - 1) + ";\n",
    "'" + "x" * (BUFFER - 2) + "';\n",
]


@pytest.mark.parametrize("words", USER)
def test_words(tmp_path: Path, words: str) -> None:
    path = write(tmp_path, f"user {words}\n{E}")
    node = parse(path, str(tmp_path))[0]
    if node.block is None:
        expected = f'getpwnam("{node.args[0]}") failed'
    else:
        expected = 'directive "user" is not terminated by ";"'
    said = complaint(path)
    if len(node.args[0]) > 1000:  # nginx cuts long messages
        assert said[:1000] == expected[:1000]
    else:
        assert said == f"{expected} in {path}:{node.line}"


NAMES = [
    "x y;",
    "'x y' {}",
    "\n\nx\ny\n{\n}",
    r"\x\t;",
    "x#y;",
    "${x} y;",
    "\ufeffx;",
    "x\u00a0y;",
    "x=1;",
    "if_x (a) {}",
]


@pytest.mark.parametrize("text", NAMES)
def test_names(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, E + text)
    node = parse(path, str(tmp_path))[1]
    assert complaint(path) == f'unknown directive "{node.name}" in {path}:{node.line}'


def test_brace_in_a_bare_regex(tmp_path: Path) -> None:
    path = write(tmp_path, E + "http { server {\n location ~ ^/[0-9]{3}$ {\n } } }\n}")
    server = (parse(path, str(tmp_path))[1].block or [])[0]
    location = (server.block or [])[0]
    assert location.args == ["~", "^/[0-9]"]
    inside = (location.block or [])[0]
    assert complaint(path) == f'unknown directive "{inside.name}" in {path}:{inside.line}'


# ``if`` hands its words to its handler with their parentheses; the reference names the word (by number, here) that is
# wrong, without them.
CONDITIONS = [
    ("$a", 0, 'invalid condition "{}"'),
    ("($a", 0, 'invalid condition "{}"'),
    ("a) ", 0, 'invalid condition "{})"'),
    ("($a = b c)", 0, 'invalid condition "{}"'),
    ("(a)", 0, 'invalid condition "{}"'),
    ("( a )", 1, 'invalid condition "{}"'),
    ("($a b c)", 1, 'unexpected "{}" in condition'),
    ("(-y $a)", 0, 'invalid condition "{}"'),
]


@pytest.mark.parametrize(("words", "wrong", "message"), CONDITIONS)
def test_conditions(tmp_path: Path, words: str, wrong: int, message: str) -> None:
    path = write(tmp_path, f"{E}http {{ server {{ set $a b;\n if {words} {{ }} }} }}")
    server = (parse(path, str(tmp_path))[1].block or [])[0]
    node = (server.block or [])[1]
    assert node.args == words.split()
    assert complaint(path) == f"{message.format(node.args[wrong].strip('()'))} in {path}:{node.line}"


# Good ones: the same files are read, in the same order, and nothing is missing from either's tree.
GOOD = {
    "plain": "user root;\nevents { use epoll; }\n",
    "nested": E + "http { server { location / { location /a { return 204; } } } }",
    "includes": E + "http { include d/*.conf; include none*; include d/b.conf; }",
    "include in a block of words": E + "http { types { include types; } map $uri $x { include map; } }",
    "quotes and escapes": E + "http { server { return 200 \"a;\\\"${uri}'}\"; } log_format x '$uri' \"\\t\" '{';\n}",
    "braces in words": E + "http { server { location ~ '^/[0-9]{3}$' { } set $a ${uri}}; set $b a}b; } }",
    "comments": "# a {\nevents {# }\n}#\n# '\nhttp {} # \\\n#",
    "carriage returns": E.replace("\n", "\r\n") + "http {\r\n\tserver {\r\n\t}\r\n}\r\n",
    "no line feed at the end": "events {}",
    "long comment": "#" + "x" * (BUFFER - 2) + "\n" + E,
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD.keys())
def test_files(tmp_path: Path, text: str) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "b.conf").write_bytes(b"# b\nserver { server_name caf\xc3\xa9; }")
    (tmp_path / "d" / "a.conf").write_text("include d/.c.conf;\n")
    (tmp_path / "d" / ".c.conf").write_text("server { }\n")
    (tmp_path / "types").write_text("a/b c;\n")
    (tmp_path / "map").write_text("a b;\n")
    path = write(tmp_path, f"pid {tmp_path}/pid;\n{text}")
    reference = nginx(path, "-T", "-q")
    assert reference.returncode == 0, reference.stderr
    files: dict[str, bytes] = {}
    parse(path, str(tmp_path), files=files)
    assert dump(files) == reference.stdout


# Lua blocks: where they end, and what is said when they don't.
LUA = {
    "plain": "content_by_lua_block { x = 1 } zzz;",
    "at once": "content_by_lua_block{x = {}}zzz;",
    "brace on another line": "content_by_lua_block # c {\n\n{\n x }\n zzz;",
    "strings": "content_by_lua_block { a = '}' b = \"}\\\"\" c = '\\'}' }\nzzz;",
    "comments": "content_by_lua_block { -- }'\n --[[ }\n ]] --[==[ ]] } ]==] }\nzzz;",
    "long brackets": "content_by_lua_block { a = [[ }\n ]] b = [=[ ]] } ]=] }\nzzz;",
    "open quote": 'content_by_lua_block { a = "b \n }\nzzz;',
    "quoted name": "'content_by_lua_block' { '}' }\nzzz;",
    "set": "set_by_lua_block $x { return {} }\nzzz;",
}
LUA_REFUSED = {
    "a word too many": "content_by_lua_block x { }",
    "a word too few": "set_by_lua_block { }",
    "closed too early": "content_by_lua_block }",
    "closed twice": "content_by_lua_block { x } } } } }",
    "never closed": "content_by_lua_block {\n x = {\n\n }\n",
    "never closed, two deep": "content_by_lua_block {\n x = {\n y = {\n }\n",
    "open long bracket": "content_by_lua_block {\n x = [[ }\n",
    "open long comment": "content_by_lua_block {\n\n --[==[ ]] } }\n",
    "too long a bracket": "content_by_lua_block {\n x = [[" + "x" * BUFFER + "]] }\n",
    "semicolon behind": "content_by_lua_block { x };",
}

needs_lua = pytest.mark.skipif(not all(so.exists() for so in _LUA), reason="the reference server has no Lua module")


def in_location(folder: Path, text: str) -> str:
    """``text`` in a location of a server with Lua; the configuration file's path."""
    loads = "".join(f"load_module {so};" for so in _LUA)
    return write(folder, f"{loads}\n{E}http {{ server {{ location / {{\n{text}\n}} }} }}\n")


@needs_lua
@pytest.mark.parametrize("text", LUA.values(), ids=LUA.keys())
def test_lua_block(tmp_path: Path, text: str) -> None:
    path = in_location(tmp_path, text)
    server = (parse(path, str(tmp_path))[3].block or [])[0]
    block, after = (server.block or [])[0].block or []
    assert block.lua
    assert complaint(path) == f'unknown directive "{after.name}" in {path}:{after.line}'


@needs_lua
@pytest.mark.parametrize("text", LUA_REFUSED.values(), ids=LUA_REFUSED.keys())
def test_lua_block_refused(tmp_path: Path, text: str) -> None:
    path = in_location(tmp_path, text)
    assert ours(path) == complaint(path)
