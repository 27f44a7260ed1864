"""What directives of ``ssl_*``, ``proxy_ssl_*`` and ``lua_ssl_*`` have in common.

The one idea: the same word after another prefix is the same field, set in the same way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..config.directives import (
    HSL,
    ONE_MORE,
    TAKE1,
    TAKE2,
    UNSET,
    Directive,
    Setter,
    bitmask,
    number,
    parse_time,
    string,
)
from ..tls.context import PROTOCOLS, TLSError, read_passwords

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node

#: ``*_protocols``.
protocols: Setter = bitmask("protocols", {word: word for word in PROTOCOLS})


def set_password_file(cf: Builder, conf: Any, node: Node) -> None:
    """``*_password_file file``: passphrases, one a line, tried in turn."""
    if conf.passwords is not UNSET:
        raise ValueError("is duplicate")
    try:
        conf.passwords = read_passwords(cf.path(node.args[0], conf=True))
    except TLSError as error:
        raise cf.error(str(error)) from None


def set_conf_command(cf: Builder, conf: Any, node: Node) -> None:
    """``*_conf_command name value``."""
    conf.commands = (*(conf.commands or ()), (node.args[0], node.args[1]))


def set_certificate_cache(cf: Builder, conf: Any, node: Node) -> None:
    """``*_certificate_cache off | max=N [inactive=time] [valid=time]``."""
    if conf.certificate_cache is not UNSET:
        raise ValueError("is duplicate")
    found = False
    for word in node.args:
        name, _, value = word.partition("=")
        try:
            if name == "max" and value.isdigit() and int(value):
                found = True
            elif name in ("inactive", "valid"):
                parse_time(value)
            elif word != "off":
                raise ValueError
        except ValueError:
            raise cf.error(f'invalid parameter "{word}"') from None
    conf.certificate_cache = "off" not in node.args
    if conf.certificate_cache:
        if not found:
            raise cf.error(f'"{node.name}" must have the "max" parameter')
        cf.ineffective(node, "certificates that variables name are kept for as long as their files don't change")


def client_directives(prefix: str) -> tuple[Directive, ...]:
    """The directives of a client's side whose values have no variables."""
    rows = (
        ("protocols", ONE_MORE, protocols),
        ("ciphers", TAKE1, string("ciphers")),
        ("verify_depth", TAKE1, number("verify_depth")),
        ("trusted_certificate", TAKE1, string("trusted_certificate")),
        ("crl", TAKE1, string("crl")),
        ("conf_command", TAKE2, set_conf_command),
        ("key_log", TAKE1, string("key_log")),
    )
    return tuple(Directive(prefix + name, HSL, args, setter) for name, args, setter in rows)
