"""Regular expressions of the configuration: PCRE2, as everywhere in nginx, and what a match leaves behind for ``$1`` and ``$name``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pcre2
from pcre2 import _cy

from .template import assigner, encode

if TYPE_CHECKING:
    from ..config.build import Builder
    from .request import Request


#: PCRE2_ALT_BSUX, PCRE2_UCP and PCRE2_NEVER_BACKSLASH_C, which the Python package adds and nginx doesn't.
_ADDED_OPTIONS = 0x2 | 0x20000 | 0x100000


def compile_regex(cf: Builder, text: str, caseless: bool = False) -> Any:
    """Compile ``text``; named groups become variables. Raises a ConfigError with nginx's message (``ngx_regex_compile``)."""
    pattern = encode(text)
    flags = pcre2.IGNORECASE if caseless else pcre2.NOFLAG
    try:
        # the package's compile() would add options that change what \x{41} and \w mean
        code = _cy.compile(pattern, flags, _ADDED_OPTIONS)
        _cy.jit_compile(code)
    except pcre2.error as error:
        reason, rest = str(error).partition("; ")[2], pattern[error.pos :].decode("utf-8", "surrogateescape")
        at = f' at "{rest}"' if rest else ""
        raise cf.error(f'pcre2_compile() failed: {reason} in "{text}"{at}') from None
    regex = pcre2.Pattern(code, pattern, flags, True, None)
    for name in regex.groupindex:
        key = _variable(name)
        known = cf.config.defined(key)
        if known is not None and known.set is None:
            raise cf.error(f'the duplicate "{key}" variable')
        cf.define(key, _named(key), assigner(key))
    return regex


def _variable(group: bytes | str) -> str:
    """The name of the variable that a named group sets."""
    return (group.decode() if isinstance(group, bytes) else group).lower()


def _named(name: str) -> Any:
    def get(r: Request) -> bytes | None:
        return r.vars.get(name) if r.vars is not None else None

    return get


def set_captures(r: Request, match: Any) -> None:
    """Remember a match: ``$1`` … read it until the next one, and named groups become variables."""
    r.captures = match
    groups = match.re.groupindex
    if groups:
        if r.vars is None:
            r.vars = {}
        for name, number in groups.items():
            r.vars[_variable(name)] = match.group(number)


def capture(r: Request, number: int) -> bytes | None:
    """``$1`` … ``$9`` of the last match."""
    match = r.captures
    if match is None or number > match.re.groups:
        return None
    value: bytes | None = match.group(number)
    return value
