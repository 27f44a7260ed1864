"""Each hint names the mend of one mistake; those for Lua get what LuaJIT really says. And the table of directives."""

from __future__ import annotations

import pytest
from lupa import luajit21

from pyresty.config import hints, known
from pyresty.config.directives import EVENTS, HTTP, LIF, LMT, LOCATION, MAIN, SERVER, SIF, UPSTREAM, Where
from pyresty.config.parse import Node

NAMES = ["listen", "location", "proxy_pass", "worker_processes", "error_log"]

UNKNOWN = [
    ("lisen", 'did you mean "listen"?'),
    ("proxy-pass", 'did you mean "proxy_pass"?'),
    ("proxy_next_upsteam", 'did you mean "proxy_next_upstream"?'),
    ("Listen", 'directives are written in small letters: "listen"'),
    ("listen=80", 'a blank, and nothing else, separates a directive from its value: "listen …;"'),
    ("listen:", 'a blank, and nothing else, separates a directive from its value: "listen …;"'),
    ("\ufeffevents", "the file begins with a byte order mark: save it as UTF-8 without one"),
    ("listen\u00a080", "a no-break space (U+00A0) stands here: replace it by an ordinary blank"),
    ("\u3000listen", "an ideographic space (U+3000) stands here: replace it by an ordinary blank"),
    ("listen；", "write ; for ；"),
    ("ngx.say(1)", 'Lua code belongs inside a block such as "content_by_lua_block { … }"'),
    ("local", 'Lua code belongs inside a block such as "content_by_lua_block { … }"'),
    ("3}$", 'a regular expression with braces must stand in quotes: "…{3}…"'),
    ("2,}", 'a regular expression with braces must stand in quotes: "…{3}…"'),
    ("xyzzy", None),
]


@pytest.mark.parametrize(("name", "hint"), UNKNOWN)
def test_unknown_directive(name: str, hint: str | None) -> None:
    assert hints.unknown_directive(name, NAMES) == hint


def test_unknown_variable() -> None:
    names = ["remote_addr", "request_uri", "http_host"]
    assert hints.unknown_variable("remote_adr", names) == 'did you mean "$remote_addr"?'
    assert hints.unknown_variable("Request_URI", names) == 'variables are written in small letters: "$request_uri"'
    assert hints.unknown_variable("my_own", names) is None


def test_upstream() -> None:
    mend = 'there is an "upstream md_server { … }": did you mean "md_server"?'
    assert hints.upstream("md5_server", ["md_server", "static"]) == mend
    assert hints.upstream("example.com", ["md_server"]) is None


def test_missing_events() -> None:
    assert "events {}" in hints.missing_events()


def test_missing_semicolon() -> None:
    def mend(*args: str) -> str | None:
        return hints.missing_semicolon(Node("listen", list(args), "f", 1, None))

    assert mend("80", "server_name", "x") == 'is a ";" missing before "server_name"?'
    assert mend("80", "root", "html") == 'is a ";" missing before "root"?'
    assert mend("80；") == "write ; for ；"
    assert mend("80", "default_server", "reuseport") is None


BEFORE = Node("server", [], "f", 3, [], end=32)

MISPLACED = [
    ("location", HTTP, SERVER | LOCATION, None, 'belongs inside "server { … }" or "location { … }"'),
    ("location", HTTP, SERVER | LOCATION, BEFORE, 'the "server" before it ends with the "}" in line 32'),
    (
        "gzip",
        HTTP,
        HTTP | SERVER | LOCATION | LIF,
        BEFORE,
        '"gzip" belongs inside "http { … }", "server { … }" or "loc',
    ),
    ("server", MAIN, HTTP | UPSTREAM, None, '"server" belongs inside "http { … }" or "upstream { … }"'),
    ("worker_processes", HTTP, MAIN, None, "belongs at the top of the file, outside of all blocks"),
    ("worker_connections", MAIN, EVENTS, None, '"worker_connections" belongs inside "events { … }"'),
    ("proxy_pass", SERVER, LOCATION | LIF | LMT, None, '"proxy_pass" belongs inside "location { … }"'),
    ("root", LIF, LOCATION, None, '"root" may not stand inside "if"; it belongs inside "location { … }"'),
    ("x", SERVER, SIF, None, '"x" belongs inside "if" inside "server"'),
]


@pytest.mark.parametrize(("name", "here", "allowed", "previous", "hint"), MISPLACED)
def test_misplaced(name: str, here: Where, allowed: Where, previous: Node | None, hint: str) -> None:
    assert hint in hints.misplaced(Node(name, [], "f", 34, None), here, allowed, previous)


KNOWN = [
    ("proxy_pass", "ngx_http_proxy_module", "location"),
    ("worker_processes", "ngx_core_module", "main"),
    ("content_by_lua_block", "ngx_http_lua_module", "location"),
    ("precontent_by_lua_file", "ngx_http_lua_module", "http"),
    ("balancer_by_lua_block", "ngx_http_lua_module", "upstream"),
    ("echo_location_async", "ngx_http_echo_module", "location"),
    ("set_unescape_uri", "ngx_http_set_misc_module", "if in location"),
    ("more_set_headers", "ngx_http_headers_more_filter_module", "location"),
    ("memc_pass", "ngx_http_memc_module", "location"),
    ("srcache_fetch", "ngx_http_srcache_filter_module", "location"),
    ("array_split", "ngx_http_array_var_module", "location"),
    ("set_encrypt_session", "ngx_http_encrypted_session_module", "location"),
    ("set_form_input", "ngx_http_form_input_module", "location"),
    ("redis2_query", "ngx_http_redis2_module", "location"),
    ("rds_json", "ngx_http_rds_json_filter_module", "location"),
    ("drizzle_server", "ngx_http_drizzle_module", "upstream"),
    ("postgres_pass", "ngx_postgres_module", "location"),
    ("set_iconv", "ngx_http_iconv_module", "location"),
    ("mgmt", "ngx_mgmt_module", "main"),
    ("enforce_initial_report", "ngx_mgmt_module", "mgmt"),
    ("js_content", "ngx_http_js_module", "location"),
    ("ssl_preread", "ngx_stream_ssl_preread_module", "stream server"),
    ("include", "ngx_conf_module", "any"),
]


@pytest.mark.parametrize(("name", "module", "where"), KNOWN)
def test_known(name: str, module: str, where: str) -> None:
    found = known.lookup(name)
    assert found is not None
    assert found.module == module
    assert where in found.where


def test_one_name_in_several_modules() -> None:
    found = known.lookup("server")
    assert found is not None
    assert found.modules["ngx_http_core_module"] == ("http",)
    assert found.modules["ngx_stream_upstream_module"] == ("stream upstream",)


def test_not_known() -> None:
    assert known.lookup("lisen") is None
    assert len(known.names()) == len(set(known.names())) > 1000


LUA = [
    ('f("/x", {method: ngx.HTTP_POST})', "a Lua table is written {method = …}, not {method: …}"),
    ("f({\n  method: ngx.HTTP_POST,\n})", "a Lua table is written {method = …}, not {method: …}"),
    ('t = {"a": 1}', 'a Lua table is written {["key"] = …}, not {"key": …}'),
    ("x = [1, 2]", "a Lua list is written {a, b}, not [a, b]"),
    ("if a != 'b' then end", 'Lua writes "~=" for "!="'),
    ("x = a !== b", 'Lua writes "~=" for "!=="'),
    ("x = a <> b", 'Lua writes "~=" for "<>"'),
    ("if a && b then end", 'Lua writes "and" for "&&"'),
    ("x = a || b", 'Lua writes "or" for "||"'),
    ("x = a | b", 'Lua has no "|": bit.bor(a, b)'),
    ("if !a then end", 'Lua writes "not" for "!"'),
    ("if a then\n x=1\nelse if b then\n x=2\nend", 'line 3: Lua writes "elseif" in one word; an "else if" needs an'),
    ("if a then x=1 elif b then end", 'Lua writes "elseif" for "elif"'),
    ("return null.x", 'Lua writes "nil" for "null"'),
    ("a.b += 1", 'Lua has no "+=": a.b = a.b + …'),
    ("s ..= 'x'", 'Lua has no "..=": s = s .. …'),
    ("i++", 'Lua has no "++": i = i + 1'),
    ("++i", 'Lua has no "++": i = i + 1'),
    ("if args.key = res.body then end", 'after "if", Lua compares with "==": "=" only assigns'),
    ("while (a = b) do end", 'after "while", Lua compares with "==": "=" only assigns'),
    ("if a === b then end", 'Lua writes "==" for "==="'),
    ("local x == 1", 'to assign, write "x = …" with one "="'),
    ("local r = f('/spe_md5',\n  { body = x }\n\nif 200 ~= r then end", 'the "(" in line 1 lacks its ")"'),
    ("f(1\ng(2)", 'the "(" in line 1 lacks its ")"'),
    ("f((1)", 'the "(" in line 1 lacks its ")"'),
    ("ngx.print(ngx.md5(data .. '*&^%$#$^&kjtrKUYG')))", 'there is one ")" too many'),
    ("if a then end end", 'there is one "end" too many'),
    ("for i=1,2 do\n if a then\n  continue\n end\nend", 'Lua has no "continue": "goto continue", with "::continue::"'),
    ("local f = (x) => x", 'Lua writes "function(…) … end" for "=>"'),
    ("local f = function(x) { return x }", "line 1: Lua blocks have no braces"),
    ("if (a) {\n}", "line 1: Lua blocks have no braces"),
    ("for (i = 0; i < 3; i++) {\n}", 'Lua loops are "for i = 1, n do … end"'),
    ("x = 1 // comment", 'Lua comments begin with "--"'),
    ("x = 1 # comment", 'Lua comments begin with "--"'),
    ("/* comment */", 'Lua comments are "--", or "--[[ … ]]" over several lines'),
    ("const x = 1", 'Lua declares variables with "local", not "const"'),
    ("let x = 1", 'Lua declares variables with "local", not "let"'),
    ("var x = 1", 'Lua declares variables with "local", not "var"'),
    ("def f():", 'Lua defines functions with "function", not "def"'),
    ("x = `a ${b}`", "are joined with"),
    ("x = a ? b : c", 'Lua writes "a and b or c" for "a ? b : c"'),
    ("if a == 1:", 'Lua writes "if … then" for "if …:"'),
    ("if a == 1\n  x = 1\nend", '"then" is missing at the end of the line above'),
    ("while a\n  x = 1\nend", '"do" is missing at the end of the line above'),
    ("return 1\nf()", '"return" must be the last statement of its block'),
    ("x = 'a' + 'b'", 'Lua joins strings with "..", not "+"'),
    ("f（1）", "write ( for （"),
]


def complaint(code: str) -> str:
    """What LuaJIT says of ``code``, compiled and run as ngx_lua names its chunks."""
    lua = luajit21.LuaRuntime(encoding="utf-8")
    run = lua.eval(
        "function(code) local chunk, err = loadstring(code, '=content_by_lua(nginx.conf:10)')"
        " if not chunk then return err end local ok, err = pcall(chunk) return ok and '' or err end"
    )
    return str(run(code))


@pytest.mark.parametrize(("code", "hint"), LUA)
def test_lua(code: str, hint: str) -> None:
    found = hints.lua_hint(complaint(code), code.encode())
    assert found is not None and hint in found


NO_HINT = [
    "x = 'a != b' y",  # what looks foreign stands in a string
    "x = 1 y -- a && b",
    "f(a b)",  # a comma, an operator, or a word too many
    "f('a',\n 'b'\n 'c')",
    "t = {a = 1 b = 2}",
    "if x then",  # LuaJIT says all there is to say
    "x = 'abc",
    "f('a' .. )",
    "obj:method",
]


@pytest.mark.parametrize("code", NO_HINT)
def test_no_hint_where_the_mend_is_not_certain(code: str) -> None:
    message = complaint(code)
    assert message != ""
    assert hints.lua_hint(message, code.encode()) is None


def test_lua_hint_survives_messages_of_another_form() -> None:
    assert hints.lua_hint("cannot open file", b"x") is None
    assert hints.lua_hint("chunk:99: unexpected symbol near '!'", b"x") is None
