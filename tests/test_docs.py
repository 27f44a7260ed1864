"""The documentation that is made from the code is the code's."""

from __future__ import annotations

import importlib.util
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"


def test_lua_api_is_current() -> None:
    """``docs/lua-api.md`` is what ``docs/make_lua_api.py`` writes now."""
    spec = importlib.util.spec_from_file_location("make_lua_api", DOCS / "make_lua_api.py")
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    assert (DOCS / "lua-api.md").read_text() == made.page()
