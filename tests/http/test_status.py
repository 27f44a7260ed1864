from __future__ import annotations

import pytest

from pyresty.http.status import (
    is_msie,
    refresh_page,
    shown_status,
    special_page,
    status_line,
    wants_padding,
)

# Status lines of nginx; 407 since 1.29, the others as 1.22 sends them.
LINES = [
    (200, b"200 OK"),
    (203, b"203 "),
    (206, b"206 Partial Content"),
    (299, b"299 "),
    (302, b"302 Moved Temporarily"),
    (305, b"305 "),
    (401, b"401 Unauthorized"),
    (407, b"407 Proxy Authentication Required"),
    (408, b"408 Request Time-out"),
    (418, b"418 "),
    (429, b"429 Too Many Requests"),
    (503, b"503 Service Temporarily Unavailable"),
    (506, b"506 "),
    (507, b"507 Insufficient Storage"),
    (99, b"099 "),
]

# Title and heading of the page.
PAGES = [
    (301, "301 Moved Permanently"),
    (302, "302 Found"),
    (303, "303 See Other"),
    (307, "307 Temporary Redirect"),
    (308, "308 Permanent Redirect"),
    (400, "400 Bad Request"),
    (401, "401 Authorization Required"),
    (404, "404 Not Found"),
    (405, "405 Not Allowed"),
    (413, "413 Request Entity Too Large"),
    (414, "414 Request-URI Too Large"),
    (421, "421 Misdirected Request"),
    (498, "404 Not Found"),
    (500, "500 Internal Server Error"),
    (504, "504 Gateway Time-out"),
    (505, "505 HTTP Version Not Supported"),
]

MSIE = b"Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)"
CHROME = b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36"


@pytest.mark.parametrize(("status", "line"), LINES)
def test_status_lines(status: int, line: bytes) -> None:
    assert status_line(status) == line


@pytest.mark.parametrize(("status", "title"), PAGES)
def test_pages(status: int, title: str) -> None:
    lines = [
        "<html>",
        f"<head><title>{title}</title></head>",
        "<body>",
        f"<center><h1>{title}</h1></center>",
        "<hr><center>nginx</center>",
        "</body>",
        "</html>",
        "",
    ]
    assert special_page(status, b"nginx", False) == "\r\n".join(lines).encode()


@pytest.mark.parametrize(
    ("status", "extra"),
    [
        (494, b"Request Header Or Cookie Too Large"),
        (495, b"The SSL certificate error"),
        (496, b"No required SSL certificate was sent"),
        (497, b"The plain HTTP request was sent to HTTPS port"),
    ],
)
def test_pages_of_nginx_own_codes(status: int, extra: bytes) -> None:
    page = special_page(status, b"nginx/1.31.5", False)
    assert page is not None
    assert b"<head><title>400 " + extra + b"</title></head>\r\n" in page
    assert b"<h1>400 Bad Request</h1></center>\r\n<center>" + extra + b"</center>\r\n<hr><center>nginx/1.31.5<" in page
    assert shown_status(status) == 400


@pytest.mark.parametrize("status", [200, 201, 204, 299, 300, 304, 305, 417, 430, 493, 499, 506, 508, 599])
def test_statuses_without_a_page(status: int) -> None:
    assert special_page(status, b"nginx", True) is None
    assert shown_status(status) == status


def test_padding_is_for_errors_only() -> None:
    plain = special_page(404, b"nginx", False)
    padded = special_page(404, b"nginx", True)
    assert plain is not None and padded is not None and padded.startswith(plain)
    comment = b"<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n"
    assert padded[len(plain) :] == comment * 6
    assert special_page(302, b"nginx", True) == special_page(302, b"nginx", False)


@pytest.mark.parametrize(
    ("user_agent", "msie", "padding"),
    [
        (b"", False, False),
        (b"curl/7.88.1", False, False),
        (MSIE, True, True),
        (b"MSIE 6", False, False),
        (b"MSIE 6.", False, False),
        (b"MSIE 6.0", True, True),
        (CHROME, False, True),
        (b"Gecko/20100101 Chrome/1", False, False),
        (b"Opera " + MSIE, False, False),
        (b"Opera Chrome/1", False, False),
    ],
)
def test_browsers(user_agent: bytes, msie: bool, padding: bool) -> None:
    assert is_msie(user_agent) is msie
    assert wants_padding(user_agent) is padding


def test_refresh_page_cannot_be_broken_out_of() -> None:
    assert refresh_page(b'/a"b c') == (
        b'<html><head><meta http-equiv="Refresh" content="0; URL=/a%22b%20c"></head><body></body></html>\r\n'
    )
