"""The commands of echo that take other locations' output in. https://github.com/openresty/echo-nginx-module#echo_subrequest

A parent whose response is captured by ``ngx.location.capture`` does not have it taken in: what such a subrequest puts out is lost, as on
the reference.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ..http.body import RequestBody
from ..http.postpone import PlainSubrequest, PostponedSubrequest, may_begin, post, run_now
from ..http.request import ERROR, OK
from ..http.subrequest import Subrequest
from ..http.template import encode
from ..http.uri import UnsafeURI, parse_unsafe_uri
from ..process.logs import ERR, reason
from .echo_commands import Command, State, read_body, send_header

if TYPE_CHECKING:
    from ..http.request import Request
    from ..http.template import Template


def location(options: tuple[str, ...], arguments: tuple[Template, ...]) -> Command:
    """``echo_location uri [args]``: goes on when the subrequest has ended."""
    return _location(arguments, True)


def location_async(options: tuple[str, ...], arguments: tuple[Template, ...]) -> Command:
    """``echo_location_async uri [args]``."""
    return _location(arguments, False)


def subrequest(options: tuple[str, ...], arguments: tuple[Template, ...]) -> Command:
    """``echo_subrequest method uri [-q args] [-b body | -f file]``: goes on when the subrequest has ended."""
    return _subrequest(arguments, True)


def subrequest_async(options: tuple[str, ...], arguments: tuple[Template, ...]) -> Command:
    """``echo_subrequest_async method uri [-q args] [-b body | -f file]``."""
    return _subrequest(arguments, False)


#: Before the first of these the head is sent by a command of its own.
MAKERS = frozenset((location, location_async, subrequest, subrequest_async))


def _location(arguments: tuple[Template, ...], wait: bool) -> Command:
    def make(r: Request) -> PlainSubrequest | None:
        uri = arguments[0](r) if arguments else b""
        return _make(r, b"GET", uri, arguments[1](r) if len(arguments) > 1 else None)

    return _command(make, wait)


def _subrequest(arguments: tuple[Template, ...], wait: bool) -> Command:
    def make(r: Request) -> PlainSubrequest | None:
        words = [argument(r) for argument in arguments]
        if len(words) < 2 or not words[1]:
            return None
        values: dict[bytes, bytes | None] = {b"-q": None, b"-b": None, b"-f": None}
        for at in range(2, len(words), 2):
            if words[at] not in values:
                r.log(ERR, b"unknown option for echo_subrequest*: %s" % words[at])
                return None
            if at + 1 < len(words):
                values[words[at]] = words[at + 1]
        body: RequestBody | None = None
        if values[b"-b"]:
            body = RequestBody(r.main)
            body.set_data(values[b"-b"])
        elif values[b"-f"]:
            body = _file(r, values[b"-f"])
            if body is None:
                return None
        sub = _make(r, words[0], words[1], values[b"-q"])
        if sub is not None and body is not None:
            sub.body = body
            _set_length(sub, body.size)
        return sub

    return _command(make, wait)


def _file(r: Request, name: bytes) -> RequestBody | None:
    """A body that is a file below the prefix; None, with a line in the log, if it can't be read."""
    path = os.path.join(encode(r.server.config.prefix), name)
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        r.log(ERR, b'open() "%s" failed %s' % (path, reason(error).encode()))
        return None
    body = RequestBody(r.main)
    body.set_file(os.fsdecode(path), size)
    return body


def _set_length(sub: PlainSubrequest, size: int) -> None:
    """Put the length of its own body in front of the other headers."""
    length = b"%d" % size
    sub.own_headers_in()
    others = [(name, value) for name, value in sub.headers_in if name.lower() != b"content-length"]
    sub.headers_in = [(b"Content-Length", length), *others]
    sub.index[b"content-length"] = length


def _make(r: Request, method: bytes, raw: bytes, args: bytes | None) -> PlainSubrequest | None:
    """The subrequest; None, which ends the request, for a URI that is not safe or a level too deep."""
    try:
        uri, own_args = parse_unsafe_uri(raw)
    except UnsafeURI:
        return None
    if not may_begin(r, uri):
        return None
    captured = type(r) is Subrequest
    kind = PlainSubrequest if captured else PostponedSubrequest
    sub = kind(r, uri, own_args if args is None else args, method, share_variables=False)
    if method == b"HEAD":
        sub.header_only = True
    return sub


def _command(make: Any, wait: bool) -> Command:
    def run(r: Request, state: State) -> Any:
        if r.body is None and not r.is_subrequest:
            waiting = read_body(r)
            if waiting is not None:
                state.next -= 1  # again, when the body is there
                return waiting
        sub = make(r)
        if sub is None:
            return ERROR
        send_header(r, state)
        if r.header_only:
            return OK if wait else None
        if wait:
            return run_now(sub)
        post(sub)
        return None

    return Command(run, subrequest=True)
