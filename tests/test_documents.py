"""The documents' files, unchanged: what the reference serves is served the same, what it refuses is refused.

The files lie beside the project, not in it; without them these tests are skipped. Their nginx.conf listens on 80, which
``--listen`` moves, and proxies to 8080, which has to be free. Their ``lua_package_path`` names folders of other
machines; where tests may change what a process sees of ``/usr/local`` (a mount namespace, so only root), the module
``req`` that the documents leave out is laid there.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import MODULES, REFERENCE, ROOT, Response, Server, request

DOCUMENTS = ROOT.parent / "shared" / "documents"
pytestmark = pytest.mark.skipif(not DOCUMENTS.is_dir(), reason=f"the documents are not at {DOCUMENTS}")

#: The module that the documents' Lua requires and that they don't print.
REQ = """
return {
    getArgs = function()
        local args = ngx.req.get_uri_args()
        if ngx.req.get_method() == "POST" then
            ngx.req.read_body()
            for name, value in pairs(ngx.req.get_post_args()) do args[name] = value end
        end
        return args
    end,
}
"""

#: ``sh -c LAYER sh FOLDER COMMAND …``: the command sees FOLDER's files in ``/usr/local`` besides those that are there.
LAYER = 'mount -t overlay overlay -o "lowerdir=$1:/usr/local" /usr/local && shift && exec "$@"'
USER = "user root;" if os.geteuid() == 0 else ""
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def _files(name: str) -> dict[str, str | bytes]:
    folder = DOCUMENTS / name
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _free(port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True


def _layered(folder: Path) -> list[str]:
    return ["unshare", "--mount", "sh", "-c", LAYER, "sh", str(folder)]


@pytest.fixture(scope="module")
def lualib(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose ``openresty/lualib`` is laid into ``/usr/local``: the reference's own library, and ``req``."""
    folder = Path("/tmp") / f"pyresty-lualib-{os.getpid()}"
    library = folder / "openresty" / "lualib"
    library.mkdir(parents=True)
    try:
        if not shutil.which("unshare") or subprocess.run([*_layered(folder), "true"], capture_output=True).returncode:
            pytest.skip("no mount namespace here to lay the module req into /usr/local")
        for name in ("resty", "ngx"):
            source = Path("/usr/share/lua/5.1") / name
            if source.is_dir():
                shutil.copytree(source, library / name)
        (library / "req.lua").write_text(REQ)
        yield folder
    finally:
        shutil.rmtree(folder)


def _login(*, reference: bool = False, before: list[str] | None = None, **changed: str) -> Server:
    """The login application. ``changed``: Lua files by name instead of the documents' own."""
    if not _free(8080):
        pytest.skip("port 8080 is taken, and the documents' nginx.conf wants it")
    files = _files("login-app")
    conf = files.pop("conf/nginx.conf")
    assert isinstance(conf, bytes)
    files.update({f"lua/{name}.lua": text for name, text in changed.items()})
    server = Server(conf.decode(), files, reference=reference, directives=USER, before=before or [], wait=[])
    if reference:
        server.ports["port"] = 80
    else:
        server.expand("{port}")
        server.args = ["--listen", f"80={server.port}"]
    server.wait = [server.port, 8080]
    return server


@pytest.fixture(scope="module")
def plain() -> Iterator[Server]:
    """The login application as it is: nothing where its ``lua_package_path`` points."""
    with _login() as server:
        yield server


@pytest.fixture(scope="module")
def app(plain: Server, lualib: Path) -> Iterator[Server]:
    """The login application with ``req`` within reach."""
    plain.stop()
    with _login(before=_layered(lualib)) as server:
        yield server


def _seen(response: Response) -> tuple[object, ...]:
    """What has to be the same on both servers.

    A backend's answer comes with a length through the reference, which asks in HTTP/1.0, else in chunks.
    """
    skipped = {"Date", "Server", "Content-Length", "Transfer-Encoding", "Last-Modified", "ETag"}
    headers = sorted((name, value) for name, value in response.headers if name not in skipped)
    body = re.sub(rb"<center>(nginx|pyresty)/[\d.]+</center>", b"", response.body)
    if response.body.startswith(b"{"):
        # The order of a Lua table's fields is nobody's promise.
        fields = json.loads(re.sub(rb'"token":"[0-9a-f]{32}"', b'"token":"TOKEN"', body))
        return response.status, response.reason, headers, fields
    return response.status, response.reason, headers, body


def test_start_names_what_is_slow(plain: Server) -> None:
    said = plain.stderr + plain.log_text()
    for line in (14, 31):
        assert f"lua_code_cache is off; this will hurt performance in {plain.prefix}/conf/nginx.conf:{line}" in said


@pytest.mark.parametrize("path", ["/", "/index.html", "/index-local-login.html"])
def test_pages(plain: Server, path: str) -> None:
    answer = request(plain, "GET", path)
    assert (answer.status, answer.get("Content-Type")) == (200, "text/html")
    name = "index.html" if path == "/" else path[1:]
    assert answer.body == (DOCUMENTS / "login-app" / "html" / name).read_bytes()


def test_no_location_for_local_login(plain: Server) -> None:
    assert request(plain, "GET", "/lua/local-login").status == 404
    assert f'open() "{plain.prefix}/html/lua/local-login" failed (2: No such file or directory)' in plain.log_text()


def test_missing_lua_file(plain: Server) -> None:
    assert request(plain, "GET", "/user/nope").status == 404
    path = f"{plain.prefix}/lua/nope.lua"
    entry = f'failed to load external Lua file "{path}": cannot open {path}: No such file or directory, '
    assert entry + 'client: 127.0.0.1, server: localhost, request: "GET /user/nope HTTP/1.' in plain.log_text()


def test_without_req(plain: Server) -> None:
    answer = request(plain, "GET", "/user/login?username=admin&password=admin")
    assert (answer.status, answer.get("Content-Type")) == (500, "text/html")
    log = plain.log_text()
    assert f"lua entry thread aborted: runtime error: {plain.prefix}/lua/login.lua:1: module 'req' not found:" in log
    assert "\tno file '/Users/john/opensource/openresty-web-dev/demo7/lua/req.lua'\n" in log


def test_lua_of_another_language(plain: Server) -> None:
    assert request(plain, "GET", "/user/local-login-capture").status == 500
    assert "local-login-capture.lua:7: function arguments expected near '.'" in plain.log_text()


@pytest.mark.parametrize(
    ("method", "path", "body", "success"),
    [
        ("GET", "/user/login?username=admin&password=admin", None, True),
        ("POST", "/user/login", b"username=admin&password=admin", True),
        ("POST", "/user/login?username=admin", b"password=admin", True),
        ("GET", "/user/login?username=admin&password=wrong", None, False),
        ("POST", "/user/login", b"username=admin", False),
        ("GET", "/user/login", None, False),
    ],
)
def test_login(app: Server, method: str, path: str, body: bytes | None, success: bool) -> None:
    before = int(time.time())
    answer = request(app, method, path, FORM, body)
    after = int(time.time())
    assert (answer.status, answer.get("Content-Type")) == (200, "text/html")
    assert answer.body.endswith(b"\n")
    result = json.loads(answer.body)
    assert result["ret"] is success
    # The server's clock may lag by what one turn of its loop takes.
    tokens = {hashlib.md5(f"admin/{moment}".encode()).hexdigest() for moment in range(before - 1, after + 1)}
    assert (result.get("token") in tokens) is success
    assert set(result) == ({"ret", "token"} if success else {"ret"})


def test_local_login_by_resty_http(app: Server) -> None:
    answer = request(app, "POST", "/user/local-login-resty-http", FORM, b"username=admin&password=admin")
    result = json.loads(answer.body)
    assert (result["ret"], result["from"]) == (True, "local")


def test_local_login_by_capture_when_mended(app: Server, lualib: Path) -> None:
    source = (DOCUMENTS / "login-app" / "lua" / "local-login-capture.lua").read_text()
    app.write("lua/mended.lua", source.replace("{method: ", "{method = "))
    result = json.loads(request(app, "GET", "/user/mended?username=admin&password=admin").body)
    assert (result["ret"], result["from"]) == (True, "local")
    assert json.loads(request(app, "GET", "/user/mended").body) == {"ret": False, "from": "local"}


def test_edits_show_at_once(app: Server) -> None:
    app.write("lua/edited.lua", 'ngx.say("before")')
    assert request(app, "GET", "/user/edited").body == b"before\n"
    app.write("lua/edited.lua", 'ngx.say("after the edit")')
    assert request(app, "GET", "/user/edited").body == b"after the edit\n"


REQUESTS = (
    ("GET", "/", None),
    ("HEAD", "/", None),
    ("GET", "/index-local-login.html", None),
    ("GET", "/none", None),
    ("POST", "/", b"x"),
    ("GET", "/user", None),
    ("GET", "/user/login?username=admin&password=admin", None),
    ("POST", "/user/login", b"username=admin&password=admin"),
    ("POST", "/user/login", b"username=admin&password=no"),
    ("GET", "/user/nope", None),
    ("GET", "/user/local-login-capture", None),
    ("GET", "/lua/local-login", None),
)


def _log(server: Server) -> list[str]:
    """The error log's entries about requests, without what belongs to one run, and HTTP's version to the backend."""
    text = server.log_text().replace(str(server.prefix), "")
    entries = re.findall(r"\[error\] \d+#\d+: \*\d+ (.*)", text)
    return [re.sub(r"HTTP/1\.\d", "HTTP", re.sub(r'"127.0.0.1:\d+"', '"127.0.0.1"', entry)) for entry in entries]


def test_same_as_the_reference(app: Server, lualib: Path) -> None:
    """Every request of the application, on both servers in turn: they want the same port 8080."""
    missing = [path for path in (Path(REFERENCE), MODULES / "ngx_http_lua_module.so") if not path.exists()]
    if missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no reference server: {missing[0]}")
        pytest.skip(f"no reference server: {missing[0]}")
    if not _free(80):
        pytest.skip("port 80 is taken, or needs more rights, and the reference can't be moved from it")
    app.stop()
    answers, logs = [], []
    for reference in (True, False):
        with _login(reference=reference, before=_layered(lualib)) as server:
            answers.append([_seen(request(server, *line[:2], FORM if line[2] else (), line[2])) for line in REQUESTS])
        logs.append(_log(server))
    assert answers[0] == answers[1]
    assert logs[0] == logs[1]


@pytest.mark.parametrize("switches", [["-t"], []], ids=["test", "start"])
@pytest.mark.parametrize(
    ("name", "message", "hints"),
    [
        (
            "md5-capture",
            '"location" directive is not allowed here in {conf}:34',
            ["hint: ", '"server'],
        ),
        ("md5-cosocket", 'no "events" section in configuration', ["hint: ", "events {}"]),
    ],
)
def test_refused_as_by_the_reference(name: str, message: str, hints: list[str], switches: list[str]) -> None:
    files = _files(name)
    conf = files.pop("conf/nginx.conf")
    assert isinstance(conf, bytes)
    for reference in (False, True):
        if reference and not Path(REFERENCE).exists():
            continue
        server = Server(conf.decode(), files, reference=reference)
        try:
            done = server.run(*switches)
            expected = f"[emerg] {message}".format(conf=f"{server.prefix}/conf/nginx.conf")
            said = done.stdout + done.stderr + server.log_text()
            assert done.returncode == 1
            assert re.search(rf"{re.escape(expected)}$", said, re.MULTILINE)
            assert "Traceback" not in said
            if not reference:
                assert all(hint in done.stderr for hint in hints)
        finally:
            server.close()
