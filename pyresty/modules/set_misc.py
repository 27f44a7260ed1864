"""The directives of set-misc, which run among those of rewrite. https://github.com/openresty/set-misc-nginx-module

What they compute is in ``set_misc_values.py``; here is the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.directives import (
    FLAG,
    HSL,
    LIF,
    LOCATION,
    SERVER,
    SIF,
    TAKE1,
    TAKE2,
    TAKE3,
    TAKE12,
    Args,
    Directive,
    Module,
    Settings,
    flag,
    setting,
    store,
)
from ..http.template import encode
from ..process.logs import ERR
from . import set_misc_values as values
from .ndk import NdkMain, SetVar, set_variable, setter

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request


@dataclass
class SetMiscSettings(Settings):
    """Settings of a location; ``current`` is where its ``set_rotate`` stands."""

    base32_padding: bool = setting(True)
    base32_alphabet: bytes = setting(b"0123456789abcdefghijklmnopqrstuv")
    current: int | None = setting(None)


def set_alphabet(cf: Builder, conf: SetMiscSettings, node: Node) -> None:
    """``set_base32_alphabet letters``."""
    alphabet = encode(node.args[0])
    if len(alphabet) != 32:
        raise cf.error(f'"set_base32_alphabet" directive takes an alphabet of {len(alphabet)} bytes but 32 expected')
    if len(set(alphabet)) != 32:
        raise cf.error(f'"set_base32_alphabet" directive has a letter twice in "{node.args[0]}"')
    store(conf, "base32_alphabet", alphabet)


def set_padding(cf: Builder, conf: SetMiscSettings, node: Node) -> None:
    """``set_base32_padding on | off``, also by its old name."""
    if node.name == "set_misc_base32_padding":
        cf.warn('the "set_misc_base32_padding" directive is deprecated, use the "set_base32_padding" directive instead')
    flag("base32_padding")(cf, conf, node)


def set_if_empty(cf: Builder, conf: SetMiscSettings, node: Node) -> None:
    """``set_if_empty $variable value``."""
    set_variable(cf, values.if_empty, node.args[0], node.args)


def set_rotate(cf: Builder, conf: SetMiscSettings, node: Node) -> None:
    """``set_rotate $variable from to``."""
    set_variable(cf, values.rotate, node.args[0], node.args)


def set_hashed_upstream(cf: Builder, conf: SetMiscSettings, node: Node) -> None:
    """``set_hashed_upstream $variable list key``."""
    target, name, key = node.args
    main = cf.config.main["ndk"]
    assert isinstance(main, NdkMain)
    lists = main.lists
    if "$" not in name and name.lower() not in lists:
        raise cf.error(f'set_hashed_upstream: upstream list "{name}" not defined yet')

    def hashed(r: Request, name: bytes, key: bytes) -> bytes | None:
        names = lists.get(name.lower().decode("utf-8", "surrogateescape"))
        if names is None:
            r.log(ERR, b'set_hashed_upstream: upstream list "%s" not defined yet' % name)
            return None
        return values.hashed(key, names)

    set_variable(cf, hashed, target, [name, key])


#: Directives of one value: name, function.
_ONE: dict[str, SetVar] = {
    "set_quote_sql_str": values.quote_sql_str,
    "set_quote_pgsql_str": values.quote_pgsql_str,
    "set_quote_json_str": values.quote_json_str,
    "set_unescape_uri": values.unescape_uri,
    "set_escape_uri": values.escape_uri,
    "set_encode_base32": values.encode_base32,
    "set_decode_base32": values.decode_base32,
    "set_encode_base64": values.encode_base64,
    "set_decode_base64": values.decode_base64_,
    "set_encode_base64url": values.encode_base64url_,
    "set_decode_base64url": values.decode_base64url_,
    "set_encode_hex": values.encode_hex,
    "set_decode_hex": values.decode_hex,
    "set_sha1": values.sha1,
    "set_md5": values.md5,
    "set_secure_random_alphanum": values.secure_random_alphanum,
    "set_secure_random_lcalpha": values.secure_random_lcalpha,
    "set_formatted_gmt_time": values.formatted_gmt_time,
    "set_formatted_local_time": values.formatted_local_time,
}


def prepare(cf: Builder) -> None:
    """Offer the functions of one value to ``ndk.set_var``."""
    cf.config.set_var.update({name.encode(): function for name, function in _ONE.items()})
    cf.config.set_var[b"set_local_today"] = lambda r, value: values.local_today(r)


_REWRITE = SERVER | SIF | LOCATION | LIF


def _row(name: str, args: Args, function: SetVar) -> Directive:
    return Directive(name, _REWRITE, args, setter(function))


MODULE = Module(
    name="set_misc",
    location=SetMiscSettings,
    prepare=prepare,
    directives=(
        *(_row(name, TAKE2 if "_formatted_" in name else TAKE12, function) for name, function in _ONE.items()),
        _row("set_local_today", TAKE1, lambda r, value: values.local_today(r)),
        _row("set_hmac_sha1", TAKE3, values.hmac_sha1),
        _row("set_hmac_sha256", TAKE3, values.hmac_sha256),
        _row("set_random", TAKE3, values.random_number),
        Directive("set_if_empty", _REWRITE, TAKE2, set_if_empty),
        Directive("set_rotate", _REWRITE, TAKE3, set_rotate),
        Directive("set_hashed_upstream", _REWRITE, TAKE3, set_hashed_upstream),
        Directive("set_base32_padding", HSL | SIF | LIF, FLAG, set_padding),
        Directive("set_misc_base32_padding", HSL | SIF | LIF, FLAG, set_padding),
        Directive("set_base32_alphabet", HSL | SIF | LIF, TAKE1, set_alphabet),
    ),
)
