"""secure_link: https://nginx.org/en/docs/http/ngx_http_secure_link_module.html

``$secure_link`` says whether a link is what only who knows the secret can have made, and whether it has expired.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from hmac import compare_digest
from typing import TYPE_CHECKING

from ..config.directives import HSL, TAKE1, UNSET, Directive, Module, Settings, byte_string, setting, template
from ..http.base64 import decode_base64url
from ..http.template import Template

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..http.request import Request
    from ..http.routing import Location


@dataclass
class SecureLinkSettings(Settings):
    """Settings of a location: ``link`` and ``md5``, or in the older form ``secret``. Each form hides the outer block's other."""

    link: Template | None = setting(None)
    md5: Template | None = setting(None)
    secret: bytes | None = setting(None)

    def merge(self, parent: Settings | None) -> None:
        """nginx: ``ngx_http_secure_link_merge_conf``."""
        if self.secret is not UNSET:
            parent = None
        super().merge(parent)
        if self.link is not None or self.md5 is not None:
            assert parent is None or isinstance(parent, SecureLinkSettings)
            if parent is not None and self.secret is parent.secret:
                self.secret = None


def on_location(cf: Builder, loc: Location) -> None:
    """The two forms exclude each other."""
    conf: SecureLinkSettings = loc.conf["secure_link"]
    if conf.secret is not None and (conf.link is not None or conf.md5 is not None):
        raise cf.error('"secure_link_secret" cannot be mixed with "secure_link" and "secure_link_md5"')


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def secure_link(r: Request) -> bytes | None:
    """``$secure_link``: 1, 0 for one that has expired, none for a wrong one; in the older form the link itself."""
    conf: SecureLinkSettings = r.loc.conf["secure_link"]
    if conf.secret is not None:
        return _old(r, conf.secret)
    if conf.link is None or conf.md5 is None:
        return None
    value, comma, until = conf.link(r).partition(b",")
    expires = 0
    if comma:
        expires = int(until) if until.isdigit() and len(until) < 19 else 0
        if not expires:
            return None
        r.secure_link_expires = until  # type: ignore[attr-defined]
    given = decode_base64url(value) if len(value) <= 24 else None
    if given is None or not compare_digest(given, _md5(conf.md5(r))):
        return None
    return b"0" if expires and expires < int(time.time()) else b"1"


def _old(r: Request, secret: bytes) -> bytes | None:
    """``/prefix/HASH/link``, where the hash is of the link and the secret."""
    parts = r.head.target.split(b"/", 3)
    if len(parts) < 4 or len(parts[2]) != 32 or not parts[3]:
        return None
    try:
        given = bytes.fromhex(parts[2].decode("ascii"))
    except ValueError:
        return None
    return parts[3] if compare_digest(given, _md5(parts[3] + secret)) else None


def secure_link_expires(r: Request) -> bytes | None:
    """``$secure_link_expires``: the time in the link that ``$secure_link`` has checked."""
    return getattr(r, "secure_link_expires", None)


def prepare(cf: Builder) -> None:
    """Declare the variables."""
    cf.define("secure_link", secure_link)
    cf.define("secure_link_expires", secure_link_expires)


MODULE = Module(
    name="secure_link",
    location=SecureLinkSettings,
    prepare=prepare,
    on_location=on_location,
    directives=(
        Directive("secure_link", HSL, TAKE1, template("link")),
        Directive("secure_link_md5", HSL, TAKE1, template("md5")),
        Directive("secure_link_secret", HSL, TAKE1, byte_string("secret")),
    ),
)
