"""All cases by name, one module for one theme."""

from __future__ import annotations

from ..case import Case
from . import (
    files,
    lua_api,
    lua_capture,
    lua_errors,
    lua_output,
    lua_phases,
    lua_request,
    lua_require,
    lua_socket,
    lua_util,
    protocol,
    proxy,
    proxy_errors,
    rewrite,
    selection,
    static,
    uri,
    variables,
)

_THEMES = (
    selection,
    uri,
    rewrite,
    files,
    static,
    protocol,
    variables,
    proxy,
    proxy_errors,
    lua_output,
    lua_request,
    lua_require,
    lua_util,
    lua_api,
    lua_capture,
    lua_phases,
    lua_errors,
    lua_socket,
)

CASES: dict[str, Case] = {}
for _theme in _THEMES:
    for _case in _theme.CASES:
        assert _case.name not in CASES, _case.name
        CASES[_case.name] = _case
