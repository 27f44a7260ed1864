"""Conditional requests: whether a 200 becomes a 304 or a 412, and whether a Range counts.

The one idea: the decision needs nothing but the request's headers and the response's two validators.

Rules: RFC 9110 section 13 as nginx reads it (ngx_http_not_modified_filter_module.c, ngx_http_range_filter_module.c,
ngx_http_set_etag); https://nginx.org/en/docs/http/ngx_http_core_module.html#if_modified_since.
"""

from __future__ import annotations

from collections.abc import Mapping

from .dates import parse_http_time

#: The request headers that ``evaluate`` looks at.
CONDITIONS = frozenset((b"if-unmodified-since", b"if-match", b"if-modified-since", b"if-none-match"))


def make_etag(last_modified: int, size: int) -> bytes:
    """The ETag of a file: modification time (seconds since 1970) and size (bytes) in hexadecimal."""
    return b'"%x-%x"' % (last_modified, size)


def weak_etag(etag: bytes | None) -> bytes | None:
    """The ETag for a body that a filter has changed: made weak if it isn't; None for one that is not quoted."""
    if etag is None or (etag[:2] == b"W/" and len(etag) > 2):
        return etag
    return b"W/" + etag if etag[:1] == b'"' else None


def evaluate(
    headers: Mapping[bytes, bytes | list[bytes]],
    last_modified: int | None,
    etag: bytes | None,
    if_modified_since: str = "exact",
) -> int:
    """The status of a response that would be 200: 200, 304 or 412.

    ``headers`` are the request's by lower-case name; of a repeated one the first counts. ``last_modified`` (seconds
    since 1970) and ``etag`` are the response's, None if it has none. ``if_modified_since`` is the directive: "exact",
    "before" or "off".
    """
    value = _first(headers, b"if-unmodified-since")
    if value is not None and not _unmodified(value, last_modified):
        return 412
    value = _first(headers, b"if-match")
    if value is not None and not etag_matches(value, etag, weak=False):
        return 412
    since = _first(headers, b"if-modified-since")
    none_match = _first(headers, b"if-none-match")
    if since is None and none_match is None:
        return 200
    if since is not None and _modified(since, last_modified, if_modified_since):
        return 200
    if none_match is not None and not etag_matches(none_match, etag, weak=True):
        return 200
    return 304


def range_applies(if_range: bytes | None, last_modified: int | None, etag: bytes | None) -> bool:
    """Whether a Range is to be honoured: there is no If-Range, or it names exactly this version."""
    if if_range is None:
        return True
    if len(if_range) >= 2 and if_range[-1:] == b'"':
        return if_range == etag
    return last_modified is not None and parse_http_time(if_range) == last_modified


def etag_matches(listed: bytes, etag: bytes | None, weak: bool) -> bool:
    """Whether ``etag`` is in the list of an If-Match or (``weak``) If-None-Match header; "*" matches also where there
    is no ETag."""
    if listed == b"*":
        return True
    if etag is None:
        return False
    if weak and len(etag) > 2 and etag[:2] == b"W/":
        etag = etag[2:]
    rest = listed
    while rest:
        if weak and len(rest) > 2 and rest[:2] == b"W/":
            rest = rest[2:]
        if len(etag) > len(rest):
            return False
        if rest.startswith(etag):
            rest = rest[len(etag) :].lstrip(b" \t")
            if not rest or rest[:1] == b",":
                return True
        rest = rest.partition(b",")[2].lstrip(b" \t,")
    return False


def _first(headers: Mapping[bytes, bytes | list[bytes]], name: bytes) -> bytes | None:
    value = headers.get(name)
    return value[0] if isinstance(value, list) else value


def _unmodified(value: bytes, last_modified: int | None) -> bool:
    if last_modified is None:
        return False
    since = parse_http_time(value)
    return since is not None and since >= last_modified


def _modified(value: bytes, last_modified: int | None, if_modified_since: str) -> bool:
    if last_modified is None or if_modified_since == "off":
        return True
    since = parse_http_time(value)
    if since == last_modified:
        return False
    return if_modified_since == "exact" or since is None or since < last_modified
