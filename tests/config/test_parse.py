"""The tree of a configuration: words as nginx cuts them, lines as it counts them, includes, and the errors."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyresty.config.dump import dump
from pyresty.config.errors import ConfigError, ConfigErrors, render
from pyresty.config.parse import COMMAND_LINE, DEFAULTS, Node, parse, parse_command_line


def read(folder: Path, text: str | bytes) -> list[Node]:
    """The tree of ``text`` as nginx.conf in ``folder``."""
    path = folder / "nginx.conf"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return parse(str(path), str(folder))


def refused(folder: Path, text: str | bytes) -> ConfigError:
    """The error for ``text`` as nginx.conf in ``folder``."""
    with pytest.raises(ConfigError) as caught:
        read(folder, text)
    return caught.value


WORDS = [
    ("a b\tc\r\nd;", ["b", "c", "d"]),
    ("a 'b c' \"d;{}#\";", ["b c", "d;{}#"]),
    ("a '' \"\";", ["", ""]),
    (r"a \" \' \\ \t \r \n;", ['"', "'", "\\", "\t", "\r", "\n"]),
    (r"a \d\. '\.php$' \;\ \{;", [r"\d\.", r"\.php$", r"\;\ \{"]),
    (r"""a "say \"hi\" it's" 'it\'s "so"';""", ['say "hi" it\'s', 'it\'s "so"']),
    ("a b'c\" d#e;", ["b'c\"", "d#e"]),
    ("a ${b}c x${b}y${c} ${d} e;", ["${b}c", "x${b}y${c}", "${d}", "e"]),
    ("a ${b} ;", ["${b}"]),
    ("a ${b c;", ["${b", "c"]),
    ("a b}c d}} $e};", ["b}c", "d}}", "$e}"]),
    ("a ${b;", ["${b"]),
    ("a # c 'd;\n b # e {\n;", ["b"]),
    ("a 'b')c;", ["b", ")c"]),
    ("a 'line 1\nline 2';", ["line 1\nline 2"]),
    ("a b\u00a0c\u3000d\x0be;", ["b\u00a0c\u3000d\x0be"]),
]


@pytest.mark.parametrize(("text", "args"), WORDS)
def test_words(tmp_path: Path, text: str, args: list[str]) -> None:
    (node,) = read(tmp_path, text)
    assert (node.name, node.args, node.block) == ("a", args, None)


def test_brace_in_a_word_swallows_the_end_of_the_block(tmp_path: Path) -> None:
    assert refused(tmp_path, "a {\n b c}\n").message == 'unexpected end of file, expecting ";" or "}"'


def test_name_may_be_quoted(tmp_path: Path) -> None:
    (node,) = read(tmp_path, "'a b' c;")
    assert (node.name, node.args) == ("a b", ["c"])


def test_if_keeps_its_parentheses(tmp_path: Path) -> None:
    first, second = read(tmp_path, "if ($a = 'b') {}\nif ( -f $a ) {}")
    assert first.args == ["($a", "=", "b", ")"]
    assert second.args == ["(", "-f", "$a", ")"]


def test_lines_are_those_of_the_terminators(tmp_path: Path) -> None:
    (http,) = read(tmp_path, "http\n{\n  a\n  b\n  ;\n  server { x '1\n2'; }\n}\n")
    assert http.block is not None
    a, server = http.block
    assert server.block is not None
    assert (http.line, http.end, a.line, a.end, server.line, server.end) == (2, 8, 5, 5, 6, 7)
    assert server.block[0].line == 7


def test_carriage_returns_are_blanks(tmp_path: Path) -> None:
    first, second = read(tmp_path, b"a b;\r\nc {\r\n}\r\n")
    assert (first.args, second.line, second.end) == (["b"], 2, 3)


def test_byte_order_mark_belongs_to_the_first_word(tmp_path: Path) -> None:
    (node,) = read(tmp_path, b"\xef\xbb\xbfevents {}")
    assert node.name == "\ufeffevents"


def test_bytes_that_are_not_utf8_survive(tmp_path: Path) -> None:
    raw = b"caf\xe9\xff\x85\xc3\xa9"
    (node,) = read(tmp_path, b"a '" + raw + b"';")
    assert node.args[0].encode("utf-8", "surrogateescape") == raw


def test_lua_block_is_the_last_argument_byte_for_byte(tmp_path: Path) -> None:
    code = b'\r\n  local s = \'}\' -- }\n  ngx.say([[ } ]], "\\"}") \xff\xc2\xa0\n'
    nodes = read(tmp_path, b"set_by_lua_block $r\n# c\n{" + code + b"} next_one 1;")
    block, after = nodes
    assert block.lua and block.block is None
    assert block.args[0] == "$r"
    assert block.args[1].encode("utf-8", "surrogateescape") == code
    assert (block.line, block.end, after.name, after.line) == (3, 6, "next_one", 6)


def test_lua_block_may_follow_its_name_at_once(tmp_path: Path) -> None:
    (node,) = read(tmp_path, "content_by_lua_block{ f({}) }")
    assert node.args == [" f({}) "]


def test_five_thousand_servers(tmp_path: Path) -> None:
    server = "server { listen 80; server_name s%d; location ~ '^/[0-9]{3}' { return 200 ${uri}x; } }\n"
    (http,) = read(tmp_path, "http {\n" + "".join(server % i for i in range(5000)) + "}\n")
    assert http.block is not None and len(http.block) == 5000
    last = http.block[-1].block
    assert last is not None and last[1].args == ["s4999"] and last[1].line == 5001


def test_include_stands_for_what_it_includes(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "b.conf").write_text("two 2;")
    (tmp_path / "d" / "a.conf").write_text("\none 1;")
    (tmp_path / "d" / ".hidden.conf").write_text("never;")
    files: dict[str, bytes] = {}
    (tmp_path / "nginx.conf").write_text("http { include d/*.conf; include none/*.conf; three 3; include d/b.conf; }")
    (http,) = parse(f"{tmp_path}/nginx.conf", str(tmp_path), files=files)
    assert http.block is not None
    assert [(n.name, os.path.basename(n.file), n.line) for n in http.block] == [
        ("one", "a.conf", 2),
        ("two", "b.conf", 1),
        ("three", "nginx.conf", 1),
        ("two", "b.conf", 1),
    ]
    assert list(files) == [f"{tmp_path}/nginx.conf", f"{tmp_path}/d/a.conf", f"{tmp_path}/d/b.conf"]
    assert dump(files).startswith(b"# configuration file %s/nginx.conf:\nhttp {" % os.fsencode(tmp_path))
    assert dump(files).endswith(b"d/b.conf:\ntwo 2;\n")


def test_missing_include(tmp_path: Path) -> None:
    error = refused(tmp_path, "\na;\ninclude none.conf;")
    assert (
        str(error) == f'open() "{tmp_path}/none.conf" failed (2: No such file or directory) in {tmp_path}/nginx.conf:3'
    )
    assert [node.name for node in error.before] == ["a"]


def test_missing_main_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"{tmp_path}/none.conf", str(tmp_path))
    assert str(caught.value) == f'open() "{tmp_path}/none.conf" failed (2: No such file or directory)'


def test_folder_is_no_file(tmp_path: Path) -> None:
    error = refused(tmp_path, f"include {tmp_path};")
    assert render(error) == f'nginx: [crit] pread() "{tmp_path}" failed (21: Is a directory)'


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_include(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a;")
    (tmp_path / "secret").chmod(0)
    assert "failed (13: Permission denied)" in refused(tmp_path, "include secret;").message


def test_include_of_itself_ends(tmp_path: Path) -> None:
    error = refused(tmp_path, "a;\ninclude nginx.conf;")
    assert error.message == f'open() "{tmp_path}/nginx.conf" failed (24: Too many open files)'
    assert (error.line, error.hint) == (2, "the file includes itself")


def test_chain_of_includes_ends(tmp_path: Path) -> None:
    for i in range(300):
        (tmp_path / f"{i}").write_text(f"include {i + 1};")
    assert "(24: Too many open files)" in refused(tmp_path, "include 0;").message


@pytest.mark.parametrize("name", ["mime.types", "/nowhere/mime.types", "fastcgi_params", "scgi_params", "uwsgi_params"])
def test_own_copy_where_there_is_none(tmp_path: Path, name: str) -> None:
    notices: list[str] = []
    (tmp_path / "nginx.conf").write_text(f"\ninclude {name};")
    nodes = parse(f"{tmp_path}/nginx.conf", str(tmp_path), notices.append)
    assert {node.file for node in nodes} == {os.path.join(DEFAULTS, os.path.basename(name))}
    assert len(notices) == 1 and f"{tmp_path}/nginx.conf:2" in notices[0]


def test_own_types_are_left_where_the_user_has_some(tmp_path: Path) -> None:
    (tmp_path / "mime.types").write_text("types { a/b c; }")
    (types,) = read(tmp_path, "include mime.types;")
    assert types.file == f"{tmp_path}/mime.types"


def test_default_types(tmp_path: Path) -> None:
    (types,) = read(tmp_path, "include mime.types;")
    assert types.block is not None
    by_extension = {extension: node.name for node in types.block for extension in node.args}
    assert by_extension["html"] == "text/html"
    assert by_extension["js"] == "application/javascript"
    assert by_extension["svgz"] == "image/svg+xml"
    assert by_extension["bin"] == "application/octet-stream"
    assert "wasm" in by_extension and "woff2" in by_extension


def test_tree_before_the_error(tmp_path: Path) -> None:
    error = refused(tmp_path, "a 1;\nhttp {\n  b 2;\n  c\n}\n")
    first, http = error.before
    assert http.block is not None
    assert [first.name, *(node.name for node in http.block)] == ["a", "b"]
    assert error.hint == 'the directive "c" before it has no ";"'


HINTS = [
    ("a {\n b {\n", 'the block "b" that begins in line 2 has no "}"'),
    ("a;\nb 'c\n d;\n", "the quote ' in line 2 is not closed"),
    ("a 'b;\nc 'd;\n", "the quoted text before it begins in line 1: is a quote missing there?"),
    ("content_by_lua_block {\n if x then {\n }\n", 'the "{" in line 1 has no "}"'),
]


@pytest.mark.parametrize(("text", "hint"), HINTS)
def test_hint(tmp_path: Path, text: str, hint: str) -> None:
    assert refused(tmp_path, text).hint == hint


def test_command_line() -> None:
    daemon, env = parse_command_line("daemon off; env 'A=b c';", "/")
    assert (daemon.args, daemon.file, daemon.line, env.args) == (["off"], COMMAND_LINE, 0, ["A=b c"])


COMMAND_LINE_ERRORS = [
    ("daemon off", 'unexpected end of parameter, expecting ";" in command line'),
    ("a; events {}", "block directives are not supported in -g option in command line"),
    ("a; }", 'unexpected "}" in command line'),
    ("a;;", 'unexpected ";" in command line'),
    ("include /none;", 'open() "/none" failed (2: No such file or directory) in command line'),
]


@pytest.mark.parametrize(("text", "message"), COMMAND_LINE_ERRORS)
def test_command_line_error(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_command_line(text, "/")
    assert str(caught.value) == message


def test_rendering() -> None:
    error = ConfigError('unknown directive "lisen"', "/x/nginx.conf", 3, 'did you mean "listen"?')
    first = 'unknown directive "lisen" in /x/nginx.conf:3'
    assert render(error) == f'nginx: [emerg] {first}\n    hint: did you mean "listen"?'
    assert str(ConfigErrors([error, ConfigError("no events")])) == f"{first}\nno events"
