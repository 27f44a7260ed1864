"""allow and deny. https://nginx.org/en/docs/http/ngx_http_access_module.html

The rules of a location are one list, and the first that the client's address matches decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.directives import HSL, LMT, TAKE1, UNSET, Directive, Module, Settings, setting
from ..http.cidr import INET, INET6, UNIX, Cidr, client_address, parse_cidr
from ..http.request import OK
from ..process.logs import ERR

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request
    from ..http.routing import Location, PhaseHandler


@dataclass
class AccessSettings(Settings):
    """The rules of a location, in order; a block with rules of its own does not inherit any."""

    rules: list[tuple[bool, Cidr]] = setting([])


def set_rule(cf: Builder, conf: AccessSettings, node: Node) -> None:
    """``allow`` and ``deny``: ``address | CIDR | unix: | all``."""
    text = node.args[0]
    if text == "all":
        networks = [Cidr(family, 0, 0) for family in (INET, INET6, UNIX)]
    elif text == "unix:":
        networks = [Cidr(UNIX, 0, 0)]
    else:
        known = parse_cidr(text)
        if known is None:
            raise cf.error(f'invalid parameter "{text}"')
        if known[1]:
            cf.warn(f"low address bits of {text} are meaningless")
        networks = [known[0]]
    if conf.rules is UNSET:
        conf.rules = []
    conf.rules += [(node.name == "allow", network) for network in networks]


def make_access(rules: list[tuple[bool, Cidr]]) -> PhaseHandler:
    """The handler of the access phase."""

    async def access(r: Request) -> int | None:
        family, number = client_address(r)
        for allowed, network in rules:
            if network.family == family and number & network.mask == network.value:
                if allowed:
                    return OK
                if not r.loc.core.satisfy_any:
                    r.log(ERR, "access forbidden by rule")
                return 403
        return None

    return access


def on_location(cf: Builder, loc: Location) -> None:
    """Add the handler where there are rules."""
    rules = loc.conf["access"].rules
    if rules:
        loc.access += (make_access(rules),)


MODULE = Module(
    name="access",
    location=AccessSettings,
    on_location=on_location,
    directives=(
        Directive("allow", HSL | LMT, TAKE1, set_rule),
        Directive("deny", HSL | LMT, TAKE1, set_rule),
    ),
)
