"""Contexts where OpenSSL's own functions can't be called: what needs them is refused by name, the rest works."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from authority import Authority, needs_openssl

from pyresty.tls import openssl, pem
from pyresty.tls.context import TLSError, load_pem
from pyresty.tls.settings import OPTIONAL, ServerTLS, Values, make_context

pytestmark = needs_openssl


def read(ca: Authority, name: str) -> bytes:
    return Path(ca.path(name)).read_bytes()


@pytest.fixture(params=["", "no ctypes today"])
def why_not(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param:
        monkeypatch.setattr(openssl, "WHY_NOT", request.param)
    elif openssl.WHY_NOT:
        pytest.skip(openssl.WHY_NOT)
    return str(request.param)


def shake_hands(server: ssl.SSLContext, certificate: ssl.SSLContext | None = None) -> tuple[ssl.SSLObject, bytes]:
    """The server's side of a handshake with a client that trusts everybody, and the certificate it got."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = context.wrap_bio(back, there, server_hostname="one.test")
    other = server.wrap_bio(there, back, server_side=True)
    if certificate is not None:
        other.context = certificate
    for side in (one, other) * 4:
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return other, one.getpeercert(True) or b""


def test_a_handshake(ca: Authority, why_not: str) -> None:
    context = make_context(Values(verify=OPTIONAL, client_certificate=ca.path("ca.crt"), curves="prime256v1"))
    load_pem(context, read(ca, "one.crt"), read(ca, "one.key"))
    tls, certificate = shake_hands(context)
    assert tls.version() == "TLSv1.3"
    assert certificate == pem.certificates(read(ca, "one.crt"))[0]  # type: ignore[index]


@pytest.mark.parametrize(
    "values", [Values(commands=(("Options", "Bugs"),)), Values(curves="X25519:P-256"), Values(ticket_key=bytes(80))]
)
def test_what_needs_openssl(values: Values, why_not: str) -> None:
    if why_not:
        with pytest.raises(TLSError, match=why_not):
            make_context(values)
    else:
        assert isinstance(make_context(values), ssl.SSLContext)


def test_variants_are_remembered_and_forgotten(ca: Authority) -> None:
    made = ServerTLS(Values(), 16384)
    pair = ((read(ca, "two.crt"), read(ca, "two.key")),)
    first = made.variant(None, pair, None)
    assert made.variant(None, pair, None) is first
    assert made.variant(frozenset(("TLSv1.2",)), pair, None) is not first
    assert shake_hands(make_context(Values()), first)[1] == pem.certificates(pair[0][0])[0]  # type: ignore[index]


def test_keys_and_certificates_there_and_back(ca: Authority, why_not: str) -> None:
    for name in ("one", "two"):
        der = pem.key_der(read(ca, f"{name}.key"), None)
        assert der is not None
        text = pem.key_pem(der)
        assert text is not None
        assert pem.key_der(text, None) == der
        found = pem.certificates(read(ca, f"{name}.crt"))
        assert found is not None
        again = pem.certificate_pem(b"".join(found))
        assert again is not None
        assert pem.certificates(again) == found


def test_an_encrypted_key(ca: Authority, why_not: str) -> None:
    encrypted = read(ca, "one.enc.key")
    assert pem.key_der(encrypted, None) is None
    assert pem.key_der(encrypted, b"wrong") is None
    assert (pem.key_der(encrypted, b"secret") is None) == bool(why_not)


@pytest.mark.parametrize(
    "data", [b"", b"x", b"0", b"0\x82\xff\xff", b"0\x03\x02\x01\x05", bytes(100), b"\x30\x80\x00\x00"]
)
def test_rubbish_is_none(data: bytes, why_not: str) -> None:
    assert pem.key_pem(data) is None
    assert pem.certificate_pem(data) is None
    assert not pem.certificates(data)
    assert pem.key_der(data, None) is None
