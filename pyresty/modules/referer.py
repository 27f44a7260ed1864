"""valid_referers: https://nginx.org/en/docs/http/ngx_http_referer_module.html

``$invalid_referer`` is empty where the ``Referer`` is one of those, else ``1``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config.directives import (
    LOCATION,
    ONE_MORE,
    SERVER,
    TAKE1,
    UNSET,
    Directive,
    Module,
    Settings,
    no_effect,
    setting,
)
from ..http.names import HostNames
from ..http.regex import compile_regex
from ..http.template import encode

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request
    from ..http.routing import Location

#: nginx's ``sizeof("http://i.ru") - 1``: what is shorter is no URL.
_SHORTEST = 11


class Referers:
    """The referers of one block: by host, each with what the URI has to begin with, and by regular expression."""

    def __init__(self) -> None:
        self.none = self.blocked = self.server_names = False
        self.hosts: HostNames[bytes] = HostNames()
        self.regexes: list[Any] = []
        self.host_regexes: list[Any] = []

    def valid(self, referer: bytes | None) -> bool:
        """Whether a request with this ``Referer`` header is let pass."""
        if not (self.hosts or self.regexes or self.host_regexes):
            return True
        if referer is None:
            return self.none
        low = referer[:8].lower()
        if len(referer) < _SHORTEST or not low.startswith((b"http://", b"https://")):
            return self.blocked
        rest = referer[7 if low.startswith(b"http://") else 8 :]
        host = rest.partition(b"/")[0].partition(b":")[0].lower()
        if len(host) > 256:
            return False
        uri = self.hosts.find(host)
        if uri is not None:
            path = rest[len(rest.partition(b"/")[0]) :]
            return path.startswith(uri)
        return any(regex.search(host) for regex in self.host_regexes) or any(
            regex.search(rest) for regex in self.regexes
        )


@dataclass
class RefererSettings(Settings):
    """Settings of a location; a block with referers of its own does not inherit any."""

    referers: Referers | None = setting(None)


def set_valid_referers(cf: Builder, conf: RefererSettings, node: Node) -> None:
    """``valid_referers none | blocked | server_names | string …``."""
    if conf.referers is UNSET:
        conf.referers = Referers()
    referers = conf.referers
    assert referers is not None
    for word in node.args:
        if not word:
            raise cf.error(f'invalid referer "{word}"')
        if word in ("none", "blocked", "server_names"):
            setattr(referers, word, True)
        elif word.startswith("~"):
            if len(word) == 1:
                raise cf.error(f'empty regex in "{word}"')
            referers.regexes.append(compile_regex(cf, word[1:], caseless=True))
        else:
            host, slash, path = word.partition("/")
            _add(cf, referers, host.lower(), encode(slash + path))


def _add(cf: Builder, referers: Referers, host: str, uri: bytes) -> None:
    wrong = referers.hosts.add(encode(host), uri)
    if wrong is not None:
        raise cf.error(
            f'invalid hostname or wildcard "{host}"' if wrong == "invalid" else f'conflicting parameter "{host}"'
        )


def on_location(cf: Builder, loc: Location) -> None:
    """Add the server's own names where they count."""
    referers: Referers | None = loc.conf["referer"].referers
    if referers is None:
        return
    if referers.server_names:
        referers.server_names = False
        for kind, text, regex in loc.server.names:
            if kind == "regex":
                referers.host_regexes.append(regex)
            elif text:
                _add(cf, referers, {"head": "*." + text, "tail": text + ".*"}.get(kind, text), b"")
    if (referers.none or referers.blocked) and not (referers.hosts or referers.regexes or referers.host_regexes):
        raise cf.error(
            'the "none" or "blocked" referers are specified in the "valid_referers" directive without any valid referer'
        )


def invalid_referer(r: Request) -> bytes:
    """``$invalid_referer``."""
    referers: Referers | None = r.loc.conf["referer"].referers
    return b"" if referers is None or referers.valid(r.header_in(b"referer")) else b"1"


def prepare(cf: Builder) -> None:
    """Declare the variable."""
    cf.compute("$invalid_referer", invalid_referer)


NO_HASH = "referers are looked up in Python's dictionaries"

MODULE = Module(
    name="referer",
    location=RefererSettings,
    prepare=prepare,
    on_location=on_location,
    directives=(
        Directive("valid_referers", SERVER | LOCATION, ONE_MORE, set_valid_referers),
        Directive("referer_hash_max_size", SERVER | LOCATION, TAKE1, no_effect(NO_HASH)),
        Directive("referer_hash_bucket_size", SERVER | LOCATION, TAKE1, no_effect(NO_HASH)),
    ),
)
