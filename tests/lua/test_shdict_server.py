"""Shared dictionaries of a running server: its workers, reloads, the death of a worker, and what the configuration may say."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest
from harness import Server, ServerError, http, request

_INIT = 'init_by_lua_block { ngx.shared.dogs:add("inits", 0) ngx.shared.dogs:incr("inits", 1) }'
_LOCATIONS = """
    location /pid { content_by_lua_block { ngx.say(ngx.worker.pid()) } }
    location /set { content_by_lua_block { ngx.say(ngx.shared[ngx.var.arg_d]:set(ngx.var.arg_k, ngx.var.arg_v)) } }
    location /get { content_by_lua_block { ngx.say(ngx.shared[ngx.var.arg_d] and ngx.shared[ngx.var.arg_d]:get(ngx.var.arg_k)) } }
    location /incr { content_by_lua_block { ngx.say((ngx.shared.dogs:incr("n", 1, 0))) } }
    location /busy { content_by_lua_block {
        ngx.shared.dogs:set("busy", ngx.worker.pid())
        for i = 1, 1e12 do
            ngx.shared.dogs:rpush("list" .. i % 9, i) ngx.shared.dogs:lpop("list" .. (i + 4) % 9)
            if i % 1000 == 0 then ngx.sleep(0) end
        end
    } }
"""


def conf(zones: str, init: str = _INIT) -> str:
    return http(f"{zones} {init} server {{ listen {{port}}; {_LOCATIONS} }}").replace(
        "worker_processes 1;", "worker_processes 3;"
    )


def say(server: Server, path: str) -> str:
    response = request(server, "GET", path)
    assert response.status == 200, server.log_text()[-2000:]
    return response.body.decode().rstrip("\n")


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for something that is sure to come."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def reload(server: Server, text: str) -> None:
    """Put another configuration in place and wait until only its workers answer."""
    before = workers(server)
    server.write("conf/nginx.conf", text)
    os.kill(server.pid, signal.SIGHUP)
    until(lambda: not before & workers(server) and len(workers(server)) == 3)


def workers(server: Server) -> set[int]:
    """The processes that the master has started."""
    with open(f"/proc/{server.pid}/task/{server.pid}/children") as file:
        return {int(pid) for pid in file.read().split()}


def test_workers_share_it() -> None:
    with Server(conf("lua_shared_dict dogs 1m;")) as server:
        pids = set()
        answers = []
        for _ in range(300):
            answers.append(int(say(server, "/incr")))
            pids.add(say(server, "/pid"))
        assert answers == list(range(1, 301))
        assert len(pids) > 1
        assert say(server, "/get?d=dogs&k=inits") == "1"


def test_reload() -> None:
    """A zone of the same name and size is kept; one of another size, and one that was gone for a while, are new."""
    with Server(conf("lua_shared_dict dogs 1m; lua_shared_dict cats 200k; lua_shared_dict mice 100k;")) as server:
        for name in ("dogs", "cats", "mice"):
            assert say(server, f"/set?d={name}&k=a&v=1") == "truenilfalse"
        reload(server, conf("lua_shared_dict cats 300k; lua_shared_dict dogs 1024k;"))
        assert say(server, "/get?d=dogs&k=a") == "1"
        assert say(server, "/get?d=dogs&k=inits") == "2"
        assert say(server, "/get?d=cats&k=a") == "nil"
        assert say(server, "/get?d=mice&k=a") == "nil"
        say(server, "/set?d=cats&k=b&v=2")
        reload(server, conf("lua_shared_dict dogs 1m; lua_shared_dict cats 200k; lua_shared_dict mice 100k;"))
        assert say(server, "/get?d=dogs&k=a") == "1"
        assert [say(server, f"/get?d={name}&k=a") for name in ("cats", "mice")] == ["nil", "nil"]


def test_failed_reload_keeps_it() -> None:
    zones = "lua_shared_dict dogs 1m; lua_shared_dict cats 200k;"
    with Server(conf(zones)) as server:
        say(server, "/set?d=cats&k=a&v=1")
        server.write("conf/nginx.conf", conf(zones.replace("200k", "400k"), 'init_by_lua_block { error("no") }'))
        os.kill(server.pid, signal.SIGHUP)
        until(lambda: "init_by_lua error" in server.log_text())
        assert say(server, "/get?d=cats&k=a") == "1"
        reload(server, conf(zones))
        assert say(server, "/get?d=cats&k=a") == "1"
        assert say(server, "/get?d=dogs&k=inits") == "2"


def test_worker_killed_while_writing() -> None:
    """The others go on, whatever the killed worker was doing, and so does the worker that takes its place."""
    with Server(conf("lua_shared_dict dogs 1m;")) as server:
        say(server, "/set?d=dogs&k=kept&v=yes")
        for round_ in range(4):
            busy = threading.Thread(target=lambda: _ignore(server), daemon=True)
            busy.start()
            until(lambda: say(server, "/get?d=dogs&k=busy") != "nil")
            pid = int(say(server, "/get?d=dogs&k=busy"))
            os.kill(pid, signal.SIGKILL)
            busy.join(20)
            assert say(server, "/get?d=dogs&k=kept") == "yes", round_
            until(partial(_replaced, server, pid))
            say(server, "/set?d=dogs&k=busy")
            assert say(server, "/get?d=dogs&k=busy") == "nil"


def _replaced(server: Server, pid: int) -> bool:
    return pid not in workers(server) and len(workers(server)) == 3


def _ignore(server: Server) -> None:
    # the worker is killed before it answers
    with suppress(OSError, EOFError, ValueError, AssertionError):
        request(server, "GET", "/busy")


@pytest.mark.parametrize(
    ("zones", "message"),
    [
        ('lua_shared_dict "" 1m;', 'invalid lua shared dict name ""'),
        ("lua_shared_dict dogs 8191;", 'invalid lua shared dict size "8191"'),
        ("lua_shared_dict dogs 0;", 'invalid lua shared dict size "0"'),
        ("lua_shared_dict dogs 1g;", 'invalid lua shared dict size "1g"'),
        ("lua_shared_dict dogs x;", 'invalid lua shared dict size "x"'),
        ("lua_shared_dict dogs -1m;", 'invalid lua shared dict size "-1m"'),
        ("lua_shared_dict dogs 1m; lua_shared_dict dogs 1024k;", 'lua_shared_dict "dogs" is already defined as "dogs"'),
        (
            "lua_shared_dict dogs 1m; lua_shared_dict dogs 2m;",
            'the size 2097152 of shared memory zone "dogs" conflicts with already declared size 1048576',
        ),
        ("lua_shared_dict dogs;", 'invalid number of arguments in "lua_shared_dict" directive'),
        ("lua_shared_dict dogs 9k;", "ngx_slab_alloc() failed: no memory"),
    ],
)
def test_refused(zones: str, message: str) -> None:
    server = Server(conf(zones))
    try:
        with pytest.raises(ServerError, match=re.escape(message)):
            server.start()
    finally:
        server.close()
