"""ngx.process and ngx.errlog: the privileged agent, the kinds of processes, captured lines of the error log.

https://github.com/openresty/lua-resty-core/blob/master/lib/ngx/process.md
https://github.com/openresty/lua-resty-core/blob/master/lib/ngx/errlog.md
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from harness import Server, ServerError, http, request

_CONF = http(
    """
    lua_capture_error_log 8k;
    init_by_lua_block {
        local p = require "ngx.process"
        master = p.get_master_pid()
        ngx.log(ngx.NOTICE, "init: ", p.type(), " ", tostring(p.enable_privileged_agent(10)), " ", (select(2, p.enable_privileged_agent(-1))))
    }
    init_worker_by_lua_block {
        local p = require "ngx.process"
        ngx.log(ngx.NOTICE, "kind: ", p.type(), " ", tostring(ngx.worker.id()), " ", p.get_master_pid() == master)
        if p.type() == "privileged agent" then
            ngx.timer.at(0, function() ngx.log(ngx.NOTICE, "the agent runs timers") end)
        end
    }
    server {
        listen {port};
        location /type { content_by_lua_block {
            local p = require "ngx.process"
            ngx.say(p.type(), " ", p.get_master_pid(), " ", (select(2, p.enable_privileged_agent())))
        } }
        location /quit { content_by_lua_block { require("ngx.process").signal_graceful_exit() ngx.say(ngx.worker.pid()) } }
        location /pid { content_by_lua_block { ngx.say(ngx.worker.pid()) } }
        location /log { content_by_lua_block {
            local e = require "ngx.errlog"
            e.get_logs(1000)
            ngx.log(ngx.ERR, "one") ngx.log(ngx.INFO, "two")
            local found = e.get_logs()
            for i = 1, #found, 3 do ngx.say(found[i], " ", found[i + 1] > 1e9, " ", found[i + 2]) end
            ngx.say(#e.get_logs())
        } }
        location /filter { content_by_lua_block {
            local e = require "ngx.errlog"
            ngx.say(tostring(e.set_filter_level(ngx.WARN)), " ", (select(2, e.set_filter_level(9))), " ", (select(2, e.set_filter_level())))
            e.get_logs(1000)
            ngx.log(ngx.NOTICE, "no") ngx.log(ngx.WARN, "yes") e.raw_log(ngx.ERR, "raw")
            local found = e.get_logs(1, {1, 2, 3, 4, 5, 6})
            ngx.say(#found, " ", found[1], " ", #e.get_logs())
            e.set_filter_level(ngx.DEBUG)
        } }
        location /full { content_by_lua_block {
            local e = require "ngx.errlog"
            e.get_logs(1000)
            for i = 1, 100 do ngx.log(ngx.WARN, "line ", i, ";", ("x"):rep(100)) end
            local found, bytes = e.get_logs(1000), 0
            for i = 1, #found, 3 do bytes = bytes + #found[i + 2] end
            ngx.say(bytes < 8192, " ", bytes > 4096, " ", found[#found]:match("line %d+"))
        } }
    }
    """
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(_CONF) as running:
        yield running


def test_kinds_of_processes(server: Server) -> None:
    answer = request(server, "GET", "/type").body.decode()
    text = "\n".join(server.error_log())
    assert "init: master true bad 'connections' argument: number expected and greater than 0" in text
    assert "kind: worker 0 true" in text
    assert answer == f"worker {server.pid} API disabled in the current context\n"


def test_the_privileged_agent_is_a_process_of_its_own(server: Server) -> None:
    def seen() -> str:
        return "\n".join(server.error_log())

    while "the agent runs timers" not in seen():
        pass
    agent = re.search(r"start privileged agent process (\d+)", seen())
    assert agent is not None
    assert re.search(rf"{agent[1]}#{agent[1]}: .*kind: privileged agent nil true", seen())
    assert request(server, "GET", "/pid").body.decode().strip() != agent[1]


def test_lines_are_captured(server: Server) -> None:
    lines = request(server, "GET", "/log").body.decode().splitlines()
    assert len(lines) == 3
    assert re.fullmatch(r"4 true \S+ \S+ \[error\] \d+#\d+: \*\d+ \[lua\] content_by_lua.* one, client: .*", lines[0])
    assert " [info] " in lines[1]
    assert lines[2] == "0"


def test_filter_level(server: Server) -> None:
    assert request(server, "GET", "/filter").body.decode().splitlines() == [
        'true bad log level: 9 missing "level" argument',
        "3 5 3",
    ]


def test_the_oldest_lines_go_first(server: Server) -> None:
    assert request(server, "GET", "/full").body == b"true true line 100\n"


def test_signal_graceful_exit(server: Server) -> None:
    before = request(server, "GET", "/quit").body
    while True:
        try:
            after = request(server, "GET", "/pid").body
        except (OSError, EOFError):
            continue
        if after != before:
            break
    assert f"worker process {int(before)} exited with code 0" in "\n".join(server.error_log())


def test_without_the_directive() -> None:
    conf = http(
        "server { listen {port}; location / { content_by_lua_block { "
        "local e = require 'ngx.errlog' ngx.say(select(2, e.get_logs())) ngx.say(select(2, e.set_filter_level(1))) } } }"
    )
    with Server(conf) as running:
        text = b'directive "lua_capture_error_log" is not set\n'
        assert request(running, "GET", "/").body == text * 2


def test_single_process() -> None:
    conf = http(
        "server { listen {port}; location / { content_by_lua_block { "
        "local p = require 'ngx.process' ngx.say(p.type(), ' ', p.get_master_pid()) } } }",
        main="master_process off;",
    )
    with Server(conf) as running:
        assert request(running, "GET", "/").body == f"single {running.pid}\n".encode()


@pytest.mark.parametrize(
    ("directive", "message"),
    [
        ("lua_capture_error_log 1k;", 'invalid capture error log size "1k", minimum size is 4096'),
        ("lua_capture_error_log x;", 'invalid capture error log size "x"'),
    ],
)
def test_configuration_errors(directive: str, message: str) -> None:
    with pytest.raises(ServerError, match=message), Server(http(f"{directive} server {{ listen {{port}}; }}")):
        pass
