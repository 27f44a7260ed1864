"""What answers a status that no handler has answered: ``error_page``, or the small page that nginx has for it.

https://nginx.org/en/docs/http/ngx_http_core_module.html#error_page (``ngx_http_special_response_handler``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .status import shown_status, special_page, wants_padding

if TYPE_CHECKING:
    from .request import Request

#: Statuses after which nginx always closes the connection.
_CLOSING = frozenset((400, 413, 414, 495, 496, 497, 500, 501))
#: Statuses that end the request without an answer. nginx: ``ngx_http_terminate_request``.
_SILENT = frozenset((408, 444, 499))


async def special_response(r: Request, status: int) -> int:
    """Answer ``r`` with ``status``: by an internal redirect to its error_page, or by the built-in page. Returns a code."""
    r.body_filters = None
    if status in _SILENT or (not r.is_subrequest and (status < 0 or r.main.aborted)):
        return _terminate(r, status)
    if r.is_subrequest:
        return r.end_with(status)
    return respond_with(r, status)


def respond_with(r: Request, status: int) -> int:
    """The answer of ``special_response`` for all that is to have a page."""
    core = r.loc.core
    r.err_status = status
    if status in _CLOSING:
        r.keepalive = False
    r.content_type = None
    if core.error_pages and not r.error_page and r.uri_changes > 0:
        r.error_page = not core.recursive_error_pages
        page = core.error_pages.get(status)
        if page is not None:
            return _error_page(r, page, status)
    return _builtin(r, status)


def _terminate(r: Request, status: int) -> int:
    """End without an answer; the status is for the log only."""
    if status > 0:
        r.status = status
    if not r.is_subrequest:
        r.header_sent = True
        r.header_only = True
        r.keepalive = False
        r.aborted = True
        if status == 444:
            r.conn.timed_out = True  # as in nginx, so that reset_timedout_connection covers it
    elif status == 444:
        r.header_sent = True
        r.header_only = True
    return 0


def _error_page(r: Request, page: object, status: int) -> int:
    overwrite = page.overwrite  # type: ignore[attr-defined]
    r.err_status = status if overwrite is None else overwrite
    if overwrite not in (0, 200):
        r.expect_tested = True
    uri = page.uri(r)  # type: ignore[attr-defined]
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
    r.expect_tested = True
    if r.head.has_body and not r.discard_body():
        r.keepalive = False
    padding = core.msie_padding and r.version >= 1000 and wants_padding(r.header_in(b"user-agent") or b"")
    body = special_page(status, core.server_name(), padding)
    r.status = r.err_status = shown_status(status)
    r.last_modified = None
    r.allow_ranges = False
    r.ranges = r.multipart = None
    r.headers_out = [
        (n, v) for n, v in r.headers_out if n.lower() not in (b"etag", b"accept-ranges", b"content-encoding")
    ]
    if body is None:
        r.content_length = 0
        r.send_header()
        return 0
    r.content_type = b"text/html"
    r.content_length = len(body)
    return r.send_all(body)
