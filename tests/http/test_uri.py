from __future__ import annotations

import random

import pytest

from pyresty.http.uri import (
    ESCAPE_ARGS,
    ESCAPE_HTML,
    ESCAPE_MAIL_AUTH,
    ESCAPE_MEMCACHED,
    ESCAPE_REFRESH,
    ESCAPE_URI,
    ESCAPE_URI_COMPONENT,
    UNESCAPE_REDIRECT,
    UNESCAPE_URI,
    BadRequest,
    UnsafeURI,
    escape_uri,
    lua_escape_uri,
    lua_unescape_uri,
    parse_target,
    parse_unsafe_uri,
    unescape,
)

# What nginx 1.22 shows as $uri and $args for these targets.
PATHS: list[tuple[bytes, bytes, bytes | None]] = [
    (b"/", b"/", None),
    (b"/a/b.html", b"/a/b.html", None),
    (b"/a?b", b"/a", b"b"),
    (b"/a?", b"/a", None),
    (b"/a?b?c", b"/a", b"b?c"),
    (b"/a#x?y", b"/a", None),
    (b"/a?b#c", b"/a", b"b"),
    (b"/?#x", b"/", b""),
    (b"/a?b?c#d#e", b"/a", b"b?c"),
    (b"//a//b", b"/a/b", None),
    (b"///", b"/", None),
    (b"/a//", b"/a/", None),
    (b"/./a/../b", b"/b", None),
    (b"/a/..", b"/", None),
    (b"/a/.", b"/a/", None),
    (b"/a/./", b"/a/", None),
    (b"/a/../", b"/", None),
    (b"/a/b/../..", b"/", None),
    (b"/a//../b", b"/b", None),
    (b"/.a", b"/.a", None),
    (b"/..a", b"/..a", None),
    (b"/a..", b"/a..", None),
    (b"/.../x", b"/.../x", None),
    (b"/a/.?x", b"/a/", b"x"),
    (b"/a/..?x", b"/", b"x"),
    (b"/a/..#x", b"/", None),
    (b"/a/%2e%2E/b", b"/b", None),
    (b"/a/.%2e/b", b"/b", None),
    (b"/a/%2e", b"/a/", None),
    (b"/%2F%2fa", b"/a", None),
    (b"/%41%3f%23%25?x", b"/A?#%", b"x"),
    (b"/%2541", b"/%41", None),
    (b"/a%20b+c", b"/a b+c", None),
    (b"/%C3%A9", b"/\xc3\xa9", None),
    (b"/\xff\xe4", b"/\xff\xe4", None),
    (b"/x?%zz", b"/x", b"%zz"),
    (b'/"<>\\^`{|}', b'/"<>\\^`{|}', None),
    (b"/a;b,c@d:e=f&g$h!i'j(k)l*m~n", b"/a;b,c@d:e=f&g$h!i'j(k)l*m~n", None),
]

REFUSED = [
    b"", b"*", b"a", b"?a", b"#", b"/..", b"/%2e%2e", b"/a/b/../../..", b"/%00", b"/a/.%00", b"/%", b"/%4", b"/%zz",
    b"/a%?x", b"/a%4?x", b"/a\x01", b"/a\x7f", b"/a\tb", b"/a?\x00", b"http:/a", b"http:a", b"1http://b/", b"ht_tp://b/",
    b"http://b:x/", b"http://b_c/x", b"http://b#x", b"http://[::1/x", b"http://[::1]x/", b"http://a@b/", b"://b/",
]  # fmt: skip

# Target, host, $request_uri, $uri, $args.
ABSOLUTE: list[tuple[bytes, bytes, bytes, bytes, bytes | None]] = [
    (b"http://b", b"b", b"/", b"/", None),
    (b"http://B:80/x?y", b"B:80", b"/x?y", b"/x", b"y"),
    (b"http://b?x=1", b"b", b"?x=1", b"/", b"x=1"),
    (b"http://b:/a//b", b"b:", b"/a//b", b"/a/b", None),
    (b"http://[::1]:80/%41", b"[::1]:80", b"/%41", b"/A", None),
    (b"h+-.1://b/x", b"b", b"/x", b"/x", None),
    (b"http://", b"", b"/", b"/", None),
    (b"http:///x", b"", b"/x", b"/x", None),
]


@pytest.mark.parametrize(("target", "uri", "args"), PATHS)
def test_paths_as_nginx_reads_them(target: bytes, uri: bytes, args: bytes | None) -> None:
    parsed = parse_target(target, True)
    assert (parsed.uri, parsed.args, parsed.host, parsed.unparsed) == (uri, args, None, target)


@pytest.mark.parametrize("target", [*REFUSED, b"/.//..//a"])
def test_targets_that_nginx_refuses(target: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_target(target, True)


@pytest.mark.parametrize(("target", "host", "unparsed", "uri", "args"), ABSOLUTE)
def test_absolute_targets(target: bytes, host: bytes, unparsed: bytes, uri: bytes, args: bytes | None) -> None:
    parsed = parse_target(target, True)
    assert (parsed.host, parsed.unparsed, parsed.uri, parsed.args) == (host, unparsed, uri, args)


@pytest.mark.parametrize(
    ("target", "uri"),
    [
        (b"/a//b", b"/a//b"),
        (b"//a///", b"//a///"),
        (b"/a//../b", b"/a/b"),
        (b"//..", b"/"),
        (b"/a/.//b", b"/a//b"),
        (b"/%2Fa", b"//a"),
        (b"/a/./b/..", b"/a/"),
    ],
)
def test_slashes_stay_without_merge_slashes(target: bytes, uri: bytes) -> None:
    assert parse_target(target, False).uri == uri


def test_quoted_is_about_the_path_only() -> None:
    assert parse_target(b"/%41", True).quoted
    assert not parse_target(b"/a?%41", True).quoted
    assert not parse_target(b"/a#%41", True).quoted


def test_plain_and_odd_roads_agree() -> None:
    """A path with a redundant "/./" takes the slow road and must come out as the plain one."""
    rnd = random.Random(1)
    for _ in range(300):
        lengths = rnd.choices(range(1, 6), k=rnd.randrange(1, 5))
        segments = [bytes(rnd.choices(b"abz09-_~!'()*,;:@=&$", k=length)) for length in lengths]
        plain = b"/" + b"/".join(segments)
        odd = b"/./" + b"/".join(b"x/../" + b"".join(b"%%%02x" % byte for byte in one) for one in segments)
        assert parse_target(plain, True).uri == plain == parse_target(odd, True).uri


UNSAFE: list[tuple[bytes, tuple[bytes, bytes | None] | None]] = [
    (b"/a", (b"/a", None)),
    (b"/a?b", (b"/a", b"b")),
    (b"/a?", (b"/a", b"")),
    (b"a", (b"a", None)),
    (b"//./a", (b"//./a", None)),
    (b"/%41?%41", (b"/A", b"%41")),
    (b"/a%3fb?c", (b"/a?b", b"c")),
    (b"/%zz%4", (b"/zz", None)),
    (b"/...", (b"/...", None)),
    (b"/a..", (b"/a..", None)),
    (b"/a?/../b", (b"/a", b"/../b")),
    (b"", None),
    (b"?a", None),
    (b"..", None),
    (b"../a", None),
    (b"/..", None),
    (b"/../", None),
    (b"/a/../b", None),
    (b"/a/%2e%2e", None),
    (b"/a%2f..", None),
    (b"/\0", None),
    (b"/%00", None),
]


@pytest.mark.parametrize(("uri", "expected"), UNSAFE)
def test_internal_uris(uri: bytes, expected: tuple[bytes, bytes | None] | None) -> None:
    if expected is None:
        with pytest.raises(UnsafeURI):
            parse_unsafe_uri(uri)
    else:
        assert parse_unsafe_uri(uri) == expected


def _escaped(kind: int) -> bytes:
    return bytes(byte for byte in range(0x21, 0x7F) if escape_uri(bytes((byte,)), kind) != bytes((byte,)))


def _lua_escaped(kind: int) -> bytes:
    return bytes(byte for byte in range(0x21, 0x7F) if lua_escape_uri(bytes((byte,)), kind) != bytes((byte,)))


def test_printable_bytes_that_each_kind_escapes() -> None:
    assert _escaped(ESCAPE_URI) == b'"#%<>?\\^`{|}'
    assert _escaped(ESCAPE_ARGS) == b'"#%&+;<>?\\^`{|}'
    assert _escaped(ESCAPE_URI_COMPONENT) == b"!\"#$%&'()*+,/:;<=>?@[\\]^`{|}"
    assert _escaped(ESCAPE_HTML) == b"\"#%'<>\\^`{|}"
    assert _escaped(ESCAPE_REFRESH) == b"\"'<>\\^`{|~"
    assert _escaped(ESCAPE_MEMCACHED) == _escaped(ESCAPE_MAIL_AUTH) == b"%"


def test_printable_bytes_that_ngx_escape_uri_escapes() -> None:
    assert _lua_escaped(ESCAPE_URI) == b"#%?"
    assert _lua_escaped(ESCAPE_ARGS) == b"#%+?"
    assert _lua_escaped(ESCAPE_URI_COMPONENT) == b'"#$%&+,/:;<=>?@[\\]^`{|}'
    assert _lua_escaped(ESCAPE_HTML) == b"\"#%'"
    assert _lua_escaped(ESCAPE_REFRESH) == b"\"'"
    assert _lua_escaped(ESCAPE_MEMCACHED) == b"%"


def test_escapes_are_upper_case_and_leave_plain_data_alone() -> None:
    assert escape_uri(b"/a b\xc3\xa9\x7f") == b"/a%20b%C3%A9%7F"
    assert escape_uri(b"\x01 \xff", ESCAPE_MEMCACHED) == b"%01%20\xff"
    assert lua_escape_uri(b"a b/\xe4") == b"a%20b%2F%E4"
    plain = b"plain-text"
    assert escape_uri(plain, ESCAPE_URI_COMPONENT) is plain


@pytest.mark.parametrize(
    ("data", "decoded"),
    [
        (b"a+b%20c", b"a b c"),
        (b"%2B%41%c3", b"+A\xc3"),
        (b"%", b"%"),
        (b"%4", b"%4"),
        (b"%zz%41", b"%zzA"),
        (b"%%41", b"%A"),
        (b"%4%41", b"%4A"),
        (b"%+1", b"% 1"),
        (b"?a%3f", b"?a?"),
    ],
)
def test_ngx_unescape_uri(data: bytes, decoded: bytes) -> None:
    assert lua_unescape_uri(data) == decoded


def test_escape_then_unescape_is_the_identity() -> None:
    data = bytes(range(256))
    assert lua_unescape_uri(lua_escape_uri(data)) == data
    assert unescape(escape_uri(data, ESCAPE_URI_COMPONENT)) == data


@pytest.mark.parametrize(
    ("data", "component", "uri", "redirect"),
    [
        (b"/a+b", b"/a+b", b"/a+b", b"/a+b"),
        (b"/%41%20", b"/A ", b"/A ", b"/A%20"),
        (b"/%zz", b"/zz", b"/zz", b"/zz"),
        (b"/%4", b"/", b"/", b"/"),
        (b"/%4za", b"/a", b"/a", b"/a"),
        (b"/%%41", b"/%41", b"/%41", b"/%41"),
        (b"/%4%41", b"/41", b"/41", b"/41"),
        (b"/%3F%41", b"/?A", b"/?%41", b"/?%41"),
        (b"/?%41", b"/?A", b"/?%41", b"/?%41"),
        (b"/%25%7F%c3%24", b"/%\x7f\xc3$", b"/%\x7f\xc3$", b"/%25%7F%c3%24"),
        (b"/%26%7e", b"/&~", b"/&~", b"/&~"),
    ],
)
def test_unescape_as_rewrite_does(data: bytes, component: bytes, uri: bytes, redirect: bytes) -> None:
    assert unescape(data) == component
    assert unescape(data, UNESCAPE_URI) == uri
    assert unescape(data, UNESCAPE_REDIRECT) == redirect
