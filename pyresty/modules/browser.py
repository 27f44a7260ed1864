"""browser: variables that go by the User-Agent. https://nginx.org/en/docs/http/ngx_http_browser_module.html

The first browser of a list whose mark the User-Agent has decides, by its version, whether it is a modern one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ..config.directives import HSL, ONE_MORE, TAKE1, TAKE12, UNSET, Directive, Module, Settings, setting
from ..http.status import is_msie
from ..http.template import encode

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request


class Mark(NamedTuple):
    """How a browser is known: by ``text`` behind the first ``skip`` bytes; its version begins ``add`` bytes behind that."""

    skip: int
    add: int
    text: bytes


#: In the order in which they are tried: Opera may call itself MSIE, too.
_MARKS = {
    "opera": Mark(0, len(b"Opera "), b"Opera"),
    "msie": Mark(len(b"Mozilla/4.0 (compatible; "), len(b"MSIE "), b"MSIE "),
    "gecko": Mark(len(b"Mozilla/5.0 ("), len(b"rv:"), b"rv:"),
    "safari": Mark(len(b"Mozilla/5.0 ("), len(b"Safari/"), b"Safari/"),
    "konqueror": Mark(len(b"Mozilla/5.0 (compatible; "), len(b"Konqueror/"), b"Konqueror/"),
}
_ORDER = tuple(_MARKS)
#: No Opera has this version.
_NEVER = 4001000000


@dataclass
class BrowserSettings(Settings):
    """Settings of a location. ``modern`` and ``unlisted`` are inherited together, as are ``ancient`` and ``netscape4``."""

    modern: list[tuple[str, int]] = setting([])
    unlisted: bool = setting(False)
    ancient: list[bytes] = setting([])
    netscape4: bool = setting(False)
    modern_value: bytes = setting(b"1")
    ancient_value: bytes = setting(b"1")

    def merge(self, parent: Settings | None) -> None:
        """nginx: ``ngx_http_browser_merge_conf``."""
        for one, other, nothing in (("modern", "unlisted", False), ("unlisted", "modern", [])):
            if getattr(self, one) is not UNSET and getattr(self, other) is UNSET:
                setattr(self, other, nothing)
        for one, other, nothing in (("ancient", "netscape4", False), ("netscape4", "ancient", [])):
            if getattr(self, one) is not UNSET and getattr(self, other) is UNSET:
                setattr(self, other, nothing)
        super().merge(parent)
        if self.modern and all(name != "opera" for name, _ in self.modern):
            self.modern = [("opera", _NEVER), *self.modern]
        self.modern = sorted(self.modern, key=lambda item: _ORDER.index(item[0]))

    def is_modern(self, agent: bytes | None) -> bool:
        """Whether the User-Agent is a modern browser's. nginx: ``ngx_http_browser``."""
        if agent is None:
            return self.unlisted
        for name, least in self.modern:
            mark = _MARKS[name]
            at = agent.find(mark.text, mark.skip)
            if at >= 0 and at + mark.add < len(agent):
                return version_of(agent[at + mark.add :]) >= least
        if self.modern and not self.unlisted:
            return False
        if (
            self.netscape4
            and len(agent) > len(b"Mozilla/4.72 ")
            and agent[:8] == b"Mozilla/"
            and b"0" < agent[8:9] < b"5"
        ):
            return False
        return self.unlisted and not any(text in agent for text in self.ancient)


def version_of(text: bytes) -> int:
    """The version at the beginning of ``text``: ``5.1.2`` is 5010200. What follows a fourth number does not count."""
    digits = text[: len(text) - len(text.lstrip(b"0123456789."))]
    return sum(
        int(part or b"0") * scale for part, scale in zip(digits.split(b"."), (1000000, 10000, 100, 1), strict=False)
    )


def set_modern(cf: Builder, conf: BrowserSettings, node: Node) -> None:
    """``modern_browser browser version``, ``modern_browser unlisted``."""
    name, *rest = node.args
    if not rest:
        if name != "unlisted":
            raise cf.error(f'invalid parameter "{name}"')
        conf.unlisted = True
        return
    if name.lower() not in _MARKS:
        raise cf.error(f'unknown browser name "{name}"')
    version = encode(rest[0])
    if version.strip(b"0123456789."):
        raise cf.error(f'invalid browser version "{rest[0]}"')
    if conf.modern is UNSET:
        conf.modern = []
    conf.modern.append((name.lower(), version_of(version)))


def set_ancient(cf: Builder, conf: BrowserSettings, node: Node) -> None:
    """``ancient_browser string …``; ``netscape4`` stands for old versions of that."""
    for word in node.args:
        if word == "netscape4":
            conf.netscape4 = True
        else:
            if conf.ancient is UNSET:
                conf.ancient = []
            conf.ancient.append(encode(word))


def set_value(cf: Builder, conf: BrowserSettings, node: Node) -> None:
    """``modern_browser_value string`` and ``ancient_browser_value string``; the last one counts."""
    setattr(conf, node.name.replace("_browser", ""), encode(node.args[0]))


def _settings(r: Request) -> BrowserSettings:
    found: BrowserSettings = r.loc.conf["browser"]
    return found


def modern_browser(r: Request) -> bytes:
    """``$modern_browser``: the value for a modern browser, else empty."""
    conf = _settings(r)
    return conf.modern_value if conf.is_modern(r.header_in(b"user-agent")) else b""


def ancient_browser(r: Request) -> bytes:
    """``$ancient_browser``: the value for any other browser, else empty."""
    conf = _settings(r)
    return b"" if conf.is_modern(r.header_in(b"user-agent")) else conf.ancient_value


def prepare(cf: Builder) -> None:
    """Declare the variables."""
    cf.compute("$msie", lambda r: b"1" if is_msie(r.header_in(b"user-agent") or b"") else b"")
    cf.compute("$modern_browser", modern_browser)
    cf.compute("$ancient_browser", ancient_browser)


MODULE = Module(
    name="browser",
    location=BrowserSettings,
    prepare=prepare,
    directives=(
        Directive("modern_browser", HSL, TAKE12, set_modern),
        Directive("ancient_browser", HSL, ONE_MORE, set_ancient),
        Directive("modern_browser_value", HSL, TAKE1, set_value),
        Directive("ancient_browser_value", HSL, TAKE1, set_value),
    ),
)
