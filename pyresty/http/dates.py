"""Dates as nginx writes and reads them.

The one idea: a server says "now" very often but the second changes rarely, so each form of the current time is made
once a second.

Formats: RFC 9110 section 5.6.7 (and the obsolete forms there), ngx_times.c, ngx_parse_time.c. All timestamps are whole
seconds since 1970.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_WEEK = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")
_MONTHS = (b"", b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_DAYS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_LAST = 253402300799  # 9999-12-31 23:59:59: nginx goes no further


def http_time(ts: int) -> bytes:
    """IMF-fixdate: b"Sun, 06 Nov 1994 08:49:37 GMT". Times before 1970 are 1970, as in nginx (ngx_http_time)."""
    t = _gmtime(ts)
    return b"%s, %02d %s %d %02d:%02d:%02d GMT" % (
        _WEEK[t.tm_wday],
        t.tm_mday,
        _MONTHS[t.tm_mon],
        t.tm_year,
        t.tm_hour,
        t.tm_min,
        t.tm_sec,
    )


def cookie_time(ts: int) -> bytes:
    """For the Expires of a cookie: b"Sun, 06-Nov-94 08:49:37 GMT", with a four-digit year from 2038 on
    (ngx_http_cookie_time)."""
    t = _gmtime(ts)
    return b"%s, %02d-%s-%02d %02d:%02d:%02d GMT" % (
        _WEEK[t.tm_wday],
        t.tm_mday,
        _MONTHS[t.tm_mon],
        t.tm_year if t.tm_year > 2037 else t.tm_year % 100,
        t.tm_hour,
        t.tm_min,
        t.tm_sec,
    )


def log_time_local(ts: int) -> bytes:
    """Local time for $time_local: b"06/Nov/1994:08:49:37 +0000"."""
    t = time.localtime(ts)
    return b"%02d/%s/%d:%02d:%02d:%02d %s%02d%02d" % (
        t.tm_mday,
        _MONTHS[t.tm_mon],
        t.tm_year,
        t.tm_hour,
        t.tm_min,
        t.tm_sec,
        *_zone(t),
    )


def iso8601(ts: int) -> bytes:
    """Local time for $time_iso8601: b"1994-11-06T08:49:37+00:00"."""
    t = time.localtime(ts)
    return b"%4d-%02d-%02dT%02d:%02d:%02d%s%02d:%02d" % (*t[:6], *_zone(t))


def error_log_time(ts: int) -> bytes:
    """Local time for a line of the error log: b"1994/11/06 08:49:37"."""
    return b"%4d/%02d/%02d %02d:%02d:%02d" % time.localtime(ts)[:6]


def parse_http_time(value: bytes) -> int | None:
    """Seconds since 1970 for a date in one of the three HTTP forms, or None if it isn't one (ngx_parse_http_time).

    As lenient as nginx: the name of the day is not read, months are told by the letters that matter, what follows the
    seconds (or, in the asctime form, the year) is ignored. Dates before 1970 are negative.
    """
    day, comma, rest = value.partition(b",")
    asctime = b" " in day
    rest = (value.partition(b" ")[2] if asctime else rest).lstrip(b" ")
    if len(rest) < 18:
        return None
    try:
        return _parse_asctime(rest) if asctime else _parse_fixdate(rest)
    except ValueError:
        return None


def _parse_fixdate(rest: bytes) -> int:
    """ "06 Nov 1994 08:49:37" or "06-Nov-94 08:49:37"."""
    day = _number(rest[:2], 2)
    mark = rest[2:3]
    if mark == b" ":
        if len(rest) < 20:
            raise ValueError(rest)
        year = _number(rest[7:11], 4)
        clock = rest[11:]
    elif mark == b"-":
        year = _number(rest[7:9], 2)
        year += 2000 if year < 70 else 1900
        clock = rest[9:]
    else:
        raise ValueError(rest)
    if rest[6:7] != mark:
        raise ValueError(rest)
    return _timestamp(year, _month(rest[3:6]), day, clock)


def _parse_asctime(rest: bytes) -> int:
    """ "Nov  6 08:49:37 1994"."""
    month = _month(rest)
    rest = rest[4:]
    if rest[:1] == b" ":
        rest = rest[1:]
    digits = 1 if rest[1:2] == b" " else 2
    day = _number(rest[:digits], digits)
    clock = rest[digits:]
    if len(clock) < 14 or clock[9:10] != b" ":
        raise ValueError(rest)
    return _timestamp(_number(clock[10:14], 4), month, day, clock)


def _number(data: bytes, length: int) -> int:
    if len(data) != length or not data.isdigit():
        raise ValueError(data)
    return int(data)


def _month(name: bytes) -> int:
    first, second, third = name[:1], name[1:2], name[2:3]
    if first == b"J":
        return 1 if second == b"a" else 6 if third == b"n" else 7
    if first == b"M":
        return 3 if third == b"r" else 5
    if first == b"A":
        return 4 if second == b"p" else 8
    month = {b"F": 2, b"S": 9, b"O": 10, b"N": 11, b"D": 12}.get(first)
    if month is None:
        raise ValueError(name)
    return month


def _timestamp(year: int, month: int, day: int, clock: bytes) -> int:
    """``clock`` begins with " 08:49:37"."""
    if clock[:1] != b" " or clock[3:4] != b":" or clock[6:7] != b":":
        raise ValueError(clock)
    hour, minute, second = _number(clock[1:3], 2), _number(clock[4:6], 2), _number(clock[7:9], 2)
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if hour > 23 or minute > 59 or second > 59 or day > _DAYS[month] + (month == 2 and leap):
        raise ValueError(clock)
    # Gauss' formula: days since 1 March of the year 0, the year beginning with March.
    month -= 2
    if month <= 0:
        month += 12
        year -= 1
    days = 365 * year + year // 4 - year // 100 + year // 400 + 367 * month // 12 - 30 + day - 1 - 719527 + 31 + 28
    return days * 86400 + hour * 3600 + minute * 60 + second


def _gmtime(ts: int) -> time.struct_time:
    return time.gmtime(min(max(ts, 0), _LAST))


def _zone(t: time.struct_time) -> tuple[bytes, int, int]:
    minutes = t.tm_gmtoff // 60
    return b"-" if minutes < 0 else b"+", abs(minutes) // 60, abs(minutes) % 60


def _once_a_second(make: Callable[[int], bytes]) -> Callable[[], bytes]:
    made = -1
    text = b""

    def now() -> bytes:
        nonlocal made, text
        second = int(time.time())
        if second != made:
            text = make(second)
            made = second
        return text

    return now


#: The current time in each form.
http_time_now = _once_a_second(http_time)
log_time_local_now = _once_a_second(log_time_local)
iso8601_now = _once_a_second(iso8601)
error_log_time_now = _once_a_second(error_log_time)
