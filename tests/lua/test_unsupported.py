"""What OpenResty has and pyresty cannot have is refused by name, with the user's file and line, where it is used."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness import Server, http, request

CODE = {
    "early": "require('ngx.ssl').export_keying_material_early('x')",
    "ocsp": "require('ngx.ocsp').create_ocsp_request('x')",
}
NAMES = {
    "early": "ngx.ssl.export_keying_material_early is",
    "ocsp": "ngx.ocsp.create_ocsp_request is",
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    locations = "".join(
        f"location /{mode}/{name} {{ lua_code_cache {mode};\n content_by_lua_block {{\n {code} }} }}\n"
        for name, code in CODE.items()
        for mode in ("on", "off")
    )
    with Server(http("server { listen {port}; " + locations + "}")) as running:
        yield running


@pytest.mark.parametrize("mode", ["on", "off"])
@pytest.mark.parametrize("name", CODE)
def test_refused_by_name(server: Server, mode: str, name: str) -> None:
    before = len(server.error_log())
    assert request(server, "GET", f"/{mode}/{name}").status == 500
    text = "\n".join(server.error_log()[before:])
    assert f"{NAMES[name]} not supported by pyresty" in text
    assert ":2: " in text
