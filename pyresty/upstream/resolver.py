"""Names to addresses while serving: nginx's ``resolver``, and the system's where there is none.

The one idea: a name that is asked for by many at once is looked up once, and an answer is kept for as long as its TTL,
or ``valid=``, says. Failures are not kept.

https://nginx.org/en/docs/http/ngx_http_core_module.html#resolver; ``local=`` is OpenResty's:
https://github.com/openresty/openresty#resolvconf-parsing
"""

from __future__ import annotations

import asyncio
import random
import socket
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from ..config.directives import parse_time
from ..http.template import encode
from ..process.logs import ERR
from .address import BadAddress, addresses, is_inet, is_inet6, parse_url

if TYPE_CHECKING:
    from ..config.build import Builder, Config
    from ..config.parse import Node

#: nginx's codes: those of DNS, and the one for no answer in time.
FORMAT_ERROR, SERVER_FAILURE, NOT_FOUND, UNIMPLEMENTED, REFUSED, TIMED_OUT = 1, 2, 3, 4, 5, 110

_TEXTS = {
    FORMAT_ERROR: b"Format error",
    SERVER_FAILURE: b"Server failure",
    NOT_FOUND: b"Host not found",
    UNIMPLEMENTED: b"Unimplemented",
    REFUSED: b"Operation refused",
    TIMED_OUT: b"Operation timed out",
}

#: Seconds until a query is sent to the next server, and how often in all.
_RESEND, _TRIES = 5.0, 6
#: Names that are remembered.
_KEPT = 10000


class ResolveError(Exception):
    """A name without addresses. ``code`` is nginx's, ``text`` its words: ``NAME could not be resolved (3: Host not
    found)``.
    """

    def __init__(self, name: bytes, code: int) -> None:
        self.code = code
        self.text = b"%s could not be resolved (%d: %s)" % (name, code, _TEXTS.get(code, b"Unknown error"))
        super().__init__(self.text.decode("utf-8", "replace"))


class Lookup(ABC):
    """Looks names up, many waiters for one query. Subclasses say how."""

    def __init__(self) -> None:
        self._pending: dict[bytes, asyncio.Task[list[str]]] = {}

    async def resolve(self, name: bytes, timeout: float = 30.0) -> list[str]:
        """The addresses of ``name``, in an order that differs from call to call. Raises ResolveError, after ``timeout``
        seconds too.
        """
        found = self.remembered(name)
        if found is None:
            found = await self._wait(name, timeout)
        at = random.randrange(len(found)) if len(found) > 1 else 0
        return found[at:] + found[:at]

    def remembered(self, name: bytes) -> list[str] | None:
        """What is known already."""
        return None

    @abstractmethod
    async def query(self, name: bytes) -> list[str]:
        """Ask. Raises ResolveError."""

    async def _wait(self, name: bytes, timeout: float) -> list[str]:
        loop = asyncio.get_running_loop()
        key = name.lower()
        task = self._pending.get(key)
        if task is None:
            task = self._pending[key] = loop.create_task(self.query(name))
            task.add_done_callback(lambda _: self._pending.pop(key, None))
        waiter = loop.create_future()

        def wake(*_: object) -> None:
            if not waiter.done():
                waiter.set_result(None)

        task.add_done_callback(wake)
        timer = loop.call_later(timeout, wake)
        try:
            await waiter
        finally:
            timer.cancel()
            task.remove_done_callback(wake)
        if not task.done():
            raise ResolveError(name, TIMED_OUT)
        error = task.exception()
        if isinstance(error, ResolveError):
            raise ResolveError(name, error.code)
        return task.result()


class Resolver(Lookup):
    """Asks the servers that ``resolver`` names (``127.0.0.1:53``)."""

    _config: Config | None = None  #: for its error log

    def __init__(self, servers: list[str], valid: float | None, ipv4: bool, ipv6: bool) -> None:
        super().__init__()
        self.servers = servers
        self._valid = valid
        self._types = ("A",) * ipv4 + ("AAAA",) * ipv6
        self._known: dict[bytes, tuple[float, list[str]]] = {}

    @classmethod
    def configured(cls, cf: Builder, node: Node) -> Resolver:
        """The resolver of ``resolver address … [valid=time] [ipv4=on|off] [ipv6=on|off] [local=on|off|path]``."""
        servers: list[str] = []
        valid: float | None = None
        flags = {"ipv4": True, "ipv6": True}
        for word in node.args:
            name, eq, value = word.partition("=")
            if eq and name == "valid":
                try:
                    valid = parse_time(value)
                except ValueError:
                    raise cf.error(f"invalid parameter: {word}") from None
            elif eq and name in flags:
                if value not in ("on", "off"):
                    raise cf.error(f"invalid parameter: {word}")
                flags[name] = value == "on"
            elif eq and name == "local":
                if value != "off":
                    servers += local_servers(cf, "/etc/resolv.conf" if value == "on" else cf.path(value, conf=True))
            else:
                try:
                    servers += [address.name.decode() for address in addresses(parse_url(encode(word), 53, False))]
                except BadAddress as error:
                    raise cf.error(f'{error} in resolver "{word}"') from None
        if not flags["ipv4"] and not flags["ipv6"]:
            raise cf.error('"ipv4" and "ipv6" cannot both be "off"')
        if not servers:
            raise cf.error("no name servers defined")
        resolver = cls(servers, valid, flags["ipv4"], flags["ipv6"])
        resolver._config = cf.config
        return resolver

    def remembered(self, name: bytes) -> list[str] | None:
        known = self._known.get(name.lower())
        if known is None or known[0] <= asyncio.get_running_loop().time():
            return None
        return known[1]

    async def query(self, name: bytes) -> list[str]:
        try:
            text = name.decode("ascii")
        except UnicodeDecodeError:
            raise ResolveError(name, FORMAT_ERROR) from None
        import aiodns  # here, because only few configurations need it

        # one channel for one name, because a channel keeps answers of its own for their TTL, whatever valid= says
        async with aiodns.DNSResolver(
            self.servers, timeout=_RESEND, tries=_TRIES, rotate=len(self.servers) > 1
        ) as channel:
            queries = [channel.query_dns(text, kind) for kind in self._types]
            answers = await asyncio.gather(*queries, return_exceptions=True)
        found: list[str] = []
        ttl = float("inf")
        code, refused = 0, False
        for answer in answers:
            if isinstance(answer, BaseException):
                code = max(code, _code(answer))
                refused = refused or _is_refusal(answer)
                continue
            for record in answer.answer:
                ttl = min(ttl, record.ttl)
                address = getattr(record.data, "addr", None)  # a CNAME has none
                if address is not None:
                    found.append(address)
        if not found:
            if refused and self._config is not None:
                text = "recv() failed (111: Connection refused) while resolving, resolver: "
                for server in self.servers:
                    self._config.error_log.write(ERR, text + server)
            raise ResolveError(name, code or NOT_FOUND)
        now = asyncio.get_running_loop().time()
        if len(self._known) >= _KEPT:
            self._known = {key: known for key, known in self._known.items() if known[0] > now}
        if len(self._known) < _KEPT:
            self._known[name.lower()] = (now + (ttl if self._valid is None else self._valid), found)
        return found


def _is_refusal(error: BaseException) -> bool:
    """Whether no server listens; the DNS library says so when it has tried them all."""
    import pycares

    return bool(error.args) and error.args[0] == pycares.errno.ARES_ECONNREFUSED


def local_servers(cf: Builder, path: str) -> list[str]:
    """The name servers of a file as resolv.conf(5) describes it; lines that it does not know are passed over."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.split() for line in file]
    except OSError as error:
        raise cf.error(f'open() "{path}" failed ({error.errno}: {error.strerror})') from None
    servers = []
    for words in lines:
        if words[:1] == ["nameserver"] and len(words) > 1:
            address, percent, interface = words[1].partition("%")
            if is_inet(address.encode()):
                servers.append(f"{address}:53")
            elif is_inet6(address.encode()):
                servers.append(f"[{address}]:53{percent}{interface}")
    return servers


def _code(error: BaseException) -> int:
    """nginx's code for an error of the DNS library."""
    import pycares

    codes = {
        pycares.errno.ARES_ENOTFOUND: NOT_FOUND,
        pycares.errno.ARES_ENODATA: NOT_FOUND,
        pycares.errno.ARES_EFORMERR: FORMAT_ERROR,
        pycares.errno.ARES_EBADNAME: FORMAT_ERROR,
        pycares.errno.ARES_ESERVFAIL: SERVER_FAILURE,
        pycares.errno.ARES_ENOTIMP: UNIMPLEMENTED,
        pycares.errno.ARES_EREFUSED: REFUSED,
    }
    return codes.get(error.args[0] if error.args else None, TIMED_OUT)


class SystemResolver(Lookup):
    """Asks as any program of this machine does: /etc/hosts and all."""

    async def query(self, name: bytes) -> list[str]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(name.decode("utf-8", "surrogateescape"), 0, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            again = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
            raise ResolveError(name, SERVER_FAILURE if again else NOT_FOUND) from None
        hosts = [str(sockaddr[0]) for family, _, _, _, sockaddr in found if family in (socket.AF_INET, socket.AF_INET6)]
        if not hosts:
            raise ResolveError(name, NOT_FOUND)
        return hosts


#: The system's resolver, for whoever has no ``resolver``.
SYSTEM = SystemResolver()
