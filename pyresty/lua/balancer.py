"""The way of a request through an upstream whose peers Lua chooses (``balancer_by_lua*``).

The one idea: it is a Choice like round robin's, and asks that where Lua has set no peer; what else Lua says (timeouts,
more tries, a pool of kept connections) is left on the request's Upstream, which carries it out.

Rules: ``ngx_http_lua_balancer.c``; the module ``ngx.balancer`` of lua-resty-core.
"""

from __future__ import annotations

import copy
import ipaddress
import sys
from typing import TYPE_CHECKING, Any

from ..http.body import RequestBody
from ..process.logs import DEBUG, ERR
from ..upstream.address import BadAddress, parse_url
from ..upstream.peers import Choice, Peer
from ..upstream.pool import KeepalivePool
from .scheduler import DONE

if TYPE_CHECKING:
    from ..config.build import Config
    from ..upstream.exchange import Upstream
    from ..upstream.peers import Peers
    from .handlers import Code

#: Connections that ``balancer_keepalive`` keeps unless it says otherwise.
KEPT = 32
#: What ``ngx.exit`` may end the phase with, beside statuses: NGX_ERROR, NGX_BUSY, NGX_DECLINED.
ERROR, BUSY, DECLINED = -1, -3, -5


class LuaBalancer:
    """What ``balancer_by_lua*`` is for one upstream. ``placeholder`` is the peer of an upstream without servers."""

    def __init__(self, config: Config, code: Code) -> None:
        self.config = config
        self.code = code
        self.placeholder: Peer | None = None
        self.pool = KeepalivePool(KEPT, time=float("inf"))

    def __call__(self, peers: Peers, u: Upstream) -> LuaChoice:
        """The way of ``u``'s request through ``peers``."""
        r = u.r
        if r.body is None and not r.head.has_body:
            # Lua may set one, as if it had been read
            r.body = RequestBody(r)
            r.body.read_now()
        return LuaChoice(peers, u, self)


class LuaChoice(Choice):
    """One request's; functions of ``ngx.balancer`` set its attributes while the code runs."""

    __slots__ = (
        "_balancer", "_pool", "_total", "_u", "chosen", "exit", "host", "keepalive", "last_state", "local", "more_tries",
    )  # fmt: skip

    def __init__(self, peers: Peers, u: Upstream, balancer: LuaBalancer) -> None:
        super().__init__(peers)
        self._u = u
        self._balancer = balancer
        self._pool: KeepalivePool | None = None
        self._total = 0
        self.chosen: Peer | None = None
        self.host = b""
        self.exit = 0
        self.keepalive: tuple[int, float] | None = None  # requests, seconds
        self.last_state: bytes | None = None
        self.local: tuple[str, int] | None = None
        self.more_tries = 0

    def get(self, now: int) -> Peer | None:
        """Ask Lua, then round robin; ``stop`` of the Upstream is set where the request has to end."""
        u = self._u
        if self._pool is None:
            self._pool = u.pool
        u.log(DEBUG, f"lua balancer: get peer, tries: {self.tries}")
        self.chosen = self.keepalive = None
        self.host = b""
        self.more_tries = self.exit = 0
        self._total += 1
        u.r.upstream_log = u if u.peer_name else None
        if not self._run():
            u.stop = 500
            return None
        status = self.exit
        if status:
            if status == DECLINED:
                u.declined = True
            elif status != BUSY:
                u.stop = status if status >= 300 else 500
            return None
        if self.local is not None:
            u.local = self.local
        u.pool, u.key_tail = self._pool, b""
        peer = self.chosen
        if peer is not None:
            self.peer = peer
            self.tries += self.more_tries
            if self.keepalive is not None:
                u.pool = self._balancer.pool
                u.key_tail = b"\0%s\0%s" % (self.host.lower(), repr(self.local).encode())
            return peer
        peer = super().get(now)
        if peer is not None and peer is self._balancer.placeholder:
            u.r.upstream_log = None
            u.log(ERR, "lua balancer: no peer set")
            u.stop = 500
        return peer

    def _run(self) -> bool:
        """Run the code; whether it ended well."""
        u, balancer = self._u, self._balancer
        r = u.r
        vm: Any = balancer.config.lua
        action = r.main.action
        r.main.action = b" while connecting to upstream"
        try:
            chunk = balancer.code.chunk(vm, r, r.loc.conf["lua"].code_cache)
            if chunk < 0:
                return chunk != -500  # without its file, it is as if there were no code
            vm.r = r
            answer = vm.start(b"balancer", chunk, r.lua, r.header_sent, False)
            r.lua = answer[1]
            if answer[0] == DONE:
                return True
            if answer[0] > 0:
                vm.cancel(answer[3])
                message = b"attempt to yield across C-call boundary"
            else:
                message = answer[3]
            r.log(ERR, b"failed to run balancer_by_lua*: " + message)
            return False
        finally:
            vm.r = None
            r.main.action = action

    def free(self, failed: bool, now: int) -> bool:
        """The peer has been asked."""
        u = self._u
        u.r.log(DEBUG, f"lua balancer: free peer, tries: {self.tries}")
        if self.chosen is None:
            return super().free(failed, now)
        self.peer = None
        self.last_state = b"failed" if failed else b"next"
        if self.tries:
            self.tries -= 1
        if self.keepalive is not None:
            # for the connection that is about to be kept
            pool = self._balancer.pool
            pool.requests, pool.timeout = self.keepalive
        return False

    def cached_failed(self) -> None:
        """A kept connection has failed: that is a try like any other here."""

    # -- what ngx.balancer asks for: None if that is done, else the error's message

    def set_peer(self, address: bytes, port: int, host: bytes) -> bytes | None:
        """``set_current_peer``."""
        try:
            url = parse_url(address, port & 0xFFFF, False)
        except BadAddress as error:
            return str(error).encode()
        if url.address is None:
            return b"no host allowed"
        self.chosen = Peer(url.address)
        self.host = host
        if host and self._u.security is not None:
            self._u.security = self._u.secure(host)
        return None

    def set_keepalive(self, seconds: float, requests: int) -> bytes | None:
        """``enable_keepalive``; 0 requests stands for any number."""
        if self.chosen is None:
            return b"no current peer set"
        self.keepalive = requests or sys.maxsize, seconds
        return None

    def set_more_tries(self, count: int) -> bytes | None:
        """``set_more_tries``; the answer is a warning."""
        limit = self._u.conf.next_upstream_tries
        total = self._total + self.tries - 1
        reduced = limit and total + count > limit
        self.more_tries = limit - total if reduced else count
        return b"reduced tries due to limit" if reduced else None

    def last_failure(self) -> tuple[bytes, int] | None:
        """``get_last_failure``: the state and the status of the last attempt."""
        if self.last_state is None:
            return None
        return self.last_state, self._u.states[-1].status if self._u.states else 0

    def set_timeouts(self, connect: float, send: float, read: float) -> None:
        """``set_timeouts``, in seconds; 0 changes nothing."""
        u = self._u
        u.conf = conf = copy.copy(u.conf)
        conf.connect_timeout = connect or conf.connect_timeout
        conf.send_timeout = send or conf.send_timeout
        conf.read_timeout = read or conf.read_timeout

    def bind(self, address: bytes) -> bytes | None:
        """``bind_to_local_addr``."""
        text, port = address.decode("latin-1"), 0
        host, colon, digits = text.rpartition(":")
        if colon and digits.isdigit() and (host.startswith("[") or ":" not in host):
            text, port = host.removeprefix("[").removesuffix("]"), int(digits)
        try:
            ipaddress.ip_address(text)
        except ValueError:
            return b"invalid addr " + address
        self.local = text, port
        return None

    def set_tls(self, on: bool) -> bytes | None:
        """``set_upstream_tls``."""
        u = self._u
        if not on:
            u.security = None
            u.schema = b"http://"
            return None
        if u.security is None:
            u.security = u.secure(self.host or None)
            if u.security is None:
                return b"no TLS settings: proxy_pass has to name https://"
            u.schema = b"https://"
        return None

    def recreate(self) -> None:
        """``recreate_request``."""
        self._u.request = self._u.make_request()
