"""The example application of conf/, lua/ and html/, copied so that it can be edited and served on free ports."""

from __future__ import annotations

from harness import ROOT, Server

#: Each button's address, and the fields that its answer has beside `ret` and `token`.
WAYS: dict[str, dict[str, str]] = {
    "/user/login": {},
    "/lua/local-login-get": {"from": "local", "way": "capture GET"},
    "/lua/local-login-post": {"from": "local", "way": "capture POST"},
    "/lua/local-login-http": {"from": "local", "way": "resty.http"},
}


def on_free_ports(text: str) -> str:
    """``text`` with the harness's ``{port}`` for 8000 and ``{port2}`` for 8080."""
    return text.replace("8000", "{port}").replace("8080", "{port2}")


def example_app(*, reference: bool = False, service: str = "{port2}") -> Server:
    """A server over a copy of the application, in which nothing but the ports is changed, and by root the user.

    :param service: where the application's second server listens, if not where the first one looks for it.
    """
    conf = on_free_ports((ROOT / "conf" / "nginx.conf").read_text())
    conf = conf.replace("listen       127.0.0.1:{port2}", f"listen 127.0.0.1:{service}")
    files: dict[str, str | bytes] = {"conf/mime.types": (ROOT / "conf" / "mime.types").read_bytes()}
    files |= {f"lua/{file.name}": on_free_ports(file.read_text()) for file in (ROOT / "lua").iterdir()}
    files |= {f"html/{file.name}": file.read_bytes() for file in (ROOT / "html").iterdir()}
    if reference:  # nginx's packages have no resty.http, so it is given ours
        lualib = ROOT / "pyresty" / "lualib"
        http = [*lualib.glob("resty/http*.lua"), *lualib.glob("resty/http/*.lua")]
        files |= {f"lua/{file.relative_to(lualib)}": file.read_bytes() for file in http}
    return Server("{user}" + conf, files, reference=reference)
