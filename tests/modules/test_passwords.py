"""Password files: what each kind of entry says of a password, and that an edit counts at once."""

from __future__ import annotations

import pytest
from client import request
from harness import Server, http

from pyresty.http.credentials import apr1, check_password

#: Of the password "secret", made by openssl and by the C library.
_SECRET = (
    b"{PLAIN}secret",
    b"{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
    b"{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0",
    b"$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/",
    b"$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1",
    b"$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.",
    b"abNANd1rDfiNc",
)


@pytest.mark.parametrize("stored", _SECRET)
def test_right_and_wrong(stored: bytes) -> None:
    """The right password and no other."""
    assert check_password(b"secret", stored)
    assert not check_password(b"Secret", stored)
    assert not check_password(b"", stored)


@pytest.mark.parametrize(
    "stored", [b"", b"garbage", b"{SHA}", b"{SSHA}", b"{SSHA}!", b"$apr1$", b"{PLAIN}", b"*0", b"!"]
)
def test_nothing_matches(stored: bytes) -> None:
    """An entry that no password has made lets nobody in."""
    assert not check_password(b"secret", stored)


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 33, 64])
def test_apr1_length(size: int) -> None:
    """Every length of password gives a digest of 22 characters behind the salt."""
    made = apr1(b"x" * size, b"salt")
    assert made.startswith(b"$apr1$salt$") and len(made) == 11 + 22
    assert check_password(b"x" * size, made)


def test_edit_counts_at_once() -> None:
    """The file is read for each request."""
    conf = http(
        """server { listen {port};
        location /in { auth_basic "realm"; auth_basic_user_file users; alias html/; } }"""
    )
    user = (("Authorization", "Basic YTpi"),)  # a:b
    with Server(conf, {"conf/users": "a:{PLAIN}c\n", "html/x": "in"}) as server:
        before = request(server.port, "GET", "/inx", user)
        server.write("conf/users", "a:{PLAIN}b\n")
        after = request(server.port, "GET", "/inx", user)
    assert (before.status, before.get("WWW-Authenticate")) == (401, 'Basic realm="realm"')
    assert (after.status, after.body) == (200, b"in")
