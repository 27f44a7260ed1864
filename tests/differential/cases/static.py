"""ngx_http_static_module with its filters: not_modified, range, headers; conditional and range requests.

RFC 9110 sections 13 and 14, as nginx reads them.
"""

from __future__ import annotations

from harness import MTIME, http

from ..case import Case, get, wire

_TEN = "0123456789"
_HTML = http(
    """
    types { text/plain txt; text/html html; }
    server { listen {port}; root html; location /noetag/ { etag off; } location /exact/ { if_modified_since exact; }
        location /before/ { if_modified_since before; } location /off/ { if_modified_since off; }
            location /noranges/ { max_ranges 0; }
        location /oneranges/ { max_ranges 1; } location /text { return 200 "0123456789"; } }
    """
)
_DIRS = ("", "noetag/", "exact/", "before/", "off/", "noranges/", "oneranges/")
_FILES: dict[str, str | bytes] = {f"html/{where}ten.txt": _TEN for where in _DIRS}
_FILES |= {"html/empty.txt": "", "html/big.txt": "0123456789abcdef" * 8192, "html/dir/index.html": "dir"}

_ETAG = f'"{MTIME:x}-a"'
_AT, _BEFORE, _AFTER = (f"Sat, 04 Mar 2023 {at} GMT" for at in ("05:06:07", "05:06:06", "05:06:08"))

_DATES = (
    _AT, _BEFORE, _AFTER, "Saturday, 04-Mar-23 05:06:07 GMT", "Sat Mar  4 05:06:07 2023", "Sat, 04 Mar 2023 05:06:07",
    "garbage", "",
    "Thu, 01 Jan 1970 00:00:00 GMT", "Sun, 04 Mar 2023 05:06:07 GMT", "Sat, 04 Mar 2023 06:06:07 CET",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Sat, 30 Feb 2023 05:06:07 GMT", "Sat, 04 Mar 2023 25:06:07 GMT",
)  # fmt: skip

_TAGS = (
    _ETAG,
    f"W/{_ETAG}",
    "*",
    '"no"',
    f'"no", {_ETAG}',
    f'W/"no" , W/{_ETAG} ',
    f'"no",{_ETAG},"x"',
    _ETAG.strip('"'),
    "",
    f"{_ETAG[:-1]}",
    ",",
    "W/",
)

_RANGES = (
    "bytes=0-0", "bytes=0-4", "bytes=5-", "bytes=-3", "bytes=-0", "bytes=-10", "bytes=-11", "bytes=-100", "bytes=9-9",
    "bytes=9-", "bytes=10-",
    "bytes=10-11", "bytes=8-100", "bytes=0-", "bytes=4-2", "bytes=", "bytes", "bytes=-", "bytes=a-b", "bytes=1",
    "bytes=1-2x", "bytes= 1-2",
    "bytes=1 - 2", "bytes=1-2 ", "bytes =1-2", "Bytes=1-2", "bites=1-2", "bytes=1-2,4-5", "bytes=1-2, 4-5",
    "bytes=1-2 , 4-5", "bytes=,1-2",
    "bytes=1-2,", "bytes=1-2,,4-5", "bytes=4-5,1-2", "bytes=1-5,3-8", "bytes=0-9,0-9", "bytes=0-4,5-9",
    "bytes=0-,0-,0-", "bytes=1-2,20-30",
    "bytes=20-30,1-2", "bytes=20-30,40-50", "bytes=1-2,-1", "bytes=-1,-2", "bytes=1-2,x", "bytes=0-0,2-2,4-4,6-6",
    "bytes=99999999999999999999-",
    "bytes=0-99999999999999999999", "bytes=-99999999999999999999", "bytes=0-0x9",
)  # fmt: skip


def _with(path: str, **headers: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return path, tuple((name.replace("_", "-"), value) for name, value in headers.items())


CASES = (
    Case(
        "static",
        _HTML,
        (
            get("/ten.txt"),
            get("/ten.txt", method="HEAD"),
            get("/ten.txt", version="1.0"),
            get("/empty.txt"),
            get("/empty.txt", method="HEAD"),
            get("/big.txt"),
            get("/big.txt", method="HEAD"),
            get("/noetag/ten.txt"),
            get("/noranges/ten.txt"),
            get("/dir/"),
            get("/dir/", method="HEAD"),
            get("/none", method="HEAD"),
            *(get("/ten.txt", method=m) for m in ("PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "LOCK", "COPY")),
            get("/ten.txt", method="POST", body=b"x"),
            get("/ten.txt", method="POST", body=b""),
            get("/dir/", method="POST", body=b"x"),
            get("/none", method="POST", body=b"x"),
            get("/dir", method="POST", body=b"x"),
            get("/ten.txt", method="GET", body=b"ignored body"),
            get("/ten.txt", method="FOO"),
            get("/ten.txt", method="get"),
            get("/ten.txt", method="TRACE"),
            get(
                "/ten.txt",
                method="CONNECT",
                differs="since 1.31.0 CONNECT takes an authority",
                expect={"status": 400, "headers": {"Connection": "close"}},
            ),
        ),
        files=_FILES,
        newer={'"CONNECT /ten.txt HTTP/1.1" 405': '"CONNECT /ten.txt HTTP/1.1" 400'},
    ),
    Case(
        "if-modified-since",
        _HTML,
        (
            *(get("/ten.txt", {"If-Modified-Since": date}, name=f"{date!r}") for date in _DATES),
            *(
                get(f"/{where}/ten.txt", {"If-Modified-Since": date}, name=f"{where} {date}")
                for where in ("exact", "before", "off")
                for date in (_AT, _BEFORE, _AFTER)
            ),
            *(get("/ten.txt", {"If-Unmodified-Since": date}, name=f"unmodified {date!r}") for date in _DATES[:8]),
            get("/ten.txt", {"If-Modified-Since": _AT}, method="HEAD"),
            get("/ten.txt", {"If-Modified-Since": _AT}, version="1.0"),
            get("/text", {"If-Modified-Since": _AT}, name="no Last-Modified"),
            get("/none", {"If-Modified-Since": _AT}, name="not found"),
            get("/dir", {"If-Modified-Since": _AT}, name="redirect"),
            get("/text", {"If-Unmodified-Since": _AT}, name="unmodified without Last-Modified"),
        ),
        files=_FILES,
    ),
    Case(
        "etag",
        _HTML,
        (
            *(get("/ten.txt", {"If-None-Match": tag}, name=f"none-match {tag}") for tag in _TAGS),
            *(get("/ten.txt", {"If-Match": tag}, name=f"match {tag}") for tag in _TAGS),
            get("/noetag/ten.txt", {"If-None-Match": "*"}, name="none-match without etag"),
            get("/noetag/ten.txt", {"If-Match": _ETAG}, name="match without etag"),
            get("/noetag/ten.txt", {"If-Match": "*"}, name="match * without etag"),
            get("/ten.txt", {"If-None-Match": '"no"', "If-Modified-Since": _AT}, name="none-match wins: differs"),
            get("/ten.txt", {"If-None-Match": _ETAG, "If-Modified-Since": _BEFORE}, name="none-match same, date older"),
            get("/ten.txt", {"If-None-Match": _ETAG, "If-Modified-Since": _AT}, name="both say unchanged"),
            get("/ten.txt", {"If-Match": _ETAG, "If-Unmodified-Since": _BEFORE}, name="match with older date"),
            get("/ten.txt", {"If-Match": '"no"', "If-None-Match": _ETAG}, name="match fails first"),
            get("/none", {"If-Match": _ETAG}, name="match on not found"),
            get("/ten.txt", {"If-Match": '"no"'}, method="HEAD"),
        ),
        files=_FILES,
    ),
    Case(
        "range",
        _HTML,
        (
            *(get("/ten.txt", {"Range": value}, name=value) for value in _RANGES),
            get("/ten.txt", {"Range": "bytes=1-2"}, method="HEAD"),
            get("/ten.txt", {"Range": "bytes=1-2,4-5"}, method="HEAD", name="HEAD of two"),
            get("/ten.txt", {"Range": "bytes=20-"}, method="HEAD", name="HEAD unsatisfiable"),
            get("/ten.txt", {"Range": "bytes=1-2"}, version="1.0", name="in HTTP/1.0"),
            get("/ten.txt", {"Range": "bytes=1-2,4-5"}, version="1.0", name="two in HTTP/1.0"),
            get("/empty.txt", {"Range": "bytes=0-0"}, name="of an empty file"),
            get("/empty.txt", {"Range": "bytes=-1"}, name="suffix of an empty file"),
            get("/big.txt", {"Range": "bytes=100-70000"}, name="of a big file"),
            get("/big.txt", {"Range": "bytes=100-300,60000-130000,-5"}, name="three of a big file"),
            get("/noranges/ten.txt", {"Range": "bytes=1-2"}, name="max_ranges 0"),
            get("/oneranges/ten.txt", {"Range": "bytes=1-2"}, name="max_ranges 1"),
            get("/oneranges/ten.txt", {"Range": "bytes=1-2,4-5"}, name="max_ranges 1, two"),
            get("/text", {"Range": "bytes=1-2"}, name="of return"),
            get("/none", {"Range": "bytes=1-2"}, name="of not found"),
            get("/dir/", {"Range": "bytes=1-1"}, name="of an index"),
            *(
                get("/ten.txt", {"Range": "bytes=1-2", "If-Range": value}, name=f"if-range {value}")
                for value in (_ETAG, f"W/{_ETAG}", '"no"', "*", _AT, _BEFORE, _AFTER, "garbage", "")
            ),
            get("/ten.txt", {"If-Range": _ETAG}, name="if-range alone"),
            get("/ten.txt", {"Range": "bytes=1-2", "If-None-Match": _ETAG}, name="not modified wins"),
            get("/ten.txt", {"Range": "bytes=1-2", "If-Match": '"no"'}, name="precondition wins"),
            wire(
                "two Range headers", b"GET /ten.txt HTTP/1.1\r\nHost: x\r\nRange: bytes=1-2\r\nRange: bytes=4-5\r\n\r\n"
            ),
        ),
        files=_FILES,
    ),
)
