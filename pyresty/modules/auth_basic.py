"""auth_basic: https://nginx.org/en/docs/http/ngx_http_auth_basic_module.html

The user file is read for each request that brings credentials, so an edit holds at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.directives import HSL, LMT, TAKE1, Directive, Module, Settings, setting, store, template
from ..http.credentials import basic_credentials, check_password
from ..http.request import OK
from ..http.template import Template, encode
from ..process.logs import CRIT, ERR, INFO, reason

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request
    from ..http.routing import Location, PhaseHandler


@dataclass
class AuthBasicSettings(Settings):
    """Settings of a location."""

    realm: Template | None = setting(None)
    user_file: Template | None = setting(None)


def set_user_file(cf: Builder, conf: AuthBasicSettings, node: Node) -> None:
    """``auth_basic_user_file file``; a relative name is below the configuration file's folder."""
    text = node.args[0]
    store(conf, "user_file", cf.template(text if "$" in text else cf.path(text, conf=True)))


def find_user(text: bytes, user: bytes) -> bytes | None:
    """What the user file ``text`` has as the password of ``user``; lines are ``name:password[:comment]``."""
    for line in text.split(b"\n"):
        if line[:1] == b"#":
            continue
        name, colon, rest = line.partition(b":")
        if colon and name == user:
            return rest.partition(b":")[0].partition(b"\r")[0]
    return None


def make_auth_basic(realm: Template, user_file: Template, folder: bytes) -> PhaseHandler:
    """The handler of the access phase."""

    async def auth_basic(r: Request) -> int | None:
        name = realm(r)
        if name == b"off":
            return None
        given = basic_credentials(r)
        if given is None:
            r.log(INFO, "no user/password was provided for basic authentication")
            return ask(r, name)
        path = user_file(r)
        if not path.startswith(b"/"):
            path = folder + path
        try:
            with open(path, "rb") as file:
                stored = find_user(file.read(), given[0])
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            call = b"pread()" if isinstance(error, IsADirectoryError) else b"open()"
            r.log(ERR if missing else CRIT, b'%s "%s" failed %s' % (call, path, reason(error).encode()))
            return 403 if missing else 500
        except ValueError:  # a zero byte in the path
            return 403
        if stored is None:
            r.log(ERR, b'user "%s" was not found in "%s"' % (given[0], path))
            return ask(r, name)
        right = check_password(given[1], stored)
        if right:
            return OK
        if right is None:
            r.log(CRIT, "crypt_r() failed (22: Invalid argument)")
            return 500
        r.log(ERR, b'user "%s": password mismatch' % given[0])
        return ask(r, name)

    return auth_basic


def ask(r: Request, realm: bytes) -> int:
    """Ask the client for a user and a password."""
    r.headers_out.append((b"WWW-Authenticate", b'Basic realm="%s"' % realm))
    return 401


def on_location(cf: Builder, loc: Location) -> None:
    """Add the handler where there are a realm and a file."""
    conf: AuthBasicSettings = loc.conf["auth_basic"]
    if conf.realm is not None and conf.user_file is not None and conf.realm.const != b"off":
        loc.access += (make_auth_basic(conf.realm, conf.user_file, encode(cf.conf_prefix + "/")),)


MODULE = Module(
    name="auth_basic",
    location=AuthBasicSettings,
    on_location=on_location,
    directives=(
        Directive("auth_basic", HSL | LMT, TAKE1, template("realm")),
        Directive("auth_basic_user_file", HSL | LMT, TAKE1, set_user_file),
    ),
)
