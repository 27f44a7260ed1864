"""userid: cookies that tell clients apart. https://nginx.org/en/docs/http/ngx_http_userid_module.html

A client without the cookie is given one: 16 bytes of where and when it came, and a running number. What came and what is to be set is
worked out once per request, for the header filter and the variables.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.directives import (
    HSL,
    TAKE1,
    TAKE123,
    Directive,
    Module,
    Settings,
    bitmask,
    byte_string,
    enum,
    number,
    parse_time,
    setting,
    store,
)
from ..http.base64 import decode_base64
from ..http.dates import cookie_time
from ..http.template import assigner, encode
from ..process.logs import ERR, NOTICE
from .http_variables import cookie

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.directives import Setter
    from ..config.parse import Node
    from ..http.request import Request
    from ..http.routing import HeaderFilter, Location

OFF, LOG, V1, ON = range(4)
#: Letters of base64 that stand for an identifier; its trail may carry the mark.
_LETTERS = 22
_ATTRIBUTES = ("secure", "httponly", "samesite=strict", "samesite=lax", "samesite=none")
_FIRST_V2 = 0x03030302


@dataclass
class UseridSettings(Settings):
    """Settings of a location. ``expires`` is in seconds, None for ``max``; ``mark`` is a letter or nothing."""

    enable: int = setting(OFF)
    service: int | None = setting(None)
    name: bytes = setting(b"uid")
    domain: bytes = setting(b"none")
    path: bytes = setting(b"/")
    expires: int | None = setting(0)
    flags: frozenset[str] = setting(frozenset())
    p3p: bytes = setting(b"none")
    mark: bytes = setting(b"")


def set_expires(cf: Builder, conf: UseridSettings, node: Node) -> None:
    """``userid_expires time | max | off``."""
    text = node.args[0]
    store(conf, "expires", None if text == "max" else 0 if text == "off" else int(parse_time(text)))


def set_mark(cf: Builder, conf: UseridSettings, node: Node) -> None:
    """``userid_mark letter | digit | = | off``."""
    text = node.args[0]
    value = b"" if text == "off" else encode(text)
    store(conf, "mark", value)
    if text != "off" and not (len(value) == 1 and (value.isalnum() or value == b"=")):
        raise ValueError('value must be "off" or a single letter, digit or "="')


class Uid:
    """What is known of a request: the identifier that came (``got``) and the one to be set, 16 bytes each or none."""

    __slots__ = ("cookie", "got", "new", "to_set")

    def __init__(self, r: Request, name: bytes) -> None:
        self.cookie = b""
        self.got = b""
        self.to_set = b""
        self.new = False  #: what is to be set is not what came
        text = cookie(r, name.lower())
        if text is None:
            return
        self.cookie = text
        given = decode_base64(text[:_LETTERS]) if len(text) >= _LETTERS else None
        if given is None:
            what = b"invalid" if len(text) >= _LETTERS else b"too short"
            r.log(ERR, b'client sent %s userid cookie "%s"' % (what, r.header_in(b"cookie") or b""))
        elif any(given[12:16]):
            self.got = given[:16].ljust(16, b"\0")

    def choose(self, r: Request, conf: UseridSettings) -> None:
        """Work out what is to be set. nginx: ``ngx_http_userid_create_uid``."""
        if self.to_set:
            return
        if self.got:
            reset = uid_reset(r)
            if reset in (b"", b"0"):
                text = self.cookie
                if conf.mark and text[_LETTERS : _LETTERS + 2] != conf.mark + b"=":
                    self.to_set = self.got
                return
            if reset == b"log":
                r.log(NOTICE, b'userid cookie "%s" was reset' % shown(conf.name, self.got))
        self.new = True
        self.to_set = make_uid(r, conf)


class _Sequence:
    """What makes the identifiers of one process different from each other, and from those of others."""

    def __init__(self) -> None:
        self.pid = 0
        self.start = 0
        self.v1 = 1
        self.v2 = _FIRST_V2

    def begin(self) -> None:
        """A process that has been forked begins with a time and a number of its own."""
        if self.pid != os.getpid():
            self.pid = os.getpid()
            # as much of the microseconds as fits into 16 bits
            self.start = (time.time_ns() // 1000 % 1000000 // 20 << 16 | self.pid) & 0xFFFFFFFF


_sequence = _Sequence()


def make_uid(r: Request, conf: UseridSettings) -> bytes:
    """A new identifier."""
    made = _sequence
    made.begin()
    now = int(time.time())
    if conf.enable == V1:
        uid = struct.pack("<4I", conf.service or 0, now, made.start, made.v1)
        made.v1 = (made.v1 + 0x100) & 0xFFFFFFFF
        return uid
    place = _address(r) if conf.service is None else struct.pack(">I", conf.service & 0xFFFFFFFF)
    uid = place + struct.pack(">3I", now, made.start, made.v2)
    made.v2 = made.v2 + 0x100 if made.v2 + 0x100 < 1 << 32 else _FIRST_V2
    return uid


def _address(r: Request) -> bytes:
    """The last four bytes of the address that the client has connected to."""
    text = r.conn.server_addr.decode()
    if text.startswith("unix:"):
        return bytes(4)
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)[-4:]


def shown(name: bytes, uid: bytes) -> bytes:
    """As in the variables: ``uid=00112233…``."""
    return b"%s=%08X%08X%08X%08X" % (name, *struct.unpack("<4I", uid))


def uid_of(r: Request, conf: UseridSettings) -> Uid:
    """What is known of ``r``."""
    if r.contexts is None:
        r.contexts = {}
    found: Uid | None = r.contexts.get("userid")
    if found is None:
        found = r.contexts["userid"] = Uid(r, conf.name)
    return found


def header_filter(loc: Location) -> HeaderFilter | None:
    """The filter of a location that gives cookies."""
    conf: UseridSettings = loc.conf["userid"]
    if conf.enable < V1:
        return None

    def userid(r: Request) -> None:
        if r.is_subrequest:
            return
        uid = uid_of(r, conf)
        uid.choose(r, conf)
        if uid.to_set:
            r.headers_out.append((b"Set-Cookie", set_cookie(uid, conf)))
            if conf.p3p != b"none":
                r.headers_out.append((b"P3P", conf.p3p))

    return userid


def set_cookie(uid: Uid, conf: UseridSettings) -> bytes:
    """The value of ``Set-Cookie``."""
    letters = b64encode(uid.to_set)[:_LETTERS] if uid.new else uid.cookie[:_LETTERS]
    value = b"%s=%s%s=" % (conf.name, letters, conf.mark or b"=")
    if conf.expires is None:
        value += b"; expires=Thu, 31-Dec-37 23:55:55 GMT"
    elif conf.expires:
        value += b"; expires=" + cookie_time(int(time.time()) + conf.expires)
    if conf.domain != b"none":
        value += b"; domain=" + conf.domain
    value += b"; path=" + conf.path
    return value + b"".join([b"; " + word.encode() for word in _ATTRIBUTES if word in conf.flags])


# -- variables


def uid_got(r: Request) -> bytes | None:
    """``$uid_got``: the cookie that came."""
    conf: UseridSettings = r.main.loc.conf["userid"]
    if conf.enable == OFF:
        return None
    got = uid_of(r.main, conf).got
    return shown(conf.name, got) if got else None


def uid_set(r: Request) -> bytes | None:
    """``$uid_set``: the cookie that is set."""
    conf: UseridSettings = r.main.loc.conf["userid"]
    if conf.enable < V1:
        return None
    uid = uid_of(r.main, conf)
    uid.choose(r.main, conf)
    return shown(conf.name, uid.to_set) if uid.to_set else None


def uid_reset(r: Request) -> bytes:
    """``$uid_reset``, which ``set`` may write: not empty and not ``0``, it has the client given a new cookie."""
    return (r.vars.get("uid_reset") if r.vars is not None else None) or b""


def prepare(cf: Builder) -> None:
    """Declare the variables."""
    cf.define("uid_got", uid_got)
    cf.define("uid_set", uid_set)
    cf.define("uid_reset", uid_reset, assigner("uid_reset"))


def _row(name: str, setter: Setter) -> Directive:
    return Directive(name, HSL, TAKE1, setter)


MODULE = Module(
    name="userid",
    location=UseridSettings,
    prepare=prepare,
    header_filter=header_filter,
    directives=(
        _row("userid", enum("enable", {"off": OFF, "log": LOG, "v1": V1, "on": ON})),
        _row("userid_service", number("service")),
        _row("userid_name", byte_string("name")),
        _row("userid_domain", byte_string("domain")),
        _row("userid_path", byte_string("path")),
        _row("userid_expires", set_expires),
        Directive("userid_flags", HSL, TAKE123, bitmask("flags", {word: word for word in ("off", *_ATTRIBUTES)})),
        _row("userid_p3p", byte_string("p3p")),
        _row("userid_mark", set_mark),
    ),
)
