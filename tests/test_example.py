"""The example application over HTTP. Each test runs on pyresty, and on nginx where that is installed."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from client import Response, request
from example_app import WAYS, example_app
from harness import MODULES, REFERENCE, ROOT, Server

RIGHT = {"username": "admin", "password": "admin"}
WRONG = {"username": "admin", "password": "guess"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module", params=["pyresty", "nginx"])
def reference(request: pytest.FixtureRequest) -> bool:
    if request.param == "nginx" and not (Path(REFERENCE).exists() and (MODULES / "ngx_http_lua_module.so").exists()):
        pytest.skip("nginx with lua-nginx-module is not installed")
    return bool(request.param == "nginx")


@pytest.fixture(scope="module")
def app(reference: bool) -> Iterator[Server]:
    with example_app(reference=reference) as server:
        yield server


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def post(app: Server, path: str, form: dict[str, str]) -> Response:
    return request(app, "POST", path, FORM, urlencode(form).encode())


def test_page_needs_nothing_from_elsewhere(app: Server) -> None:
    answer = request(app)
    assert (answer.status, answer.get("Content-Type")) == (200, "text/html")
    assert answer.body == (ROOT / "html" / "index.html").read_bytes()
    assert re.findall(rb'(?:src|href)="([^"]+)"', answer.body) == [b"data:,", b"style.css", b"login.js"]

    for path, content_type in (("/style.css", "text/css"), ("/login.js", "application/javascript")):
        answer = request(app, path=path)
        assert (answer.status, answer.get("Content-Type")) == (200, content_type)
        assert b"://" not in answer.body


def test_every_way_has_its_button() -> None:
    page = (ROOT / "html" / "index.html").read_text()
    assert re.findall(r'data-url="([^"]+)"', page) == list(WAYS)


def test_right_password(app: Server, way: str) -> None:
    before = int(time.time())
    answer = post(app, way, RIGHT)
    after = int(time.time())

    assert (answer.status, answer.get("Content-Type")) == (200, "application/json")
    fields = json.loads(answer.body)
    token = fields.pop("token")
    assert fields == {"ret": True, **WAYS[way]}
    # The server reads the clock once for each turn of its event loop, so it may be a little behind ours.
    assert token in {hashlib.md5(f"admin/{second}".encode()).hexdigest() for second in range(before - 1, after + 1)}


def test_wrong_password(app: Server, way: str) -> None:
    answer = post(app, way, WRONG)
    assert answer.status == 200
    assert json.loads(answer.body) == {"ret": False, **WAYS[way]}


def test_no_arguments(app: Server, way: str) -> None:
    answer = request(app, path=way)
    assert answer.status == 200
    assert json.loads(answer.body) == {"ret": False, **WAYS[way]}


def test_arguments_in_address(app: Server, way: str) -> None:
    answer = request(app, path=f"{way}?{urlencode(RIGHT)}")
    assert answer.status == 200
    assert json.loads(answer.body)["ret"] is True


def test_form_wins_over_address(app: Server, way: str) -> None:
    assert json.loads(post(app, f"{way}?{urlencode(WRONG)}", RIGHT).body)["ret"] is True
    assert json.loads(post(app, f"{way}?{urlencode(RIGHT)}", WRONG).body)["ret"] is False


@pytest.mark.parametrize("folder", ["user", "lua"])
def test_unknown_page(app: Server, folder: str) -> None:
    answer = post(app, f"/{folder}/no-such-{folder}-page", RIGHT)
    assert (answer.status, answer.get("Content-Type")) == (404, "text/html")
    assert b"<title>404 Not Found</title>" in answer.body
    file = app.prefix / "lua" / f"no-such-{folder}-page.lua"
    assert f'failed to load external Lua file "{file}": cannot open {file}' in app.log_text()


def test_unknown_file(app: Server) -> None:
    assert request(app, path="/nope.html").status == 404
    assert f'open() "{app.prefix}/html/nope.html" failed (2: No such file or directory)' in app.log_text()


def test_access_log(app: Server) -> None:
    post(app, "/lua/local-login-get?page=access-log-test", RIGHT)
    request(app)  # the one worker has logged the request before when it answers this one
    line = '"POST /lua/local-login-get?page=access-log-test HTTP/1.1" 200 '
    assert app.log_text("access.log").count(line) == 1


def test_edited_page_and_module_show_at_once(app: Server) -> None:
    page, module = app.prefix / "lua" / "greeting.lua", app.prefix / "lua" / "words.lua"
    module.write_text("return { word = 'Good day' }")
    page.write_text("ngx.say(require('words').word, ', reader')")
    assert request(app, path="/lua/greeting").body == b"Good day, reader\n"

    page.write_text("ngx.say(require('words').word, ', dear reader')")
    assert request(app, path="/lua/greeting").body == b"Good day, dear reader\n"

    module.write_text("return { word = 'Good evening' }")
    assert request(app, path="/lua/greeting").body == b"Good evening, dear reader\n"

    page.write_text("ngx.say('unfinished'")
    assert request(app, path="/lua/greeting").status == 500
    assert "greeting.lua:1: ')' expected near '<eof>'" in app.log_text()

    page.write_text("ngx.say('finished')")
    assert request(app, path="/lua/greeting").body == b"finished\n"


def test_service_down(reference: bool, way: str) -> None:
    with example_app(reference=reference, service="{port3}") as app:
        answer = post(app, way, RIGHT)
        assert answer.status == 502
        if way == "/user/login":
            assert b"<title>502 Bad Gateway</title>" in answer.body
        else:
            assert json.loads(answer.body) == {"ret": False, **WAYS[way]}
            assert f"login service, asked by {WAYS[way]['way']}: " in app.log_text()
