from __future__ import annotations

import pytest

from pyresty.http.conditional import etag_matches, evaluate, make_etag, range_applies, weak_etag
from pyresty.http.dates import http_time

MODIFIED = 1704164645
ETAG = make_etag(MODIFIED, 16)
THEN = http_time(MODIFIED)
BEFORE = http_time(MODIFIED - 1)
AFTER = http_time(MODIFIED + 1)


def test_etags() -> None:
    assert ETAG == b'"65937d25-10"'
    assert weak_etag(ETAG) == b"W/" + ETAG
    assert weak_etag(b"W/" + ETAG) == b"W/" + ETAG
    assert weak_etag(b"bare") is None
    assert weak_etag(None) is None


# Request headers and the status of nginx 1.22 for a file, with if_modified_since exact, before and off.
@pytest.mark.parametrize(
    ("headers", "exact", "before", "off"),
    [
        ({}, 200, 200, 200),
        ({b"if-modified-since": THEN}, 304, 304, 200),
        ({b"if-modified-since": AFTER}, 200, 304, 200),
        ({b"if-modified-since": BEFORE}, 200, 200, 200),
        ({b"if-modified-since": b"x"}, 200, 200, 200),
        ({b"if-none-match": ETAG}, 304, 304, 304),
        ({b"if-none-match": b"W/" + ETAG}, 304, 304, 304),
        ({b"if-none-match": b'"x"'}, 200, 200, 200),
        ({b"if-none-match": b"*"}, 304, 304, 304),
        ({b"if-none-match": ETAG, b"if-modified-since": THEN}, 304, 304, 200),
        ({b"if-none-match": ETAG, b"if-modified-since": BEFORE}, 200, 200, 200),
        ({b"if-none-match": b'"x"', b"if-modified-since": THEN}, 200, 200, 200),
        ({b"if-match": ETAG}, 200, 200, 200),
        ({b"if-match": b"*"}, 200, 200, 200),
        ({b"if-match": b"W/" + ETAG}, 412, 412, 412),
        ({b"if-match": b'"x"'}, 412, 412, 412),
        ({b"if-match": b'"x"', b"if-none-match": ETAG}, 412, 412, 412),
        ({b"if-match": ETAG, b"if-none-match": ETAG}, 304, 304, 304),
        ({b"if-unmodified-since": THEN}, 200, 200, 200),
        ({b"if-unmodified-since": AFTER}, 200, 200, 200),
        ({b"if-unmodified-since": BEFORE}, 412, 412, 412),
        ({b"if-unmodified-since": b"x"}, 412, 412, 412),
        ({b"if-unmodified-since": BEFORE, b"if-modified-since": THEN}, 412, 412, 412),
    ],
)
def test_statuses(headers: dict[bytes, bytes | list[bytes]], exact: int, before: int, off: int) -> None:
    assert evaluate(headers, MODIFIED, ETAG) == exact
    assert evaluate(headers, MODIFIED, ETAG, "before") == before
    assert evaluate(headers, MODIFIED, ETAG, "off") == off


def test_a_response_without_validators() -> None:
    assert evaluate({b"if-modified-since": THEN}, None, None) == 200
    assert evaluate({b"if-unmodified-since": THEN}, None, None) == 412
    assert evaluate({b"if-none-match": ETAG}, None, None) == 200
    assert evaluate({b"if-none-match": b"*"}, None, None) == 304
    assert evaluate({b"if-match": ETAG}, None, None) == 412
    assert evaluate({b"if-match": b"*"}, None, None) == 200


def test_of_a_repeated_header_the_first_counts() -> None:
    assert evaluate({b"if-none-match": [ETAG, b'"x"']}, MODIFIED, ETAG) == 304
    assert evaluate({b"if-none-match": [b'"x"', ETAG]}, MODIFIED, ETAG) == 200


@pytest.mark.parametrize(
    ("listed", "strong", "weak"),
    [
        (ETAG, True, True),
        (b'"x", ' + ETAG, True, True),
        (ETAG + b',"x"', True, True),
        (ETAG + b" \t, x", True, True),
        (b'"x",,\t ' + ETAG, True, True),
        (b'"x",W/' + ETAG, False, True),
        (b"W/" + ETAG + b" , x", False, True),
        (ETAG + b"x", False, False),
        (ETAG[:-1], False, False),
        (b"W/", False, False),
        (b"W/*", False, False),
        (b"", False, False),
        (b",", False, False),
        (b"*", True, True),
        (b"*, x", False, False),
    ],
)
def test_lists_of_etags(listed: bytes, strong: bool, weak: bool) -> None:
    assert etag_matches(listed, ETAG, weak=False) is strong
    assert etag_matches(listed, ETAG, weak=True) is weak


def test_a_weak_etag_of_ours_matches_weakly_only() -> None:
    assert etag_matches(ETAG, b"W/" + ETAG, weak=True)
    assert not etag_matches(ETAG, b"W/" + ETAG, weak=False)


def test_if_range() -> None:
    assert range_applies(None, None, None)
    assert range_applies(ETAG, MODIFIED, ETAG)
    assert range_applies(THEN, MODIFIED, ETAG)
    assert not range_applies(b"W/" + ETAG, MODIFIED, ETAG)
    assert not range_applies(ETAG, MODIFIED, None)
    assert not range_applies(AFTER, MODIFIED, ETAG)
    assert not range_applies(b"x", MODIFIED, ETAG)
    assert not range_applies(THEN, None, ETAG)
    assert not range_applies(b"", MODIFIED, ETAG)
