"""Subrequests whose output is a part of their parent's response, at the place where they were made.

The one idea: the response is a tree. A request that makes such subrequests has a Node with a queue, in which its own output and the
nodes of its subrequests stand in order. Only what comes first in every queue up to the client's request goes out at once; the rest waits
in the queues until its turn comes. All of them run at the same time. nginx: ``ngx_http_postpone_filter_module``,
https://nginx.org/en/docs/dev/development_guide.html#http_subrequests.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

from ..process.logs import ERR
from .phases import abort, begin
from .request import ERROR, Request
from .special import respond_with
from .subrequest import Subrequest, begin_subrequest


class Node:
    """What a request and its subrequests put out, and which of these still run. ``live``: what the request puts out is due now."""

    __slots__ = ("_waiter", "ended", "live", "main", "parent", "queue", "running", "tasks")

    def __init__(self, r: Request, parent: Node | None) -> None:
        self.main = r.main
        self.parent = parent
        self.live = parent is None
        self.queue: deque[bytes | Node] = deque()
        self.ended = False  #: the request puts out no more
        self.running = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self._waiter: asyncio.Future[None] | None = None

    def put(self, data: bytes) -> None:
        """Take output of the request."""
        if self.queue or not self.live:
            self.queue.append(data)
        else:
            self._out(data)

    def end(self) -> None:
        """The request puts out no more: when its queue is empty, what comes after it is due."""
        self.ended = True
        node = self
        while node.parent is not None and node.live and node.ended and not node.queue:
            node = node.parent
            node._go_on()

    def _go_on(self) -> None:
        queue = self.queue
        while queue:
            first = queue[0]
            if isinstance(first, Node):
                first.live = True
                first._go_on()
                if first.queue or not first.ended:
                    return
            else:
                self._out(first)
            queue.popleft()
        if self.ended and self.parent is None:
            self.main.write_after(in_order, b"", True)

    def _out(self, data: bytes) -> None:
        self.main.write_after(in_order, data)

    async def settled(self) -> None:
        """Wait until every subrequest of the request has ended."""
        while self.running:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def child_ended(self) -> None:
        """A subrequest of the request has ended."""
        self.running -= 1
        if self.running == 0 and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def in_order(r: Request, data: bytes, last: bool) -> bytes:
    """The body filter of a client's request with such subrequests: holds back what has to come after them."""
    node = r.postponed
    if not node.queue:
        return data
    if data:
        node.queue.append(data)
    if last:
        node.ended = True
        r.body_last = False
    return b""


class LastInChain(bytes):
    """The last piece of a body before a subrequest's: what filters hold back has to come before that. nginx: ``last_in_chain``."""


class PlainSubrequest(Subrequest):
    """A subrequest as nginx's own modules make it: error pages are served, and nobody reads its body. nginx: ``ngx_http_subrequest``."""

    __slots__ = ()

    def __init__(
        self, parent: Request, uri: bytes, args: bytes | None, method: bytes = b"GET", *, share_variables: bool = True
    ) -> None:
        super().__init__(parent, uri, args, method)
        self.start = time.time()
        self.body = parent.body
        if share_variables:
            if parent.vars is None:
                parent.vars = {}
            if parent.cached is None:
                parent.cached = {}
            self.vars, self.cached = parent.vars, parent.cached

    def send_header(self) -> None:
        if not self.header_sent:
            self.filter_head(self.loc.header_filters)
            if self.method == b"HEAD":
                self.header_only = True

    def send_all(self, data: bytes, last: bool = True) -> int:
        self.send_header()
        self.write(data, last)
        return 0

    def end_with(self, status: int) -> int:
        if status > 0:
            return respond_with(self, status)
        self.truncated = self.header_sent = self.finished = True
        return 0

    def emit(self, data: bytes) -> None:
        """Nobody reads it."""

    def has_ended(self) -> None:
        """What its end means for the request: what is broken off inside breaks off the whole."""
        if self.truncated and not self.main.aborted:
            abort(self.main, ERROR)


class PostponedSubrequest(PlainSubrequest):
    """A subrequest whose output is a part of the response of its parent."""

    __slots__ = ("node",)

    node: Node

    def emit(self, data: bytes) -> None:
        self.node.put(data)

    async def drain(self) -> None:
        if self.node.live:
            await self.main.drain()


def may_begin(parent: Request, uri: bytes) -> bool:
    """Whether ``parent`` may make another level of subrequests; logs nginx's message if not."""
    if parent.subrequests == 0:
        parent.log(ERR, b'subrequests cycle while processing "%s"' % uri)
        return False
    return True


def node_of(r: Request) -> Node:
    """The node of a request that makes subrequests."""
    if r.postponed is None:
        r.postponed = Node(r, None)
    node: Node = r.postponed
    return node


def add(sub: PlainSubrequest) -> Node:
    """Give ``sub`` its place in the response of its parent, after what is there already."""
    parent: Node = node_of(sub.parent)  # type: ignore[arg-type]
    parent.running += 1
    if isinstance(sub, PostponedSubrequest):
        node = sub.node = sub.postponed = Node(sub, parent)
        node.live = parent.live and not parent.queue
        parent.queue.append(node)
    return parent


def post(sub: PlainSubrequest) -> None:
    """Let ``sub`` run, once whoever made it waits or has ended. nginx: ``ngx_http_post_request``."""
    add(sub)
    sub.conn.loop.call_soon(_start, sub)


async def run_now(sub: PlainSubrequest) -> None:
    """Run ``sub``, and wait for its end."""
    parent = add(sub)
    if parent.running > 1:
        # those that were made before it begin before it
        done = sub.conn.loop.create_future()
        sub.conn.loop.call_soon(_start, sub, done)
        await done
        return
    coro = begin_subrequest(sub)
    if coro is not None:
        await coro
    _ended(sub)


def _start(sub: PlainSubrequest, done: asyncio.Future[None] | None = None) -> None:
    coro = begin_subrequest(sub)
    task = None if coro is None else begin(sub, coro)
    if task is None:
        _ended(sub, done)
        return
    tasks = sub.parent.postponed.tasks  # type: ignore[union-attr]
    tasks.add(task)

    def ended(task: asyncio.Task[None]) -> None:
        tasks.discard(task)
        _ended(sub, done)

    task.add_done_callback(ended)


def _ended(sub: PlainSubrequest, done: asyncio.Future[None] | None = None) -> None:
    sub.has_ended()
    if isinstance(sub, PostponedSubrequest):
        sub.node.end()
    sub.parent.postponed.child_ended()  # type: ignore[union-attr]
    if done is not None and not done.done():
        done.set_result(None)
