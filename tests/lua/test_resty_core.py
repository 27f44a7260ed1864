"""The names ``resty.core`` and ``resty.core.*``; ours give on pyresty what lua-resty-core gives on the reference."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from harness import MODULES, REFERENCE, Server, http, request

#: Modules that load wherever the API they stand for is there; most return a table with ``version``.
NAMES = "base base64 coroutine ctx exit hash misc param phase request response socket time uri utils var worker"

CASES = {
    "names": (
        f"""
        local version = require("resty.core.base").version
        ngx.say(type(version), " ", require("resty.core").version == version)
        for name in ("{NAMES}"):gmatch("%S+") do
            local module = require("resty.core." .. name)
            ngx.say(name, " ", module.version == version or module._VERSION == version)
        end
        """,
        "string true\n" + "".join(f"{name} true\n" for name in NAMES.split()),
    ),
    # These stand for a part of the API: they load, or say by name what is missing.
    "missing": (
        """
        for name, api in pairs({ regex = ngx.re or false, shdict = ngx.shared or false, ndk = ndk or false }) do
            local loaded, result = pcall(require, "resty.core." .. name)
            assert(loaded == (api ~= false), name)
            assert(loaded or result:find("is not supported by pyresty yet", 1, true), result)
        end
        ngx.say("ok")
        """,
        "ok\n",
    ),
    "tables": (
        """
        local base = require "resty.core.base"
        local t = base.new_tab(2, 2)
        t[1], t.a = 1, 2
        base.clear_tab(t)
        ngx.say(next(t))
        local refs = {}
        ngx.say(base.ref_in_table(refs, "a"), base.ref_in_table(refs, "b"), base.ref_in_table(refs, nil), " ", refs[2])
        refs[1], refs[0] = refs[0], 1
        ngx.say(base.ref_in_table(refs, "c"), base.ref_in_table(refs, "d"), " ", refs[1], refs[3])
        """,
        "nil\n12-1 b\n13 cd\n",
    ),
    "buffers": (
        """
        local base, ffi = require "resty.core.base", require "ffi"
        local size = base.get_string_buf_size()
        local shared = base.get_string_buf(10)
        ngx.say(size, " ", ffi.sizeof(shared), " ", base.get_string_buf(size) == shared)
        ngx.say(ffi.sizeof(base.get_string_buf(size + 1)), " ", base.get_string_buf(1, true) == shared)
        base.set_string_buf_size(99.5)
        ngx.say(base.get_string_buf_size(), " ", ffi.sizeof(base.get_string_buf(1)))
        base.set_string_buf_size(0)
        base.set_string_buf_size(size)
        local pointer = base.get_size_ptr()
        pointer[0] = 7
        ngx.say(tonumber(base.get_size_ptr()[0]), " ", ffi.sizeof(pointer) == ffi.sizeof("size_t"))
        """,
        "4096 4096 true\n4097 false\n100 100\n7 true\n",
    ),
    "constants": (
        """
        local base = require "resty.core.base"
        ngx.say(base.FFI_OK, base.FFI_ERROR, base.FFI_AGAIN, base.FFI_BUSY, base.FFI_DONE, base.FFI_DECLINED,
                base.FFI_NO_REQ_CTX, base.FFI_BAD_CONTEXT)
        base.allows_subsystem("stream", "http")
        ngx.say(select(2, pcall(function() base.allows_subsystem("stream") end)):match("unsupported.*"))
        """,
        "0-1-2-3-4-5-100-101\nunsupported subsystem: http\n",
    ),
    "utils": (
        """
        local replace = require("resty.core.utils").str_replace_char
        ngx.say("[", replace("a_b_c", "_", "-"), "] [", replace("none", "_", "-"), "]")
        ngx.say("[", replace("a.b%c", ".", "%"), "] [", replace("", "_", "-"), "]")
        """,
        "[a-b-c] [none]\n[a%b%c] []\n",
    ),
    "ctx": (
        """
        local get = require("resty.core.ctx").get_ctx_table
        local mine = { a = 1 }
        ngx.say(get(mine) == mine, " ", ngx.ctx == mine, " ", get({}) == mine, " ", get() == mine, " ", ngx.ctx.a)
        """,
        "true true true true 1\n",
    ),
}

CONF = http("server { listen {port}; location ~ ^/(\\w+)$ { content_by_lua_file lua/$1.lua; } }")
HAVE_REFERENCE = os.access(REFERENCE, os.X_OK) and (MODULES / "ngx_http_lua_module.so").exists()
without_reference = pytest.mark.skipif(not HAVE_REFERENCE, reason="no nginx with ngx_lua is installed")


@pytest.fixture(scope="module", params=["pyresty", pytest.param("reference", marks=without_reference)])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server with one location for each case."""
    files = {f"lua/{name}.lua": lua for name, (lua, _) in CASES.items()}
    with Server(CONF, files, reference=request.param == "reference") as server:
        yield server


@pytest.mark.parametrize("name", CASES)
def test_case(server: Server, name: str) -> None:
    response = request(server, "GET", f"/{name}")
    assert response.status == 200, server.log_text()
    assert response.body.decode() == CASES[name][1]
