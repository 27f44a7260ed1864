"""What answers a status that no handler has answered: ``error_page``, or the small page that nginx has for it.

https://nginx.org/en/docs/http/ngx_http_core_module.html#error_page (``ngx_http_special_response_handler``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .status import shown_status, special_page, wants_padding

if TYPE_CHECKING:
    from .request import Request

#: Statuses after which nginx always closes the connection.
_CLOSING = frozenset((400, 413, 414, 497, 495, 496, 500, 501, 494))


async def special_response(r: Request, status: int) -> int:
    """Answer ``r`` with ``status``: by an internal redirect to its error_page, or by the built-in page. Returns a code."""
    core = r.loc.core
    r.err_status = status
    if r.keepalive and status in _CLOSING:
        r.keepalive = False
    r.content_type = None
    r.expect_tested = True
    if r.is_subrequest and status in (408, 499):
        r.status = status
        return 0
    if core.error_pages and (not r.error_page or core.recursive_error_pages) and r.uri_changes > 0:
        page = core.error_pages.get(status)
        if page is not None:
            r.error_page = True
            return _error_page(r, page, status)
    if status == 444 or status == 499:
        # https://nginx.org/en/docs/http/ngx_http_rewrite_module.html#return: closed without a response
        r.header_sent = True
        r.header_only = True
        r.keepalive = False
        r.status = status
        return 0
    return _builtin(r, status)


def _error_page(r: Request, page: object, status: int) -> int:
    overwrite, uri = page.overwrite, page.uri(r)  # type: ignore[attr-defined]
    r.err_status = status if overwrite is None else overwrite
    if overwrite == 0:
        r.err_status = 0
    r.expect_tested = True
    if uri.startswith(b"/"):
        path, mark, args = uri.partition(b"?")
        if r.method != b"HEAD":
            r.method = b"GET"
        return r.redirect(path, args if mark else None)
    if uri.startswith(b"@"):
        return r.redirect_named(uri)
    if r.err_status not in (301, 302, 303, 307, 308):
        r.err_status = 302
    r.location = uri
    return _builtin(r, r.err_status)


def _builtin(r: Request, status: int) -> int:
    core = r.loc.core
    padding = core.msie_padding and status >= 400 and wants_padding(r.header_in(b"user-agent") or b"")
    body = special_page(status, core.server_name(), padding)
    r.status = r.err_status = shown_status(status)
    r.log_status = status
    r.last_modified = None
    r.allow_ranges = False
    r.ranges = r.multipart = None
    r.headers_out = [(n, v) for n, v in r.headers_out if n.lower() not in (b"etag", b"accept-ranges", b"content-encoding")]
    if body is None:
        r.content_length = None if status in (204, 304) else 0
        r.send_header()
        return 0
    r.content_type = b"text/html"
    r.content_length = len(body)
    r.send_header()
    r.write(body)
    return 0
