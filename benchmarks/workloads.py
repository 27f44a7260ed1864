"""What is measured: one table.

A row says what is asked, what must come back, on which conf of ``conf/``, by which servers, and which mark pyresty has
to reach. ``measure.py`` knows how; nothing about a single workload is written anywhere else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
#: The documents' login.lua, if the documents lie beside the project.
DOCUMENTED_LOGIN = HERE.parent.parent / "shared" / "documents" / "login-app" / "lua" / "login.lua"

#: Marks of the two workloads that are no ratios: KB (1,024 bytes) for one idle connection, seconds to the first answer.
IDLE_KB = 2.5
START_SECONDS = 0.35


@dataclass(frozen=True)
class Workload:
    """One row.

    :ivar about: what one request is, for the reader.
    :ivar kind: a key of :data:`benchmarks.measure.KINDS`; costs are µs for a request, KB for a connection, seconds.
    :ivar target: path and query of the request.
    :ivar body: what the answer must hold, byte for byte, once :func:`without_token` has been at it.
    :ivar content_type: what its ``Content-Type`` must be.
    :ivar mark: least ratio of the first other server's cost to pyresty's; for ``idle`` and ``start`` the most that
        pyresty may cost. None: just for information.
    :ivar form: body of a POST; without it the request is a GET.
    :ivar script: wrk's Lua script in ``wrk/``.
    :ivar fill: values of the conf's own placeholders.
    :ivar files: files below the prefix, by relative path.
    :ivar origin: whether the conf proxies to the origin server.
    :ivar servers: who is measured; the first one is what pyresty's cost is compared with.
    """

    name: str
    about: str
    conf: str
    target: str
    body: bytes
    mark: float | None = None
    kind: str = "load"
    content_type: str = "text/plain"
    form: str = ""
    script: str = ""
    fill: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    origin: bool = False
    servers: tuple[str, ...] = ("reference", "pyresty")


def without_token(body: bytes) -> bytes:
    """The login's answer with its token, which depends on the time, replaced by ``*`` and its keys in one order.

    Lua's tables have no order. A body that is no such answer stays as it is.
    """
    if not body.startswith(b"{"):
        return body
    try:
        answer = json.loads(body)
    except ValueError:
        return body
    if re.fullmatch("[0-9a-f]{32}", str(answer.get("token"))):
        answer["token"] = "*"
    return json.dumps(answer, sort_keys=True).encode()


def lua_files() -> dict[str, bytes]:
    """``lua/`` of a prefix: our modules, and the documents' login.lua in place of ours where it is at hand."""
    files = {f"lua/{path.name}": path.read_bytes() for path in (HERE / "lua").glob("*.lua")}
    if DOCUMENTED_LOGIN.exists():
        files["lua/login.lua"] = DOCUMENTED_LOGIN.read_bytes()
    return files


def _login(name: str, about: str, code_cache: str, mark: float | None) -> Workload:
    return Workload(
        name,
        about,
        "login.conf",
        "/user/login",
        b'{"ret": true, "token": "*"}',
        mark,
        content_type="text/html",
        form="username=admin&password=admin",
        script="form.lua",
        fill={"code_cache": code_cache},
        files=lua_files(),
    )


def _api(name: str, about: str, body: bytes, query: str = "") -> Workload:
    return Workload(name, about, "lua_api.conf", f"/{name}{query}", body, 0.6)


def _static(name: str, about: str, size: int) -> Workload:
    content = (bytes(range(256)) * (size // 256 + 1))[:size]
    return Workload(
        name,
        about,
        "static.conf",
        f"/{name}",
        content,
        0.8,
        content_type="application/octet-stream",
        files={f"html/{name}": content},
    )


WORKLOADS = (
    Workload("hello", "one line from Lua", "hello.conf", "/hello", b"hello\n", 0.7),
    _login("login_off", "the documents' login, code cache off", "off", 100),
    _login("login_on", "the documents' login, code cache on", "on", None),
    Workload("capture", "one subrequest from Lua", "capture.conf", "/capture", b"200 sub\n", 0.6),
    Workload("capture_multi", "four subrequests at once", "capture.conf", "/capture_multi", b"200 subsubsubsub\n", 0.6),
    _api("ngx_re", "ngx.re.match and ngx.re.gsub", b"20241121 neo wot hreet 3\n"),
    _api("shdict", "shared dictionary: incr, set, get", b"Ann true\n"),
    _api("json", "cjson: decode and encode", b"Ann blue 177\n"),
    _api(
        "args_headers",
        "arguments and headers read, one header set",
        b"1 big world 127.0.0.1\n",
        "?a=1&b=2&name=big%20world&empty=",
    ),
    _static("static_5k", "a file of 5 KB", 5 * 1024),
    _static("static_1m", "a file of 1 MB", 1024 * 1024),
    Workload(
        "proxy_close",
        "bare proxy_pass (nginx: no keep-alive)",
        "proxy_close.conf",
        "/",
        b"from the origin\n",
        origin=True,
    ),
    Workload(
        "proxy_keepalive",
        "proxy_pass over kept connections",
        "proxy_keepalive.conf",
        "/",
        b"from the origin\n",
        0.35,
        origin=True,
    ),
    Workload(
        "unique_heads",
        "hello, no two heads alike",
        "hello.conf",
        "/hello",
        b"hello\n",
        0.4,
        script="unique_heads.lua",
    ),
    Workload(
        "uvicorn",
        "hello, against uvicorn's plain ASGI hello",
        "hello.conf",
        "/hello",
        b"hello\n",
        2,
        servers=("uvicorn", "pyresty"),
    ),
    Workload(
        "idle",
        "memory of an idle connection",
        "hello.conf",
        "/hello",
        b"hello\n",
        IDLE_KB,
        kind="idle",
        servers=("reference", "pyresty", "uvicorn"),
    ),
    Workload(
        "start",
        "from start to the first answer",
        "hello.conf",
        "/hello",
        b"hello\n",
        START_SECONDS,
        kind="start",
        servers=("reference", "pyresty", "uvicorn"),
    ),
)
