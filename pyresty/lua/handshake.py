"""Runs Lua before a TLS handshake with a client: ``ssl_client_hello_by_lua*`` and ``ssl_certificate_by_lua*``.

The one idea: the code runs as the handler of a request that nobody sent (``HandshakeRequest``), by the same scheduler as any
other, so it may wait; OpenSSL hears of the client when it has ended. What it has set is in the Handshake.

https://github.com/openresty/lua-nginx-module#ssl_certificate_by_lua_block
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..process.logs import ALERT, DEBUG
from ..tls.handshake import Handshake, HandshakeRequest
from .scheduler import advance, carry_on

if TYPE_CHECKING:
    from ..http.routing import Server
    from ..tls.settings import Step
    from .handlers import Code
    from .vm import LuaVM


def make_step(server: Server, code: Code, name: str, callback: str) -> Step:
    """The step that runs ``code``; ``name`` is that of the directive without its ending, ``callback`` OpenSSL's."""
    root = server.root
    context = f"{name}_by_lua*".encode()

    async def step(handshake: Handshake) -> bool:
        named = handshake.user.named
        if named is not None and named is not server and code.phase == b"ssl_certificate":
            # one without certificates of its own: ours are used, but not our code
            text = f"no {name}_by_lua* defined in server {named.name.decode('utf-8', 'surrogateescape')}"
            handshake.user.worker.log(ALERT, text, handshake.user)
            return False
        vm: LuaVM = server.config.lua
        r = HandshakeRequest(handshake, root, context)
        r.lua = handshake.ctx
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
            r.handshake = None
            handshake.ctx = r.lua
            for cleanup in r.cleanups or ():
                cleanup(r)
        ok = result is None or 0 <= result < 300
        value = "" if waited else f"handler return value: {result or 0}, "
        handshake.user.worker.log(DEBUG, f"{name}_by_lua: {value}{callback} exit code: {int(ok)}", handshake.user)
        return ok

    return step
