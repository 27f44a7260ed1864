"""Settings of ``listen … ssl`` that are refused, or warned of, when the server starts."""

from __future__ import annotations

import pytest
from authority import Authority, needs_openssl
from harness import both
from tls import ONE, Client, one_server, serving

pytestmark = needs_openssl

MISTAKES = {
    "no certificate": ("", 'no "ssl_certificate" is defined for the "listen ... ssl" directive in '),
    "no key": ("ssl_certificate one.crt;", 'no "ssl_certificate_key" is defined for certificate "'),
    "no file": ("ssl_certificate none.crt; ssl_certificate_key one.key;", "cannot load certificate \"{prefix}/conf/none.crt\": BIO_new_file() failed (SSL: error:80000002:system library::No such file or directory:"),
    "another's key": ("ssl_certificate one.crt; ssl_certificate_key two.key;", 'SSL_CTX_use_PrivateKey("{prefix}/conf/two.key") failed (SSL: error:05800074:x509 certificate routines::key values mismatch)'),
    "a key as certificate": ("ssl_certificate one.key; ssl_certificate_key one.key;", "PEM_read_bio_X509_AUX() failed (SSL: error:0480006C:PEM routines::no start line:Expecting: TRUSTED CERTIFICATE)"),
    "ciphers": (ONE + "ssl_ciphers NONE_SUCH;", 'SSL_CTX_set_cipher_list("NONE_SUCH") failed (SSL: error:0A0000B9:SSL routines::no cipher match)'),
    "curve": (ONE + "ssl_ecdh_curve none;", 'SSL_CTX_set1_curves_list("none") failed (SSL: '),
    "protocol": (ONE + "ssl_protocols TLSv9;", 'invalid value "TLSv9" in '),
    "command": (ONE + "ssl_conf_command None x;", 'SSL_CONF_cmd("None", "x") failed (SSL: error:0A000182:SSL routines::unknown cmd name:cmd=None)'),
    "cache": (ONE + "ssl_session_cache shared:x:1k;", 'session cache "shared:x:1k" is too small in '),
    "ticket key": (ONE + "ssl_session_ticket_key one.crt;", '"{prefix}/conf/one.crt" must be 48 or 80 bytes in '),
}  # fmt: skip


@both
@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(ca: Authority, reference: bool, mistake: str) -> None:
    inside, text = MISTAKES[mistake]
    server = serving(ca, one_server(inside), reference=reference)
    done = server.check()
    assert done.returncode == 1
    assert server.expand(text) in done.stderr


@both
def test_words_are_known_in_any_case(ca: Authority, reference: bool) -> None:
    inside = ONE + " ssl_protocols TLSV1.2 tlsv1.3 TLSv1.3; ssl_verify_client OFF; return 200 $ssl_protocol;"
    with serving(ca, one_server(inside), reference=reference) as server:
        with Client(ca, server.port) as client:
            assert client.ask() == (200, b"TLSv1.3")
        done = server.run("-t")
        assert done.returncode == 0
        assert "[warn]" in done.stderr
        assert server.expand('duplicate value "TLSv1.3" in {prefix}/conf/nginx.conf:') in done.stderr


@pytest.mark.parametrize("directive", ["ssl_ocsp on", "ssl_ech_file x", "ssl_stapling_file x"])
def test_what_cannot_be_done_is_refused_by_name(ca: Authority, directive: str) -> None:
    server = serving(ca, one_server(f"{ONE} {directive};"))
    done = server.check()
    assert done.returncode == 1
    assert f'"{directive.split()[0]}' in done.stderr
    assert "is not supported by pyresty" in done.stderr


@pytest.mark.parametrize("directive", ["ssl_early_data", "ssl_stapling", "ssl_certificate_compression"])
def test_what_only_makes_handshakes_faster_is_warned_of(ca: Authority, directive: str) -> None:
    server = serving(ca, one_server(f"{ONE} {directive} on;"))
    done = server.check()
    assert done.returncode == 0
    assert f'[warn] "{directive}" ignored, Python\'s ssl ' in done.stderr
