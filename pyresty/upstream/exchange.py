"""What a request does with its upstream, whatever protocol that speaks: ask a peer, and if it fails the next one.

The one idea: an attempt ends with the head of a response or with a word from ``proxy_next_upstream``; a table says what
status each word means, and the directive whether another peer is asked instead. Everything that happened is kept in
``states``, one for each attempt, for the variables ``$upstream_…``.

Rules: ``ngx_http_upstream.c`` (``ngx_http_upstream_connect``, ``_next``, ``_test_next``).
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from ..http.request import Finalize
from ..process.logs import CRIT, DEBUG, ERR, INFO, WARN
from .http_client import ERROR, INVALID_BODY, TIMEOUT, UpstreamConnection
from .tls import TLSTransport

if TYPE_CHECKING:
    from ..http.request import Request
    from .peers import Choice, Peer
    from .pool import KeepalivePool
    from .response_head import ResponseHead
    from .tls_exchange import Security

#: Makes an iterator over the part of a request's body that can't be sent at once.
Body = Callable[[], AsyncGenerator[bytes, None]]

NO_LIVE = "no_live"

#: The status for a failure that no other peer has made good.
_STATUS = {
    TIMEOUT: 504,
    "http_500": 500,
    "http_503": 503,
    "http_504": 504,
    "http_403": 403,
    "http_404": 404,
    "http_429": 429,
}
#: nginx's numbers for the words of ``proxy_next_upstream``.
_BITS = {
    ERROR: 0x2, TIMEOUT: 0x4, "invalid_header": 0x8, "http_500": 0x10, "http_502": 0x20, "http_503": 0x40, "http_504": 0x80,
    "http_403": 0x100, "http_404": 0x200, "http_429": 0x400, NO_LIVE: 0x40000000,
}  # fmt: skip
#: Statuses after which ``proxy_next_upstream`` may ask another peer.
_NEXT_STATUSES = {status: f"http_{status}" for status in (500, 502, 503, 504, 403, 404, 429)}
#: Methods that are not sent twice unless ``non_idempotent`` allows it.
_NOT_TWICE = frozenset((b"POST", b"LOCK", b"PATCH"))

#: Errors of connect() that are logged at level error instead of crit.
_EXPECTED = frozenset(
    (
        errno.EAGAIN, errno.ENETDOWN, errno.ENETUNREACH, errno.ECONNRESET, errno.ECONNREFUSED, errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
    )
)  # fmt: skip
#: connect() fails with these at once, before there is anything to wait for.
_IMMEDIATE = frozenset(
    (errno.EINVAL, errno.EADDRNOTAVAIL, errno.ENETDOWN, errno.ENETUNREACH, errno.EACCES, errno.EPERM)
)  # fmt: skip

#: What is being done, for log lines.
CONNECTING = b"connecting to upstream"
SENDING = b"sending request to upstream"
READING_HEAD = b"reading response header from upstream"
READING = b"reading upstream"

#: The same of the whole request (``r.main.action``): while header filters have an upstream's response, and from then on.
HEAD_READ = b" while " + READING_HEAD
TO_CLIENT = b" while sending to client"


class State:
    """One attempt, as ``$upstream_addr`` and its sisters tell it. Times are seconds, None while unknown; ``peer`` is
    None for the gap between two upstreams of one request, and where no peer could be chosen.
    """

    __slots__ = (
        "bytes_received", "bytes_sent", "connect_time", "header_time", "peer", "response_length", "response_time",
        "status",
    )  # fmt: skip

    def __init__(self, peer: bytes | None) -> None:
        self.peer = peer
        self.status = 0
        self.connect_time: float | None = None
        self.header_time: float | None = None
        self.response_time: float | None = None
        self.response_length = 0
        self.bytes_received = 0
        self.bytes_sent = 0


class Upstream:
    """The upstream of one request (``r.upstream``).

    ``head`` is the response's head when ``run`` has returned 0, None for a response without one (HTTP/0.9). ``conf``
    has the settings of nginx's ``ngx_http_upstream_conf_t`` that this module reads: ``connect_timeout send_timeout
    read_timeout buffer_size window next_upstream next_upstream_tries next_upstream_timeout ignore_client_abort
    socket_options buffering buffers``.
    """

    schema = b"http://"
    uri = b""
    action = b""
    peer_name = b""
    host: bytes | None = None  #: $proxy_host
    port: bytes | None = None  #: $proxy_port
    security: Security | None = None  #: how TLS is spoken; None for none
    certificate: bytes | None = None  #: what Lua has chosen for this side, in PEM (b"" for nothing); and its key
    private_key: bytes | None = None
    verify_result = 0  #: what Lua sees, and may set, of the verification
    head_request = False  #: the method sent is HEAD
    body_length: int | None = None  #: of the request's body, in bytes; None if there is none, or it is not known
    chunked = False  #: the request's body is sent in the chunked coding
    local: tuple[str, int] | None = None  #: the address to connect from
    streams = False  #: the request's body comes in pieces and can't be sent again
    stop = 0  #: the status to end with because the client has gone or its body has failed
    head: ResponseHead | None = None
    conn: UpstreamConnection | None = None
    trailers: Sequence[tuple[bytes, bytes]] = ()
    state: State
    choice: Choice
    pool: KeepalivePool  #: where connections come from and go to
    connection = UpstreamConnection  #: the class that speaks the protocol
    key_tail = b""  #: what its keys have beside the peer's name and TLS
    request: bytes  #: what is sent to a peer at once
    #: For balancers: make the request anew; say how to be secure towards a name (None: the usual one).
    make_request: Callable[[], bytes]
    secure: Callable[[bytes | None], Security | None]
    declined = False  #: the balancer wants this to count as a peer that has failed
    _start = 0.0
    _began = 0.0
    _cached = False
    _request_sent = False
    _feeder: asyncio.Task[None] | None = None

    def __init__(self, r: Request, conf: Any) -> None:
        self.r = r
        self.conf = conf
        #: Bytes of the response that are gathered before they are sent.
        self.buffer = conf.buffers[1] if conf.buffering else 0
        self.states: list[State] = []
        if r.upstream is not None:
            self.states = r.upstream.states
            if self.states:
                self.states.append(State(None))
            r.upstream_log = None
        r.upstream = self

    def __bytes__(self) -> bytes:
        """The peer's URL, as lines of the error log show it."""
        colon = b":" if self.peer_name.startswith(b"unix:") else b""
        return b"%s%s%s%s" % (self.schema, self.peer_name, colon, self.uri)

    def log(self, level: int, message: bytes | str) -> None:
        """Log with what is being done (nginx's ``while …``)."""
        main = self.r.main
        before = main.action
        if self.action:
            main.action = b" while " + self.action
        self.r.log(level, message)
        main.action = before

    # -- asking

    async def run(self, choice: Choice, pool: KeepalivePool, request: bytes, body: Body | None) -> int:
        """Ask peers until one has answered with a head: 0, or the status to end with.

        ``request`` is what can be sent at once; ``body`` makes an iterator over the rest.
        """
        conf = self.conf
        self.choice = choice
        self.pool = pool
        self.request = request
        if conf.next_upstream_tries and choice.tries > conf.next_upstream_tries:
            choice.tries = conf.next_upstream_tries
        if not conf.ignore_client_abort:
            self.r.on_abort = self._client_gone
        while not self.stop:
            failure = await self._attempt(body)
            if self.stop:
                break
            if not failure:
                head = self.head
                if head is None or head.status < 400 or head.status not in _NEXT_STATUSES:
                    return 0
                failure = f"http_{head.status}"
                if choice.tries <= 1 or not self._may_repeat(failure):
                    return 0
            status = self._next(failure)
            if status:
                return status
            await asyncio.sleep(0)  # all this may have taken no waiting, and a balancer may ask for tries without end
        return self.stop

    async def _attempt(self, body: Body | None) -> str:
        """Ask one peer: "" when there is a head, else why there is none."""
        r = self.r
        loop = r.conn.loop
        self.action = CONNECTING
        self._cached = False
        self._request_sent = True
        self._start = now = loop.time()
        self._began = self._began or now
        peer = self.choice.get(int(now))
        if self.stop:
            self.states.append(State(None))
            return ERROR
        r.upstream_log = self
        if peer is None and self.declined:
            self.declined = False
            self.choice.tries = 0
            self.state = State(self.choice.name)
            self.states.append(self.state)
            return ERROR
        if peer is None:
            self.peer_name = self.choice.name
            self.state = State(self.peer_name)
            self.states.append(self.state)
            self.log(ERR, "no live upstreams")
            return NO_LIVE
        conf = self.conf
        self.peer_name = name = peer.name
        self.state = state = State(name)
        self.states.append(state)
        security = self.security
        key = name + self.key_tail if security is None else name + self.key_tail + security.origin.key
        conn: UpstreamConnection | None = self.pool.get(key)  # type: ignore[assignment]
        if conn is not None and not self._may_repeat(ERROR):
            # what fails on a connection that the upstream has just closed could not be sent again
            while conn is not None and conn.stale():
                conn.close()
                conn = self.pool.get(key)  # type: ignore[assignment]
        if conn is not None:
            self._cached = True
            self.conn = conn
            state.connect_time = 0.0
        else:
            self._request_sent = False
            self.conn = conn = self.connection(loop, r.conn.worker.wheel, key)
            tls = None if security is None else TLSTransport(loop, conn)
            await conn.connect(peer.address, conf.connect_timeout, self.local, tls)
            if conn.failure:
                if conn.error is not None:
                    self._connect_failed(conn.error, peer)
                return conn.failure
            for option in conf.socket_options:
                conn.transport.get_extra_info("socket").setsockopt(*option)
            if security is not None:
                assert tls is not None
                failure = await security.shake_hands(self, conn, tls)
                if failure:
                    return failure
            state.connect_time = loop.time() - now
        self.action = READING_HEAD
        self._request_sent = True
        conn.send(self.request, self.head_request, conf)
        if body is not None:
            conn.feeding = True
            self._feeder = loop.create_task(self._feed(conn, body))
        while conn.head is None and not conn.failure and not conn.http_09:
            await conn.wait()
            if self.stop:
                return ERROR
        if conn.failure and conn.failure != INVALID_BODY:
            if conn.message:
                self.log(ERR, conn.message)
            elif conn.feeding or conn.write_paused:
                self.action = SENDING
            return conn.failure
        state.header_time = loop.time() - now
        self.head = head = conn.head
        if security is not None and not self._cached:
            security.keep_session(conn)
        if head is None:
            state.status = 200
            self.log(ERR, "upstream sent no valid HTTP/1.0 header")
        else:
            state.status = head.status
            for line in head.warnings:
                self.log(WARN, line)
        return ""

    async def _feed(self, conn: UpstreamConnection, body: Body) -> None:
        """Send the request's body as it comes, as fast as the upstream takes it."""
        try:
            async with aclosing(body()) as pieces:
                async for data in pieces:
                    conn.write(data)
                    if conn.write_paused:
                        await conn.drained(self.conf.send_timeout)
                    if conn.closed or conn.failure:
                        return
            conn.feeding = False
            conn.start_clock()
        except Finalize as stop:
            self.stop = stop.status
            conn.give_up()

    def _connect_failed(self, error: OSError, peer: Peer) -> None:
        number = error.errno or 0
        reason = f"({number}: {os.strerror(number)})"
        if self.local is not None and number in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
            self.log(CRIT, f"bind({self.local[0]}) failed {reason}")
            self.stop = 500
        elif isinstance(peer.address.sockaddr, str) or number in _IMMEDIATE:
            level = ERR if number in _EXPECTED else CRIT
            self.log(level, f"connect() to {peer.name.decode('utf-8', 'surrogateescape')} failed {reason}")
        else:
            self.log(ERR, f"connect() failed {reason}")

    # -- after a failure

    def _next(self, failure: str) -> int:
        """An attempt has failed: 0 to ask another peer, else the status to end with."""
        choice = self.choice
        cached = self._cached
        self.r.log(DEBUG, f"http next upstream, {_BITS[failure]:x}")
        self._end(failure not in ("http_403", "http_404"), False)
        if failure == TIMEOUT:
            self.log(ERR, "upstream timed out (110: Connection timed out)")
        if cached and failure == ERROR:
            choice.cached_failed()
        self.state.status = status = _STATUS.get(failure, 502)
        return 0 if choice.tries and self._may_repeat(failure) else status

    def _may_repeat(self, failure: str) -> bool:
        conf = self.conf
        allowed = conf.next_upstream
        if failure not in allowed:
            return False
        if self._request_sent and (self.streams or (self.r.method in _NOT_TWICE and "non_idempotent" not in allowed)):
            return False
        timeout = conf.next_upstream_timeout
        return not timeout or self.r.conn.loop.time() - self._began < timeout

    def _client_gone(self) -> None:
        """The client has closed its connection: end the exchange."""
        self.r.on_abort = None
        self.stop = 499
        if self.action is READING_HEAD and self.conn is not None and not self.conn.received:
            self.action = SENDING  # as long as nothing has come
        self.log(
            INFO,
            "epoll_wait() reported that client prematurely closed connection, so upstream connection is closed too",
        )
        if self.conn is not None:
            self.conn.give_up()

    # -- the end

    def finish(self, read_body: bool) -> None:
        """The exchange is over, well or not: keep the connection if it can serve another. ``read_body``: the body was
        asked for.
        """
        conn = self.conn
        if conn is not None:
            if read_body:
                self.state.response_length = conn.received - conn.head_size
                self.trailers = conn.trailers
            self._end(False, not self.stop and not conn.feeding)

    def forget(self) -> None:
        """Nothing more will be asked: let go of the request, which keeps this for its log."""
        self.r = None  # type: ignore[assignment]

    def _end(self, failed: bool, keep: bool) -> None:
        """End an attempt: its figures, the peer, the connection."""
        if self._feeder is not None:
            self._feeder.cancel()
            self._feeder = None
        state = self.state
        r = self.r
        now = r.conn.loop.time()
        state.response_time = now - self._start
        r.main.action = TO_CLIENT
        if self.choice.peer is not None and self.choice.free(failed, int(now)):
            self.log(WARN, "upstream server temporarily disabled")
        conn = self.conn
        if conn is not None:
            self.conn = None
            state.bytes_received = conn.received
            state.bytes_sent = conn.sent
            if keep and not r.conn.worker.quitting:
                conn.keep(self.pool, now)
            else:
                conn.close()
