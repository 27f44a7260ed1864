"""``cjson`` and ``cjson.safe`` are lua-cjson: the cases of ``cjson_cases``, and random documents.

Everything also runs through a compiled lua-cjson where there is one: the system's, or the ``cjson.so`` that the
environment variable ``LUA_CJSON`` names. What the system's is too old for is left out by name.
"""

from __future__ import annotations

import glob
import json
import math
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lupa
import pytest
from cjson_cases import (
    ARRAYS,
    CHUNKS,
    NEWER_CHUNKS,
    NEWER_SETTINGS,
    NEWER_TEXTS,
    SETTINGS,
    STRICT,
    TEXTS,
)

with lupa.allow_lua_module_loading():
    from lupa import luajit21

LUALIB = Path(__file__).parent.parent / "pyresty" / "lualib"
SYSTEM = sorted(glob.glob("/usr/lib/*/lua/5.1/cjson.so") + glob.glob("/usr/local/lib/lua/5.1/cjson.so"))
PEER = os.environ.get("LUA_CJSON") or next(iter(SYSTEM), None)

PRELUDE = r"""
local path, peer = ...
package.path = path .. "/?.lua"
cjson = peer and package.loadlib(peer, "luaopen_cjson")() or require("cjson")
safe = peer and package.loadlib(peer, "luaopen_cjson_safe")() or require("cjson.safe")

local function escape(c)
    return "\\" .. c:byte()
end

-- A value as text that tells everything apart: types, -0, all digits, array_mt; keys in order.
function show(v)
    if v == cjson.null then
        return "null"
    elseif type(v) == "number" then
        return v ~= v and "nan" or ("%.17g"):format(v)
    elseif type(v) == "string" then
        return '"' .. v:gsub('[%c"\\]', escape) .. '"'
    elseif type(v) ~= "table" then
        return tostring(v)
    end
    local fields = {}
    for k, x in pairs(v) do
        fields[#fields + 1] = "[" .. show(k) .. "]=" .. show(x)
    end
    table.sort(fields)
    local is_array = cjson.array_mt and getmetatable(v) == cjson.array_mt
    return "{" .. table.concat(fields, ",") .. "}" .. (is_array and "array" or "")
end

-- What the chunk returns as text, or its error; the instances that it sees have default settings.
function run(source)
    local c = cjson.new()
    local chunk = assert(loadstring(source, "=chunk"))
    local function err(f, ...)
        local ok, message = pcall(f, ...)
        return not ok and message or "no error"
    end
    local env = { cjson = c, safe = safe.new(), e = c.encode, d = c.decode, m = setmetatable, err = err }
    setfenv(chunk, setmetatable(env, { __index = _G }))
    local returned = { pcall(chunk) }
    for i = 1, table.maxn(returned) do
        returned[i] = tostring(returned[i])
    end
    if returned[1] == "false" then
        return "! " .. returned[2]
    end
    return table.concat(returned, " | ", 2)
end

function decode(text, settings)
    local c = cjson.new()
    for name, value in settings:gmatch("(%S+)=(%S+)") do
        c[name](value)
    end
    local ok, v = pcall(c.decode, text)
    return ok and show(v) or "! " .. v
end
"""


def runtime(peer: str | None = None) -> Any:
    """The globals of a fresh Lua VM with ``cjson`` and ``safe``: ours, or those compiled into the file ``peer``."""
    lua = luajit21.LuaRuntime(encoding=None)
    lua.execute(PRELUDE.encode(), str(LUALIB).encode(), peer and peer.encode())
    return lua.globals()


@pytest.fixture(scope="module")
def ours() -> Any:
    return runtime()


@pytest.fixture(scope="module")
def theirs() -> Iterator[Any]:
    if PEER is None:
        pytest.skip("no compiled lua-cjson is installed")
    yield runtime(PEER)


def run(lua: Any, source: str) -> str:
    answer: bytes = lua[b"run"](source.encode("latin-1"))
    return answer.decode("latin-1")


def decode(lua: Any, text: bytes, settings: str = "") -> str:
    answer: bytes = lua[b"decode"](text, settings.encode())
    return answer.decode("latin-1")


def is_new(lua: Any) -> bool:
    """Whether it is OpenResty's lua-cjson as it is today, not 2.1.0."""
    return lua[b"cjson"][b"encode_indent"] is not None


@pytest.mark.parametrize(("source", "expected"), CHUNKS + NEWER_CHUNKS)
def test_chunk(ours: Any, source: str, expected: str) -> None:
    assert run(ours, source) == expected


@pytest.mark.parametrize(("text", "expected"), TEXTS + NEWER_TEXTS, ids=lambda v: ascii(v)[:60])
def test_text(ours: Any, text: bytes, expected: str) -> None:
    assert decode(ours, text) == expected


@pytest.mark.parametrize(("settings", "text", "expected"), SETTINGS + NEWER_SETTINGS)
def test_text_with_settings(ours: Any, settings: str, text: bytes, expected: str) -> None:
    assert decode(ours, text, settings) == expected


def test_same_as_compiled(ours: Any, theirs: Any) -> None:
    new = is_new(theirs)
    for source, _ in CHUNKS + (NEWER_CHUNKS if new else []):
        assert run(ours, source) == run(theirs, source), source
    for text, _ in TEXTS + (NEWER_TEXTS if new else []):
        assert decode(ours, text) == decode(theirs, text), text[:60]
    for settings, text, _ in SETTINGS + (NEWER_SETTINGS if new else []):
        assert decode(ours, text, settings) == decode(theirs, text, settings), (settings, text[:60])


def random_string(rng: random.Random) -> str:
    alphabet = rng.choice(["abcdefghijklmnopqrstuvwxyz", 'ab"\\/\n\t\0\x1f\x7f', "aé€😀\ud7ff\ue000"])
    return "".join(rng.choice(alphabet) for _ in range(rng.choice([0, 1, 5, 8, 9, 15, 16, 17, 40, 250])))


def random_number(rng: random.Random) -> float:
    kind = rng.randint(0, 4)
    if kind == 0:
        return rng.randint(-10, 10)
    if kind == 1:
        return rng.randint(-(2**40), 2**40)
    if kind == 2:
        return rng.randint(-(10**6), 10**6) / 100
    if kind == 3:
        return float(rng.random() * 10.0 ** rng.randint(-40, 40))
    return math.ldexp(rng.random() - 0.5, rng.randint(-1070, 1020))


def random_document(rng: random.Random, depth: int, keys: int = 5) -> Any:
    kind = rng.randint(0, 9) if depth else rng.randint(4, 9)
    if kind < 2:
        return [random_document(rng, depth - 1, keys) for _ in range(rng.randint(1, 5))]
    if kind < 4:
        return {random_string(rng): random_document(rng, depth - 1, keys) for _ in range(rng.randint(1, keys))}
    if kind < 6:
        return random_string(rng)
    return random_number(rng) if kind < 8 else rng.choice([True, False, None])


def random_text(rng: random.Random, document: Any) -> bytes:
    text = json.dumps(document, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, None, 2]))
    return text.encode("utf-8", "surrogatepass")


def same(a: Any, b: Any) -> bool:
    """The same document, but for what is lost where a number is written with 14 digits."""
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, int | float) and not isinstance(a, bool):
        return isinstance(b, int | float) and float(f"{a:.14g}") == b
    return type(a) is type(b) and bool(a == b)


def test_round_trip(ours: Any) -> None:
    """A document that Python wrote is, after decode() and encode(), the same document to Python."""
    rng = random.Random(20)
    for _ in range(3000):
        document = random_document(rng, 5)
        encoded = ours[b"cjson"][b"encode"](ours[b"cjson"][b"decode"](random_text(rng, document)))
        assert same(document, json.loads(encoded))


def test_numbers(ours: Any) -> None:
    """Numbers are read to the nearest double and written as C's ``%.14g`` or ``%.16g`` does."""
    rng = random.Random(21)
    cjson, precise = ours[b"cjson"], ours[b"cjson"][b"new"]()
    precise[b"encode_number_precision"](16)
    for _ in range(20000):
        number = random_number(rng)
        for text in (repr(float(number)), f"{number:.6f}", f"{number:.20e}"):
            assert cjson[b"decode"](text.encode()) == float(text), text
        assert cjson[b"encode"](number) == b"%.14g" % number
        assert precise[b"encode"](number) == b"%.16g" % number


def test_damaged_texts_as_compiled(ours: Any, theirs: Any) -> None:
    """Whatever a text has become: the same value, or the same message, as from the compiled one."""
    rng = random.Random(22)
    pieces = b'{ } [ ] : , " \\ \\u00e9 \\ud83d \n true null nan - 1.5 0x1F 1e5 \0'.split(b" ")
    for _ in range(4000):
        text = random_text(rng, random_document(rng, 3))
        at = rng.randint(0, len(text))
        text = text[:at] + rng.choice([b"", *pieces]) + text[at + rng.randint(0, 2) :]
        settings = rng.choice(["", STRICT])
        mine = decode(ours, text, settings)
        if not is_new(theirs):
            mine = mine.replace("T_INTEGER", "T_NUMBER")
        assert mine == decode(theirs, text, settings), text


def test_encodes_as_compiled(ours: Any, theirs: Any) -> None:
    """Objects have one key here, as the order of keys is another in each VM."""
    rng = random.Random(23)
    for _ in range(1000):
        text = json.dumps(random_document(rng, 4, keys=1))
        source = f"return e(d([==[{text}]==]))"
        assert run(ours, source) == run(theirs, source)


@pytest.mark.parametrize("unit", [b"[1.]", b"1.", b"[[1.]]", b"[]", b'{"":1.}', b'"\\n"', b'""', b"{}"])
def test_sizes(ours: Any, unit: bytes) -> None:
    """Texts around the sizes at which working memory grows, of the forms that need the most of it."""
    one = decode(ours, unit)
    for size in (4090, 4100, 8000, 262150, 400000):
        n = size // (len(unit) + 1)
        text = b"[" + b",".join([unit] * n) + b"]"
        expected = sorted(f"[{i}]={one}" for i in range(1, n + 1))
        for settings in ("", ARRAYS):
            assert decode(ours, text, settings).replace("array", "") == "{" + ",".join(expected) + "}"
        assert decode(ours, text[:-1]) == f"! Expected comma or array end but found T_END at character {len(text)}"


def test_encode_within_encode(ours: Any) -> None:
    """A metamethod may encode and decode, yield, or raise, while another encode() is under way."""
    source = """
        local proxy = m({}, { __len = function() return 1 end, __index = function()
            coroutine.yield(e({ nested = d("[1,2]") }))
            return "after"
        end })
        local co = coroutine.wrap(function() return e({ "before", proxy }) end)
        local first = co()
        local message = err(e, { m({}, { __len = function() error("no", 0) end }) })
        return first, message, e({ "other" }), co()
    """
    assert run(ours, source) == '{"nested":[1,2]} | no | ["other"] | ["before",["after"]]'


def test_keeps_nothing(ours: Any) -> None:
    """Neither a value that was encoded nor one that was decoded is held on to."""
    source = """
        local held = m({}, { __mode = "k" })
        local deep, top = {}, {}
        deep[1], top.list = {}, { { deep } }
        held[deep], held[deep[1]], held[top] = true, true, true
        e(top)
        held[d('{"a":[1]}')] = true
        deep, top = nil, nil
        collectgarbage() collectgarbage()
        return tostring(next(held))
    """
    assert run(ours, source) == "nil"


def test_null_is_the_null_pointer(ours: Any) -> None:
    """``cjson.null`` is the same lightuserdata as ``ngx.null`` and as any other library's NULL."""
    source = "return cjson.null == require('string.buffer').decode('\\3'), rawequal(d('[null]')[1], cjson.null)"
    assert run(ours, source) == "true | true"


def test_chunk_runs_again(ours: Any) -> None:
    """As with ``lua_code_cache off``: the module's chunk makes new settings and the same markers."""
    source = """
        local chunk = assert(loadfile(package.searchpath("cjson", package.path)))
        local one, two = chunk(), chunk()
        one.encode_escape_forward_slash(false)
        return one.encode("/"), two.encode("/"), one.array_mt == two.array_mt, one.empty_array == two.empty_array
    """
    assert run(ours, source) == r'"/" | "\/" | true | true'


def test_interpreted(ours: Any) -> None:
    """The same without LuaJIT's compiler."""
    interpreted = runtime()
    run(interpreted, "require('jit').off() require('jit').flush()")
    rng = random.Random(24)
    for _ in range(200):
        text = json.dumps(random_document(rng, 4)).encode()
        assert decode(interpreted, text) == decode(ours, text)
    for source, expected in CHUNKS + NEWER_CHUNKS:
        assert run(interpreted, source) == expected
