"""Status lines, and the pages that nginx answers errors and redirects with.

The one idea: all of it is tables; a page is put together once and then kept.

Texts as in ngx_http_header_filter_module.c and ngx_http_special_response.c: the status line and the page do not
always agree (302, 401), and a status that nginx has no text for gets none.
"""

from __future__ import annotations

from functools import lru_cache

from .uri import ESCAPE_REFRESH, escape_uri

_REASONS = {
    200: "OK",
    201: "Created",
    202: "Accepted",
    204: "No Content",
    206: "Partial Content",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    303: "See Other",
    304: "Not Modified",
    307: "Temporary Redirect",
    308: "Permanent Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Time-out",
    409: "Conflict",
    410: "Gone",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Request Entity Too Large",
    414: "Request-URI Too Large",
    415: "Unsupported Media Type",
    416: "Requested Range Not Satisfiable",
    421: "Misdirected Request",
    429: "Too Many Requests",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
    505: "HTTP Version Not Supported",
    507: "Insufficient Storage",
}

_STATUS_LINES = {status: f"{status} {reason}".encode() for status, reason in _REASONS.items()}

#: nginx's own codes that a client sees as 400, with the line that their page adds.
_SHOWN_AS_400 = {
    494: "Request Header Or Cookie Too Large",
    495: "The SSL certificate error",
    496: "No required SSL certificate was sent",
    497: "The plain HTTP request was sent to HTTPS port",
}

_NO_PAGE = (200, 201, 202, 204, 206, 304)
_TITLES = {status: f"{status} {reason}" for status, reason in _REASONS.items() if status not in _NO_PAGE}
_TITLES |= {302: "302 Found", 401: "401 Authorization Required", 498: "404 Not Found"}

_PADDING = b"<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n" * 6


def status_line(status: int) -> bytes:
    """What follows "HTTP/1.1 ": b"404 Not Found", or b"299 " for a status without a text."""
    return _STATUS_LINES.get(status) or b"%03d " % status


def shown_status(status: int) -> int:
    """The status that the client sees: 400 for 494 to 497, else the same."""
    return 400 if status in _SHOWN_AS_400 else status


@lru_cache(maxsize=256)
def special_page(status: int, server: bytes, padding: bool) -> bytes | None:
    """The body, always text/html, of nginx's page for ``status``; None where nginx sends none (Content-Length: 0).

    ``server`` is the signature below the line, as server_tokens has it ("nginx/1.31.5", "nginx"). ``padding``
    lengthens the pages of errors for browsers that would show their own instead (msie_padding and ``wants_padding``).
    """
    extra = _SHOWN_AS_400.get(status)
    if extra is not None:
        title, heading = f"400 {extra}", _TITLES[400]
    elif status in _TITLES:
        title = heading = _TITLES[status]
    else:
        return None
    lines = ["<html>", f"<head><title>{title}</title></head>", "<body>", f"<center><h1>{heading}</h1></center>"]
    if extra is not None:
        lines.append(f"<center>{extra}</center>")
    page = "\r\n".join(lines).encode() + b"\r\n<hr><center>" + server + b"</center>\r\n</body>\r\n</html>\r\n"
    return page + _PADDING if padding and status >= 400 else page


def is_msie(user_agent: bytes) -> bool:
    """Whether nginx takes the User-Agent for Internet Explorer up to 10 (msie_refresh)."""
    at = user_agent.find(b"MSIE ")
    return 0 <= at < len(user_agent) - 7 and b"Opera" not in user_agent


def is_msie6(user_agent: bytes) -> bool:
    """Whether nginx takes the User-Agent for Internet Explorer 4 to 6 before Windows XP SP2 (keepalive_disable msie6)."""
    if not is_msie(user_agent):
        return False
    at = user_agent.find(b"MSIE ") + 5
    digit = user_agent[at : at + 1]
    return user_agent[at + 1 : at + 2] == b"." and (
        digit in (b"4", b"5") or (digit == b"6" and b"SV1" not in user_agent[at:])
    )


def is_safari(user_agent: bytes) -> bool:
    """Whether nginx takes the User-Agent for Safari on a Mac (keepalive_disable safari)."""
    others = (b"Opera", b"MSIE ", b"Gecko/", b"Chrome/")
    return b"Safari/" in user_agent and b"Mac OS X" in user_agent and not any(other in user_agent for other in others)


def wants_padding(user_agent: bytes) -> bool:
    """Whether the browser gets padded error pages where msie_padding is on: Internet Explorer and Chrome."""
    if b"Opera" in user_agent:
        return False
    return is_msie(user_agent) or (b"Chrome/" in user_agent and b"Gecko/" not in user_agent)


def refresh_page(location: bytes) -> bytes:
    """The 200 page that msie_refresh sends Internet Explorer instead of a 301 or 302 to ``location``."""
    url = escape_uri(location, ESCAPE_REFRESH)
    return b'<html><head><meta http-equiv="Refresh" content="0; URL=' + url + b'"></head><body></body></html>\r\n'
