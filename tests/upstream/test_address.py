from __future__ import annotations

import socket

import pytest

from pyresty.upstream.address import BadAddress, addresses, parse_url

# text, host, port, port as written, URI, name of the address (None for a name)
URLS = [
    (b"127.0.0.1", b"127.0.0.1", 80, b"", b"", b"127.0.0.1:80"),
    (b"127.0.0.1:8080/a?b:c", b"127.0.0.1", 8080, b"8080", b"/a?b:c", b"127.0.0.1:8080"),
    (b"example.com", b"example.com", 80, b"", b"", None),
    (b"example.com:81", b"example.com", 81, b"81", b"", None),
    (b"example.com/x:y", b"example.com", 80, b"", b"/x:y", None),
    (b"example.com?x/y", b"example.com", 80, b"", b"?x/y", None),
    (b"[::1]", b"[::1]", 80, b"", b"", b"[::1]:80"),
    (b"[0:0::1]:81/x", b"[0:0::1]", 81, b"81", b"/x", b"[::1]:81"),
    (b"unix:/a/b", b"/a/b", 0, b"", b"", b"unix:/a/b"),
    (b"UNIX:/a/b:/u?v", b"/a/b", 0, b"", b"/u?v", b"unix:/a/b"),
]


@pytest.mark.parametrize(("text", "host", "port", "port_text", "uri", "name"), URLS)
def test_parse_url(text: bytes, host: bytes, port: int, port_text: bytes, uri: bytes, name: bytes | None) -> None:
    url = parse_url(text, 80, True)
    assert (url.host, url.port, url.port_text, url.uri) == (host, port, port_text, uri)
    assert (url.address.name if url.address is not None else None) == name
    assert url.is_unix is text.lower().startswith(b"unix:")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "no host"),
        (b":80", "no host"),
        (b"a:", "invalid port"),
        (b"a:0", "invalid port"),
        (b"a:65536", "invalid port"),
        (b"a:8x", "invalid port"),
        (b"[::1", "invalid host"),
        (b"[::1]80", "invalid host"),
        (b"[]", "no host"),
        (b"[x]", "invalid IPv6 address"),
        (b"unix:", "no path in the unix domain socket"),
        (b"unix:" + b"x" * 108, "too long path in the unix domain socket"),
    ],
)
def test_bad_url(text: bytes, message: str) -> None:
    with pytest.raises(BadAddress, match=message):
        parse_url(text, 80, True)


def test_a_uri_only_where_one_may_stand() -> None:
    with pytest.raises(BadAddress, match="invalid host"):
        parse_url(b"a/b", 80, False)
    with pytest.raises(BadAddress, match="invalid host"):
        parse_url(b"[::1]/b", 80, False)


def test_addresses() -> None:
    (address,) = addresses(parse_url(b"127.0.0.1:81", 80, False))
    assert address == (socket.AF_INET, ("127.0.0.1", 81), b"127.0.0.1:81")
    found = addresses(parse_url(b"localhost:81", 80, False))
    assert (socket.AF_INET, ("127.0.0.1", 81), b"127.0.0.1:81") in found
    with pytest.raises(BadAddress, match="host not found"):
        addresses(parse_url(b"no.such.host.invalid", 80, False))
