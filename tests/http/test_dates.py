from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import formatdate

import pytest

from pyresty.http import dates
from pyresty.http.dates import cookie_time, error_log_time, http_time, iso8601, log_time_local, parse_http_time


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    yield monkeypatch
    monkeypatch.undo()
    time.tzset()


def test_http_time_is_an_imf_fixdate() -> None:
    assert http_time(784111777) == b"Sun, 06 Nov 1994 08:49:37 GMT"
    for ts in range(0, 2**32, 86_400 * 97 + 12_345):
        assert http_time(ts) == formatdate(ts, usegmt=True).encode()


def test_http_time_stays_between_1970_and_9999() -> None:
    assert http_time(-1) == b"Thu, 01 Jan 1970 00:00:00 GMT"
    assert http_time(10**15) == b"Fri, 31 Dec 9999 23:59:59 GMT"


def test_cookie_time_has_short_years_until_2037() -> None:
    assert cookie_time(1795333982) == b"Sun, 22-Nov-26 07:53:02 GMT"
    assert cookie_time(1290079655) == b"Thu, 18-Nov-10 11:27:35 GMT"
    assert cookie_time(2145916799) == b"Thu, 31-Dec-37 23:59:59 GMT"
    assert cookie_time(2145916800) == b"Fri, 01-Jan-2038 00:00:00 GMT"


@pytest.mark.parametrize(
    ("tz", "local", "iso"),
    [
        ("UTC0", b"06/Nov/1994:08:49:37 +0000", b"1994-11-06T08:49:37+00:00"),
        ("CST-8", b"06/Nov/1994:16:49:37 +0800", b"1994-11-06T16:49:37+08:00"),
        ("NST3:30", b"06/Nov/1994:05:19:37 -0330", b"1994-11-06T05:19:37-03:30"),
    ],
)
def test_local_times_of_logs(zone: pytest.MonkeyPatch, tz: str, local: bytes, iso: bytes) -> None:
    zone.setenv("TZ", tz)
    time.tzset()
    assert log_time_local(784111777) == local
    assert iso8601(784111777) == iso
    assert error_log_time(784111777) == iso[:19].replace(b"-", b"/").replace(b"T", b" ")


@pytest.mark.parametrize(
    ("value", "ts"),
    [
        (b"Sun, 06 Nov 1994 08:49:37 GMT", 784111777),
        (b"Sunday, 06-Nov-94 08:49:37 GMT", 784111777),
        (b"Sun Nov  6 08:49:37 1994", 784111777),
        (b"Sun Nov 16 08:49:37 1994", 784975777),
        (b"Sun,06 Nov 1994 08:49:37", 784111777),
        (b"x,   06 Nov 1994 08:49:37 anything", 784111777),
        (b"Sun, 06 Now 1994 08:49:37 GMT", 784111777),
        (b"Sun, 00 Nov 1994 08:49:37 GMT", 783593377),
        (b"Sunday, 06-Nov-69 08:49:37 GMT", 3150953377),
        (b"Sunday, 06-Nov-70 08:49:37 GMT", 26729377),
        (b"Thu, 29 Feb 1996 00:00:00 GMT", 825552000),
        (b"Thu, 01 Jan 1970 00:00:00 GMT", 0),
        (b"Fri, 28 Jan 1601 08:49:37 GMT", -11642109023),
        (b"Sun N,v 16 08:49:37 1994", 784975777),
    ],
)
def test_dates_that_nginx_understands(value: bytes, ts: int) -> None:
    assert parse_http_time(value) == ts


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"x",
        b"784111777",
        b"Sun, 06 Nov 1994 08:49",
        b"Sun, 6 Nov 1994 08:49:37 GMT",
        b"Sun, 06 Xov 1994 08:49:37 GMT",
        b"Sun, 06 Nov 94 08:49:37 GMT",
        b"Sun, 06/Nov/1994 08:49:37 GMT",
        b"Sun, 06 Nov-1994 08:49:37 GMT",
        b"Sun, 31 Nov 1994 08:49:37 GMT",
        b"Thu, 29 Feb 1900 00:00:00 GMT",
        b"Thu, 29 Feb 1995 00:00:00 GMT",
        b"Sun, 06 Nov 1994 24:00:00 GMT",
        b"Sun, 06 Nov 1994 08:60:00 GMT",
        b"Sun, 06 Nov 1994 08:49:60 GMT",
        b"Sun, 06 Nov 1994 08.49.37 GMT",
        b"Sun Nov 6 08:49:37 94",
    ],
)
def test_dates_that_nginx_does_not_understand(value: bytes) -> None:
    assert parse_http_time(value) is None


def test_every_form_is_read_back() -> None:
    for ts in range(0, 2**31, 86_400 * 53 + 4_321):
        assert parse_http_time(http_time(ts)) == ts
        assert parse_http_time(time.asctime(time.gmtime(ts)).encode()) == ts


def test_the_current_time_is_made_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 784111777.2
    monkeypatch.setattr(time, "time", lambda: now)
    first = dates.http_time_now()
    assert first == b"Sun, 06 Nov 1994 08:49:37 GMT"
    now = 784111777.9
    assert dates.http_time_now() is first
    now = 784111778.0
    assert dates.http_time_now() == b"Sun, 06 Nov 1994 08:49:38 GMT"
    assert dates.log_time_local_now() == log_time_local(784111778)
    assert dates.iso8601_now() == iso8601(784111778)
    assert dates.error_log_time_now() == error_log_time(784111778)
