"""Which server and which location serve a request: looked up in structures that are made once, at start-up.

Servers are found by the local address and the ``Host`` header, in the order of
https://nginx.org/en/docs/http/server_names.html; locations by the normalised URI, in the order of
https://nginx.org/en/docs/http/ngx_http_core_module.html#location. Both answers depend only on the head, so that a remembered head
remembers them too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..config.build import Config
    from ..modules.http_core import CoreLocation, CoreServer
    from .codec import HeadOptions
    from .request import Request

#: A handler of the phases before content: answers None to decline, else a code from ``request`` or an HTTP status.
PhaseHandler = Callable[["Request"], Awaitable["int | None"]]
#: A content handler; it may answer at once, or give something to await.
Handler = Callable[["Request"], "int | None | Awaitable[int | None]"]
#: A sequence of rewrite directives, run at once: None to go on, else a code or status.
Script = Callable[["Request"], "int | None"]
HeaderFilter = Callable[["Request"], None]


class Location:
    """A location with its merged settings and the handlers that are really there.

    ``kind`` is one of ``exact prefix noregex regex named if limit_except server`` (``server`` stands for the settings of a server
    outside of any location). ``simple`` is true if nothing but the content handler has to run.
    """

    def __init__(self, name: str, kind: str, server: Server, parent: Location | None) -> None:
        self.name = name
        self.prefix = name.encode("utf-8", "surrogateescape")
        self.kind = kind
        self.server = server
        self.parent = parent
        self.regex: Any = None
        self.conf: dict[str, Any] = {}
        self.core: CoreLocation
        self.locations = Locations()
        #: Whether ``locations`` has any.
        self.nests = False
        self.children: list[Location] = []
        self.script_ops: list[Any] = []
        self.script: Script | None = None
        self.first_rewrite: tuple[PhaseHandler, ...] = ()  #: run before ``script``
        self.rewrite: tuple[PhaseHandler, ...] = ()
        self.preaccess: tuple[PhaseHandler, ...] = ()
        self.access: tuple[PhaseHandler, ...] = ()
        self.precontent: tuple[PhaseHandler, ...] = ()
        #: Makes the content handler from the location that is to run it (an ``if`` inherits the factory, with settings of its own).
        self.content_factory: Callable[[Location], Handler] | None = None
        self.content: Handler = _no_content
        self.content_chain: tuple[Handler, ...] = ()
        self.log: tuple[Callable[[Request], None], ...] = ()
        self.header_filters: tuple[HeaderFilter, ...] = ()
        self.capture_filters: tuple[HeaderFilter, ...] = ()
        #: ``location /dir/ { proxy_pass … }``: a request for ``/dir`` is redirected to ``/dir/``.
        self.auto_redirect = False
        self.limit_except: tuple[frozenset[bytes], Location] | None = None
        #: Whether a response may take in subrequests, which its request has to wait for (``postpone.py``).
        self.postpones = False
        self.simple = False
        #: The code and the default type of ``content_by_lua*``, if nothing else sees or changes what it does (lua/api/location.py).
        self.lua_content: Any = None

    def pass_to(self, factory: Callable[[Location], Handler]) -> None:
        """An upstream answers. Where the name ends in a slash, a request without it is redirected. nginx: ``auto_redirect``."""
        self.content_factory = factory
        self.auto_redirect = self.name.endswith("/") and self.kind in ("prefix", "noregex", "exact")


def _no_content(r: Request) -> int:
    return 404


#: Look-ups that a server remembers.
_FOUND = 4096


class Locations:
    """The locations of one block, ready for look-up."""

    __slots__ = ("exact", "lengths", "named", "prefix", "redirects", "regex")

    def __init__(self) -> None:
        self.exact: dict[bytes, Location] = {}
        self.prefix: dict[bytes, Location] = {}
        self.lengths: tuple[int, ...] = ()
        self.regex: tuple[Location, ...] = ()
        self.named: dict[bytes, Location] = {}
        #: Whether any has ``auto_redirect``.
        self.redirects = False

    def find(self, uri: bytes) -> tuple[Location | None, Any]:
        """The location for ``uri`` and, if a regular expression chose it, its match object. nginx: ``ngx_http_core_find_location``."""
        found, match, _ = self._find(uri)
        return found, match

    def _find(self, uri: bytes) -> tuple[Location | None, Any, bool]:
        loc = self.exact.get(uri)
        if loc is not None:
            return loc, None, True
        best: Location | None = None
        size = len(uri)
        prefixes = self.prefix
        for length in self.lengths:
            if length <= size:
                best = prefixes.get(uri[:length])
                if best is not None:
                    break
        if self.redirects:
            redirect = self.exact.get(uri + b"/") or prefixes.get(uri + b"/")
            if redirect is not None and redirect.auto_redirect:
                return redirect, None, True
        if best is not None:
            loc = best
            if loc.nests:
                nested, match, final = loc.locations._find(uri)
                if nested is not None:
                    best = nested
                    if final:
                        return nested, match, True
            if loc.kind == "noregex":
                return best, None, False
        for loc in self.regex:
            match = loc.regex.search(uri)
            if match is not None:
                if loc.nests:
                    nested, inner, _ = loc.locations._find(uri)
                    if nested is not None:
                        return nested, inner or match, True
                return loc, match, True
        return best, None, False


class Server:
    """A ``server { … }``: its names, its locations, and the settings that hold before a location is known (``root``)."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.conf: dict[str, Any] = {}
        self.core: CoreServer
        self.root: Location = Location("", "server", self, None)
        self.locations = self.root.locations
        self.script: Script | None = None
        #: Handlers of the phase server_rewrite, in front of ``script``.
        self.rewrite: tuple[PhaseHandler, ...] = ()
        #: Nothing runs before the location is looked up.
        self.quiet = True
        #: ``(kind, text, regex)`` with kind ``exact``, ``head`` (``*.name``), ``tail`` (``name.*``) or ``regex``.
        self.names: list[tuple[str, str, Any]] = []
        self.listens: list[Any] = []
        self.name = b""
        self.file, self.line = "", 0  #: where it stands in the configuration
        self._found: dict[bytes, tuple[Location, Any]] = {}
        self.inside: dict[bytes, Any] = {}  #: what ``ngx.location.capture`` remembers of URIs (lua/api/location.py)

    def find_location(self, uri: bytes) -> tuple[Location, Any]:
        """The location for ``uri`` and the match object if a regular expression chose it; recent answers are remembered."""
        found = self._found.get(uri)
        if found is None:
            loc, match = self.locations.find(uri)
            found = loc or self.root, match
            if len(self._found) >= _FOUND:
                self._found.clear()
            self._found[uri] = found
        return found


class NameTable:
    """The servers of one address, by name."""

    __slots__ = ("default", "exact", "head", "mixed", "regex", "simple", "tail", "tls")

    def __init__(self, default: Server) -> None:
        self.default = default
        self.tls = False  #: ``listen … ssl``
        self.exact: dict[bytes, Server] = {}
        self.head: dict[bytes, Server] = {}
        self.tail: dict[bytes, Server] = {}
        self.regex: list[tuple[Any, Server]] = []
        self.simple = True
        self.mixed = False  #: the servers read header lines by different rules

    def has(self, server: Server) -> bool:
        """Whether ``server`` is one of these."""
        tables = (self.exact, self.head, self.tail)
        return server is self.default or any(
            server is each for each in (*(s for table in tables for s in table.values()), *(s for _, s in self.regex))
        )

    def head_options(self, host: bytes | None) -> HeadOptions:
        """How header lines are read once the host is known."""
        return self.find(host)[0].core.head_options

    def find(self, host: bytes | None) -> tuple[Server, Any]:
        """The server for a lower-case host without port, and the match object if a regular expression chose it."""
        if self.simple:
            return self.default, None
        return self.named(host) or (self.default, None)

    def named(self, host: bytes | None) -> tuple[Server, Any] | None:
        """As ``find``; None where no server has that name."""
        if host is None:
            found = self.exact.get(b"")
            return (found, None) if found is not None else None
        found = self.exact.get(host)
        if found is not None:
            return found, None
        if self.head:
            rest = host
            while True:
                _, dot, rest = rest.partition(b".")
                if not dot:
                    break
                found = self.head.get(rest)
                if found is not None:
                    return found, None
        if self.tail:
            rest = host
            while True:
                rest, dot, _ = rest.rpartition(b".")
                if not dot:
                    break
                found = self.tail.get(rest)
                if found is not None:
                    return found, None
        for regex, server in self.regex:
            match = regex.search(host)
            if match is not None:
                return server, match
        return None
