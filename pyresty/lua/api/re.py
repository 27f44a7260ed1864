"""``ngx.re`` on the Python side: its two limits, its log lines, and PCRE2 from PyPI where the system has no libpcre2-8.

The package's public functions add options of their own (``PCRE2_ALT_BSUX``, Unicode classes) that change what a
pattern means, so its inner module ``_cy`` is called, which allows for taking them away.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pcre2 import _cy

from ...process.logs import NOTICE

if TYPE_CHECKING:
    from ..vm import LuaVM

_ALT_BSUX, _UCP, _NEVER_BACKSLASH_C = 0x2, 0x20000, 0x100000
_NOMATCH = -1


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls."""
    main: Any = vm.config.main["lua"]
    cache_max_entries: int = main.regex_cache_max_entries
    match_limit: int = main.regex_match_limit
    limit_verb = b"(*LIMIT_MATCH=%d)" % match_limit if match_limit else b""
    context = _cy.create_match_context()

    def re_limits() -> tuple[int, int]:
        """``lua_regex_cache_max_entries`` and ``lua_regex_match_limit``."""
        return cache_max_entries, match_limit

    def re_log(level: int, message: bytes) -> None:
        """Write a line that belongs to no request, as nginx does with what it says while compiling."""
        vm.config.error_log.write(level, message)

    def re_library_missing() -> None:
        """Say so when the error log is open."""
        text = b"libpcre2-8 was not found: ngx.re uses the Python package pcre2, slower and without the options d and D"
        vm.config.master_start.append(lambda config: config.error_log.write(NOTICE, text))

    def re_compile(pattern: bytes, options: int) -> tuple[Any, Any, Any]:
        """The code, the number of groups, and the named ones as ``NUMBER NAME\\0`` each.

        Where it doesn't compile: None, PCRE2's message and the offset of the mistake.
        """
        try:
            code = _cy.compile(limit_verb + pattern, options, (_ALT_BSUX | _UCP | _NEVER_BACKSLASH_C) & ~options)
        except _cy.PatternError as error:
            text = error.msg.partition("; ")[2].encode()
            return None, text, max(error.pos - len(limit_verb), 0)
        names = "".join(f"{number} {name}\0" for name, number in _cy.pattern_name_dict(code).items())
        return code, _cy.pattern_capture_count(code), names.encode()

    def re_jit_compile(code: Any) -> int:
        """0, or PCRE2's error code."""
        try:
            _cy.jit_compile(code)
        except _cy.LibraryError as error:
            return int(error.code)
        return 0

    def re_match(code: Any, subject: bytes, pos: int, groups: int, options: int) -> tuple[int, bytes | None]:
        """The number of groups and their offsets as PCRE2's ovector; or its error code and None."""
        try:
            data, _, _ = _cy.match(code, subject, len(subject), pos, context, options)
        except _cy.LibraryError as error:
            return error.code, None
        if data is None:
            return _NOMATCH, None
        spans: list[int] = []
        for group in range(groups + 1):
            spans += _cy.match_substring_span_bynumber(data, subject, group)
        return groups + 1, struct.pack(f"{len(spans)}n", *spans)

    return {
        "re_limits": re_limits,
        "re_log": re_log,
        "re_library_missing": re_library_missing,
        "re_compile": re_compile,
        "re_jit_compile": re_jit_compile,
        "re_match": re_match,
    }
