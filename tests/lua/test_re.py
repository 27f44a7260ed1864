"""``ngx.re``: pyresty against the reference, and what the reference is too old for.

The snippets are in ``re_snippets.py``.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from differential.lua import FILES, locations
from differential.lua import server as conf
from harness import MODULES, REFERENCE, Server, http, request
from re_snippets import NEWER, SNIPPETS

TEMPLATE_ERRORS = (
    'attempt to use named capturing variable "name" (named captures not supported yet)',
    'the closing bracket in "12" variable is missing',
    'lua script: invalid capturing variable name found in "$-"',
)
HAVE_REFERENCE = os.access(REFERENCE, os.X_OK) and (MODULES / "ngx_http_lua_module.so").exists()


def body(server: Server, name: str) -> str:
    """What a snippet says; fails with the error log when it raises."""
    response = request(server, "GET", f"/{name}")
    assert response.status == 200, server.log_text()[-3000:]
    return response.body.decode("utf-8", "backslashreplace")


CONF = conf(SNIPPETS | {name: lua for name, (lua, _) in NEWER.items()})


@pytest.fixture(scope="module")
def reference() -> Iterator[Server]:
    if not HAVE_REFERENCE:
        pytest.skip("no nginx with ngx_lua is installed")
    with Server(CONF, FILES, reference=True) as server:
        yield server


@pytest.fixture(scope="module", params=["on", "off"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """pyresty with the code cache on, and off."""
    with Server(CONF.replace("root html;", f"lua_code_cache {request.param};"), FILES) as server:
        yield server


@pytest.mark.parametrize("name", SNIPPETS)
def test_as_reference(server: Server, reference: Server, name: str) -> None:
    assert body(server, name) == body(reference, name)


@pytest.mark.parametrize("name", NEWER)
def test_newer(server: Server, name: str) -> None:
    assert body(server, name) == NEWER[name][1]


def test_template_errors_are_logged(server: Server) -> None:
    """With no request's context, as they are the business of the whole process."""
    body(server, "templates")
    entries = [entry.partition("[error] ")[2] for entry in server.error_log() if "[error] " in entry]
    said = [re.sub(r"^\d+#\d+: ", "", entry) for entry in entries]
    for line in TEMPLATE_ERRORS:
        assert line in said


def test_jit_is_logged() -> None:
    """At level debug, once for a pattern that is kept, by option "j" alone."""
    text = conf({"run": 'for _, o in ipairs{"o", "jo", "jo", "d"} do ngx.say(ngx.re.find("a", "a", o)) end'})
    with Server(text.replace("error.log info", "error.log debug"), FILES) as server:
        assert body(server, "run") == "11\n" * 4
        assert server.log_text().count("pcre2 JIT compiled successfully") == 1


def test_phases() -> None:
    """In every phase, those without a request included; a pattern that the master kept serves in the workers."""
    text = http(
        r"""
        init_by_lua_block { in_init = ngx.re.match("init 1", [[(\w+) (\d)]], "jo") }
        init_worker_by_lua_block { in_worker = ngx.re.gsub("abc", "b", "x", "jo") }
        server {
            listen {port};
            location / {
                set_by_lua_block $set { return (ngx.re.sub("set", "e", "E", "jo")) }
                rewrite_by_lua_block { ngx.ctx.rewrite = ngx.re.find("rewrite", "w") }
                access_by_lua_block { ngx.ctx.access = ngx.re.match("init 2", [[(\w+) (\d)]], "jo")[2] }
                content_by_lua_block { ngx.say(in_init[1], in_worker, ngx.var.set, ngx.ctx.rewrite, ngx.ctx.access) }
                log_by_lua_block { ngx.log(ngx.ERR, ngx.re.gsub("in log", "l", "L")) }
            }
        }
        """
    )
    with Server(text) as server:
        assert request(server, "GET", "/").body == b"initaxcsEt32\n"
        server.stop()
        assert "in Log" in server.log_text()


LIMITS = http(
    """
    lua_regex_cache_max_entries ENTRIES;
    lua_regex_match_limit LIMIT;
    lua_package_path "{prefix}/lua/?.lua;;";
    server {
        listen {port};
"""
    + locations(
        {
            "limit": r"""
                local long = ("a"):rep(1000) .. "b"
                for _, opts in ipairs{"", "o", "j", "jo"} do
                    ngx.say(opts, " ", select(2, ngx.re.match(long, "(a+)*$", opts)))
                end
                ngx.say(ngx.re.match("aab", "a(.)", "jo")[1])""",
            "entries": r"""
                local empty = require("resty.core.regex").is_regex_cache_empty
                ngx.say(empty())
                local it = ngx.re.gmatch("1 2 3 4", "(\\d)", "jo")
                for i = 1, 9 do
                    assert(ngx.re.match("x" .. i, "x" .. i, "jo")[0] == "x" .. i)
                    assert(ngx.re.gsub("y" .. i, "y", "${0}" .. i, "jo") == "y" .. i .. i)
                    if i % 3 == 0 then collectgarbage() ngx.say(it()[1]) end
                end
                ngx.say(it()[1], show(it()), empty())""",
        }
    )
    + "\n}"
)


@pytest.mark.parametrize("entries", [0, 1, 2, 1024])
def test_limits(entries: int) -> None:
    text = LIMITS.replace("ENTRIES", str(entries)).replace("LIMIT", "50")
    with Server(text, FILES) as server:
        failed = "pcre_exec() failed: -47\n"
        assert body(server, "entries") == f"true\n1\n2\n3\n4nil{'true' if entries == 0 else 'false'}\n"
        assert body(server, "limit") == f" {failed}o {failed}j {failed}jo {failed}a\n"


@pytest.mark.parametrize("name", ["lua_regex_cache_max_entries", "lua_regex_match_limit"])
def test_directives_are_checked(name: str) -> None:
    for value, message in (
        ("-1", f'"{name}" directive invalid number'),
        ("1k", f'"{name}" directive invalid number'),
        (f"1; {name} 2", f'"{name}" directive is duplicate'),
    ):
        server = Server(http(f"{name} {value}; server {{ listen {{port}}; }}"))
        try:
            done = server.run("-t")
            assert done.returncode == 1
            assert message in done.stderr
        finally:
            server.close()


def test_jit_stack() -> None:
    """``ngx.re.opt`` gives compiled patterns the stack that they lack, as long as none is kept."""
    text = conf(
        {
            "run": r"""
                local opt = require("ngx.re").opt
                local long, pattern = ("ab"):rep(20000) .. "!", "^(?:(a)|(b))*$"
                ngx.say(select(2, ngx.re.match(long, pattern, "j")))
                opt("jit_stack_size", 64 * 1024 * 1024)
                ngx.say(show{ngx.re.match(long, pattern, "j")})
                ngx.re.match("a", "a", "jo")
                ngx.say((select(2, pcall(opt, "jit_stack_size", 1)):gsub("^.-: ", "")))"""
        }
    )
    with Server(text, FILES) as server:
        assert body(server, "run") == (
            "pcre_exec() failed: -46\n{}\n"
            "changing jit stack size is not allowed when some regexs have already been compiled and cached\n"
        )


#: What has to be the same without the library.
WITHOUT_LIBRARY = {
    name: lua
    for name, lua in (SNIPPETS | {name: lua for name, (lua, _) in NEWER.items()}).items()
    if name not in ("dfa", "dfa_errors", "duplicate_names", "compile_errors")
}
REFUSED = r"""
    for _, flag in ipairs{"d", "D"} do ngx.say((select(2, pcall(ngx.re.match, "a", "a", flag)))) end
    ngx.say(select(2, ngx.re.match(("a"):rep(1000) .. "b", "(a+)*$", "")))
    ngx.say((select(2, ngx.re.match("a", "(abc", "jo"))))
    local place = select(2, ngx.re.match("a", "ba)b", "jo")):match('in "ba%)b" at "(.+)"$')
    ngx.say(place == ")b" or place == "b")"""


@pytest.fixture(scope="module")
def without_library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """pyresty where the loader finds something else under the library's name."""
    if sys.platform != "linux":
        pytest.skip("hides the library from Linux's loader")
    hidden = tmp_path_factory.mktemp("hidden")
    (hidden / "libpcre2-8.so.0").write_bytes(b"not a library")
    text = conf(WITHOUT_LIBRARY | {"refused": REFUSED}, top="lua_regex_match_limit 5000;")
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LD_LIBRARY_PATH", str(hidden))
            server = stack.enter_context(Server(text, FILES))
        yield server


@pytest.mark.parametrize("name", WITHOUT_LIBRARY)
def test_without_library(without_library: Server, server: Server, name: str) -> None:
    assert body(without_library, name) == body(server, name)


def test_without_library_refuses(without_library: Server) -> None:
    assert body(without_library, "refused") == (
        'flag "d" is not supported without the system library libpcre2-8\n'
        'flag "D" is not supported without the system library libpcre2-8\n'
        "pcre_exec() failed: -47\n"
        'pcre2_compile() failed: missing closing parenthesis in "(abc"\n'
        "true\n"
    )


def test_without_library_says_so(without_library: Server) -> None:
    notices = [entry for entry in without_library.error_log() if "libpcre2-8 was not found" in entry]
    assert len(notices) == 1
    assert "[notice]" in notices[0]
