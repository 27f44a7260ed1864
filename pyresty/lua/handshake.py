"""Runs Lua in a TLS handshake with a client: ``ssl_client_hello_by_lua*``, ``ssl_session_fetch_by_lua*`` and
``ssl_certificate_by_lua*`` before it, ``ssl_session_store_by_lua*`` after it.

The one idea: the code runs as the handler of a request that nobody sent (``HandshakeRequest``), by the same scheduler as any
other, so it may wait; OpenSSL hears of the client when it has ended. What it has set is in the Handshake.

https://github.com/openresty/lua-nginx-module#ssl_certificate_by_lua_block
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..process.logs import ALERT, DEBUG, ERR
from ..tls.handshake import Handshake, HandshakeRequest
from .scheduler import advance, carry_on, run_sync

if TYPE_CHECKING:
    from ..http.routing import Server
    from ..tls.settings import Step
    from .handlers import Code
    from .vm import LuaVM


def make_step(server: Server, code: Code, callback: str) -> Step:
    """The step that runs ``code`` before the handshake; ``callback`` is what its log line calls OpenSSL's."""
    root = server.root
    context = code.phase + b"_by_lua*"
    name = code.phase.decode()
    star = "*" if name == "ssl_session_fetch" else ""

    async def step(handshake: Handshake) -> bool:
        named = handshake.user.named
        if named is not None and named is not server and name == "ssl_certificate":
            # one without certificates of its own: ours are used, but not our code
            text = f"no {name}_by_lua* defined in server {named.name.decode('utf-8', 'surrogateescape')}"
            handshake.user.worker.log(ALERT, text, handshake.user)
            return False
        vm: LuaVM = server.config.lua
        r = HandshakeRequest(handshake, root, context)
        waited = False
        try:
            chunk = code.chunk(vm, r, root.conf["lua"].code_cache)
            if chunk < 0:
                return False
            vm.r = r
            tid, waiting = advance(vm, r, vm.start(code.phase, chunk, r.lua, False), False)
            waited = tid != 0
            result: Any = await carry_on(vm, r, tid, waiting, False)
        finally:
            r.end()
        ok = result is None or 0 <= result < 300
        value = "" if waited else f"handler return value: {result or 0}, "
        handshake.user.worker.log(DEBUG, f"{name}_by_lua{star}: {value}{callback} exit code: {int(ok)}", handshake.user)
        return ok

    return step


def make_store(server: Server, code: Code) -> Callable[[Handshake], None]:
    """``ssl_session_store_by_lua*``, which may not wait."""
    root = server.root

    def store(handshake: Handshake) -> None:
        vm: LuaVM = server.config.lua
        r = HandshakeRequest(handshake, root, b"ssl_session_store_by_lua*")
        try:
            chunk = code.chunk(vm, r, root.conf["lua"].code_cache)
            if chunk < 0:
                return
            ok, result = run_sync(vm, r, code.phase, chunk)
        finally:
            r.end()
        if not ok:
            r.log(ERR, b"failed to run session_store_by_lua*: " + result)
        text = f"ssl_session_store_by_lua*: handler return value: {0 if ok else -1}, sess new cb exit code: 0"
        handshake.user.worker.log(DEBUG, text, handshake.user)

    return store
