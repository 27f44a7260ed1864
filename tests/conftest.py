"""What holds for all tests.

Lua modules written in C can only be loaded if LuaJIT itself was loaded that way, so that comes before any test's import.
Where nginx with ngx_lua is missing, tests that compare with it are skipped; under CI that is a failure.
"""

from __future__ import annotations

import os
from pathlib import Path

import lupa
import pytest
from authority import Authority

with lupa.allow_lua_module_loading():
    from lupa import luajit21  # noqa: F401

REFERENCE = ("/usr/sbin/nginx", "/usr/lib/nginx/modules/ngx_http_lua_module.so")


def pytest_sessionstart() -> None:
    missing = [path for path in REFERENCE if not Path(path).exists()]
    if missing and os.environ.get("CI") == "true":
        pytest.exit(f"the reference server is not whole: no {', '.join(missing)}", returncode=1)


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Certificates good and bad, made once: see ``authority.py``."""
    return Authority(tmp_path_factory.mktemp("ca")).stocked()
