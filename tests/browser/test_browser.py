"""The pages in a real browser: every button of the example application, and of the documents' own pages, is pressed.

The documents' pages load jQuery from a public CDN. The browser is told that the CDN's name is a small server here,
which answers that one address with Debian's copy of jQuery.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import test_documents
from example_app import WAYS, example_app
from harness import Server
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM = Path("/usr/bin/chromium")
CHROMEDRIVER = Path("/usr/bin/chromedriver")
JQUERY = Path("/usr/share/javascript/jquery/jquery.min.js")
CDN_HOST = "cdn.bootcss.com"
CDN_PATH = "/jquery/2.2.4/jquery.min.js"
WAIT_SECONDS = 30

SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
)

#: The location that the documents' sample project has and their printed conf lacks.
LUA_LOCATION = "location ~ /lua/(.+) { default_type text/html; content_by_lua_file lua/$1.lua; }"

#: From the tests of the documents over HTTP: their application, their mark, and a place for their module `req`.
lualib = test_documents.lualib
documents = test_documents.pytestmark


class Cdn(BaseHTTPRequestHandler):
    """Answers the one address of the CDN that the documents name."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        found = self.path == CDN_PATH and self.headers["Host"] == CDN_HOST
        body = JQUERY.read_bytes() if found else b""
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/javascript")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what the browser saw is asserted in the browser."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    missing = [str(path) for path in (CHROMIUM, CHROMEDRIVER, JQUERY) if not path.exists()]
    if missing:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"not installed: {', '.join(missing)}")
    with ThreadingHTTPServer(("127.0.0.1", 0), Cdn) as cdn:
        threading.Thread(target=cdn.serve_forever).start()
        options = webdriver.ChromeOptions()
        options.binary_location = str(CHROMIUM)
        for switch in SWITCHES:
            options.add_argument(switch)
        options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
        options.add_argument(f"--host-resolver-rules=MAP {CDN_HOST} 127.0.0.1:{cdn.server_port}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service(executable_path=str(CHROMEDRIVER)))
        try:
            yield driver
        finally:
            driver.quit()
            cdn.shutdown()


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Runs ``server``; a browser's spare connections, which QUIT waits for as nginx's does, do not hold up its end."""
    with server:
        yield server
        server.signal(signal.SIGTERM)


@pytest.fixture(scope="module")
def example() -> Iterator[Server]:
    with serving(example_app()) as server:
        yield server


def type_in(browser: webdriver.Chrome, field: str, text: str) -> None:
    element = browser.find_element(By.ID, field)
    element.clear()
    element.send_keys(text)


def press_and_read(browser: webdriver.Chrome, url: str) -> tuple[str, dict[str, object]]:
    """Presses the example's button for ``url``; the message it leads to, and the answer shown below."""
    browser.find_element(By.CSS_SELECTOR, f'button[data-url="{url}"]').click()
    wait = WebDriverWait(browser, WAIT_SECONDS)
    wait.until(lambda b: b.find_element(By.ID, "asked").text.startswith(f"POST {url} "))
    message = wait.until(lambda b: b.find_element(By.ID, "message").text)
    assert browser.find_element(By.ID, "asked").text == f"POST {url} → 200"
    assert browser.find_element(By.ID, "way").text == WAYS[url].get("way", "proxy_pass")
    return message, json.loads(browser.find_element(By.ID, "body").text)


def test_example_every_button(browser: webdriver.Chrome, example: Server) -> None:
    browser.get(f"http://localhost:{example.port}/")
    pressed = [button.get_attribute("data-url") for button in browser.find_elements(By.TAG_NAME, "button")]
    assert pressed == list(WAYS)
    for url, extra in WAYS.items():
        message, answer = press_and_read(browser, url)
        assert message == ("Local login successful" if extra else "Login successful")
        assert len(str(answer.pop("token"))) == 32
        assert answer == {"ret": True, **extra}

    type_in(browser, "password", "guess")
    for url, extra in WAYS.items():
        message, answer = press_and_read(browser, url)
        assert message == ("Local login failed" if extra else "Login failed")
        assert answer == {"ret": False, **extra}
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]


def test_example_fields_have_names(browser: webdriver.Chrome, example: Server) -> None:
    browser.get(f"http://localhost:{example.port}/")
    names = {field.get_attribute("id"): field.accessible_name for field in browser.find_elements(By.TAG_NAME, "input")}
    assert names == {"username": "User name", "password": "Password"}
    assert [button.accessible_name for button in browser.find_elements(By.TAG_NAME, "button")] == [
        "Log in", "Capture GET", "Capture POST", "resty.http",
    ]  # fmt: skip


def test_example_without_script(browser: webdriver.Chrome, example: Server) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(f"http://localhost:{example.port}/")
        browser.find_element(By.CSS_SELECTOR, "button.primary").click()
        WebDriverWait(browser, WAIT_SECONDS).until(expected_conditions.url_contains("/user/login"))
        assert '"ret":true' in browser.page_source
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def press_link(browser: webdriver.Chrome, text: str) -> str:
    """Presses the link and answers the alert that it leads to; the alert's text."""
    browser.find_element(By.LINK_TEXT, text).click()
    alert = WebDriverWait(browser, WAIT_SECONDS).until(expected_conditions.alert_is_present())
    message = str(alert.text)
    alert.accept()
    return message


@documents
def test_documents_login(browser: webdriver.Chrome, lualib: Path) -> None:
    with serving(test_documents._login(before=test_documents._layered(lualib))) as server:
        browser.get(f"http://localhost:{server.port}/")
        assert press_link(browser, "Login") == "Login successful"
        type_in(browser, "password", "guess")
        assert press_link(browser, "Login") == "Login failed"


@documents
def test_documents_local_login(browser: webdriver.Chrome, lualib: Path) -> None:
    page = (test_documents.DOCUMENTS / "login-app" / "lua" / "local-login-resty-http.lua").read_text()
    server = test_documents._login(before=test_documents._layered(lualib))
    server.files["lua/local-login.lua"] = page
    server.conf = server.conf.replace("server_name localhost;", f"server_name localhost; {LUA_LOCATION}", 1)
    with serving(server):
        browser.get(f"http://localhost:{server.port}/index-local-login.html")
        assert press_link(browser, "Login") == "Login successful"
        assert press_link(browser, "Local Login") == "Local login successful"
        type_in(browser, "password", "guess")
        assert press_link(browser, "Login") == "Login failed"
        assert press_link(browser, "Local Login") == "Local login failed"
