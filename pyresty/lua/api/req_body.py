"""The request's body: https://github.com/openresty/lua-nginx-module#ngxreqread_body"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...http.body import RequestBody
from ...http.request import Request
from ...process.logs import CRIT

if TYPE_CHECKING:
    from ..vm import LuaVM


async def read_body(r: Request) -> tuple[Any, ...]:
    """``ngx.req.read_body()``; a body that cannot be read ends the request."""
    assert r.body is not None
    await r.body.read()
    return ()


def _unlink(path: str, r: Request) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        r.log(CRIT, f'unlink() "{path}" failed ({error.errno}: {error.strerror})')


def _remove_at_end(r: Request, path: str) -> None:
    r.main.at_end(lambda r: _unlink(path, r))


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

    def body_buffer_size() -> int:
        """``client_body_buffer_size``."""
        assert vm.r is not None
        return vm.r.loc.core.client_body_buffer_size

    def set_body_data(data: bytes) -> None:
        """Replace the body, and Content-Length with it."""
        r = vm.r
        assert r is not None and r.body is not None
        r.body.set_data(data)
        r.set_header_in(b"Content-Length", [b"%d" % len(data)])

    def set_body_file(name: bytes, clean: bool) -> bytes | None:
        """Replace the body by a file, to be removed at the end if ``clean``; an error message, or None."""
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
        r.body.set_file(path, size)
        r.set_header_in(b"Content-Length", [b"%d" % size])
        if clean:
            _remove_at_end(r, path)
        return None

    def set_body_temporary(data: bytes) -> bytes | None:
        """Replace the body by a temporary file with ``data``; an error message, or None."""
        r = vm.r
        assert r is not None and r.body is not None
        try:
            with tempfile.NamedTemporaryFile(prefix="", dir=r.loc.core.client_body_temp_path, delete=False) as file:
                file.write(data)
        except OSError:
            return b"fail to write file"
        r.body.set_file(file.name, len(data))
        r.set_header_in(b"Content-Length", [b"%d" % len(data)])
        _remove_at_end(r, file.name)
        return None

    return {
        "body_read": body_read,
        "discard_body": discard_body,
        "body_data": body_data,
        "body_file": body_file,
        "body_state": body_state,
        "body_buffer_size": body_buffer_size,
        "set_body_data": set_body_data,
        "set_body_file": set_body_file,
        "set_body_temporary": set_body_temporary,
    }


OPERATIONS = {"read_body": read_body}
