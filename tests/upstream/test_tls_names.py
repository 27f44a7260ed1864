"""Names of TLS: which certificate is for which name, and what may be sent (``X509_check_host``, RFC 6066)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pyresty.upstream.tls_client import check_host, is_host_name, without_port


def presenting(*dns: str, cn: str = "") -> Any:
    """A connection whose peer has shown this certificate."""
    subject = ((("commonName", cn),),) if cn else ()
    certificate = {"subject": subject, "subjectAltName": tuple(("DNS", name) for name in dns)}
    return SimpleNamespace(getpeercert=lambda: certificate)


@pytest.mark.parametrize(
    ("certificate", "name", "fits"),
    [
        (presenting("a.test"), "a.test", True),
        (presenting("A.Test"), "a.tEST", True),
        (presenting("b.test", "a.test"), "a.test", True),
        (presenting("a.test", cn="c.test"), "c.test", False),
        (presenting(cn="c.test"), "c.test", True),
        (presenting("*.a.test"), "x.a.test", True),
        (presenting("*.a.test"), "a.test", False),
        (presenting("*.a.test"), ".a.test", False),
        (presenting("*.a.test"), "x.y.a.test", False),
        (presenting("*.test"), "a.test", False),
        (presenting("x*.a.test"), "xyz.a.test", True),
        (presenting("x*.a.test"), "x.a.test", False),
        (presenting("*y.a.test"), "xn--y.a.test", False),
        (presenting("*.*.a.test"), "x.y.a.test", False),
        (presenting("*"), "a", False),
        (presenting("a.test"), "", False),
        (presenting(), "a.test", False),
    ],
)
def test_check_host(certificate: Any, name: str, fits: bool) -> None:
    assert check_host(certificate, name) is fits


@pytest.mark.parametrize(
    ("name", "may_be_sent"),
    [("a.test", True), ("localhost", True), ("10.0.0.1", False), ("[::1]", False), ("", False), (".a", False)],
)
def test_host_name(name: str, may_be_sent: bool) -> None:
    assert is_host_name(name) is may_be_sent


@pytest.mark.parametrize(
    ("name", "host"), [("a", "a"), ("a:80", "a"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("", ""), ("a:", "a")]
)
def test_port(name: str, host: str) -> None:
    assert without_port(name) == host
