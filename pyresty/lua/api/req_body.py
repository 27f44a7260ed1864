"""The request's body: https://github.com/openresty/lua-nginx-module#ngxreqread_body"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...http.body import RequestBody
from ...http.request import Finalize, Request

if TYPE_CHECKING:
    from ..vm import LuaVM


async def read_body(r: Request) -> tuple[Any, ...]:
    """``ngx.req.read_body()``; a body that cannot be read ends the request."""
    assert r.body is not None
    await r.body.read()
    return ()


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls."""

    def body_read() -> bool:
        """Whether there is nothing to wait for: the body is there, thrown away, or not this request's to read."""
        r = vm.r
        assert r is not None
        if r.body is None:
            if r.is_subrequest or r.discarded:
                return True
            r.body = RequestBody(r)
            r.body.clean = True
        return r.body.path is not None or r.body.data is not None or r.body.read_now()

    def discard_body() -> bool:
        """``ngx.req.discard_body()``; False if the body is malformed."""
        assert vm.r is not None
        return vm.r.discard_body()

    def body_data() -> bytes | None:
        """The body if it is in memory and not empty."""
        assert vm.r is not None
        body = vm.r.body
        return body.data or None if body is not None else None

    def body_file() -> bytes | None:
        """The path of the file that holds the body."""
        assert vm.r is not None
        body = vm.r.body
        return os.fsencode(body.path) if body is not None and body.path is not None else None

    def body_state() -> bytes:
        """``unread``, ``discarded``, ``file`` or ``memory``."""
        r = vm.r
        assert r is not None
        if r.discarded:
            return b"discarded"
        if r.body is None:
            return b"unread"
        return b"memory" if r.body.path is None else b"file"

    def init_body() -> int:
        """Begin an empty body; returns how many bytes of it may be in memory: ``client_body_buffer_size``."""
        r = vm.r
        assert r is not None and r.body is not None
        r.body.set_data(b"")
        return r.loc.core.client_body_buffer_size

    def set_body_data(data: bytes) -> None:
        """Replace the body, and Content-Length with it."""
        r = vm.r
        assert r is not None and r.body is not None
        r.body.set_data(data)
        set_length()

    def set_body_file(name: bytes, clean: bool) -> bytes | None:
        """Replace the body by a file, to be removed with it if ``clean``; an error message, or None."""
        r = vm.r
        assert r is not None and r.body is not None
        path = os.fsdecode(name)
        failed = b"stat()"
        try:
            size = os.stat(path).st_size
            failed = b"open()"
            with open(path, "rb"):
                pass
        except (OSError, ValueError):
            return b'%s "%s" failed' % (failed, name)
        r.body.set_file(path, size, clean=clean)
        set_length()
        return None

    def append_body(data: bytes) -> bytes | None:
        """Add to the body, in a temporary file; an error message, or None."""
        r = vm.r
        assert r is not None and r.body is not None
        try:
            r.body.append(data)
        except Finalize:
            return b"fail to write file"
        return None

    def set_length() -> None:
        """Give the request the length of its body."""
        r = vm.r
        assert r is not None and r.body is not None
        r.set_header_in(b"Content-Length", [b"%d" % r.body.size])

    return {
        "body_read": body_read,
        "discard_body": discard_body,
        "body_data": body_data,
        "body_file": body_file,
        "body_state": body_state,
        "init_body": init_body,
        "set_body_data": set_body_data,
        "set_body_file": set_body_file,
        "append_body": append_body,
        "set_length": set_length,
    }


OPERATIONS = {"read_body": read_body}
