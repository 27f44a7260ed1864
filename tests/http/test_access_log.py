"""access_log: what a line says of requests that ended well, oddly, or not at all; several logs, conditions, buffers.

https://nginx.org/en/docs/http/ngx_http_log_module.html; the reference server passes these tests, too.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator

import pytest
from client import Connection, head, raw, request
from harness import Server, http
from observed import BOTH, logged, serve_both, wait_for

CONF = http(
    """
    log_format counts '$request_uri $status len=$request_length sent=$bytes_sent body=$body_bytes_sent '
                      '$request_completion $pipe';
    log_format times '$request_uri $request_time $msec [$time_local] $time_iso8601 $connection $connection_requests';
    log_format names '$remote_addr $remote_user $remote_port $server_name $server_port $server_protocol '
                     '$scheme $host|$http_host|$request_method|$uri|$args|$is_args|$arg_a|$cookie_b|'
                     '$http_x|$sent_http_content_type|$sent_http_content_length|$sent_http_last_modified|'
                     '$content_length|$content_type|$request_filename|$document_root|$hostname|$nothing';
    log_format plain '$request_uri "$http_user_agent" $http_x';
    log_format json escape=json '{"path": "$request_uri", "agent": "$http_user_agent", "none": "$http_none"}';
    log_format raw escape=none '$request_uri $http_user_agent $http_none';
    access_log {prefix}/logs/counts.log counts;
    server {
        listen {port};
        server_name logged;
        root html;
        client_header_timeout 300ms;
        client_body_timeout 300ms;
        send_timeout 300ms;
        set $nothing "";
        location / { }
        location /r { return 200 "0123456789"; }
        location /names { access_log {prefix}/logs/names.log names; try_files /file.txt =404; }
        location /times { access_log {prefix}/logs/times.log times; content_by_lua_block { ngx.sleep(0.05) } }
        location /several {
            access_log {prefix}/logs/plain.log plain;
            access_log {prefix}/logs/json.log json;
            access_log {prefix}/logs/raw.log raw;
            access_log {prefix}/logs/if.log plain if=$arg_log;
            return 200;
        }
        location /off { access_log off; return 200; }
        location /default { access_log {prefix}/logs/default.log; return 200 "0123456789"; }
        location /buffered { access_log {prefix}/logs/buffered.log plain buffer=4k flush=100ms; return 200; }
        location /full { access_log {prefix}/logs/full.log plain buffer=1k; return 200; }
        location /variable { access_log {prefix}/logs/v-$arg_v.log plain; return 200; }
        location /noroot { root {prefix}/absent; access_log {prefix}/logs/noroot.log plain; return 200; }
        location /variable-noroot { root {prefix}/absent; access_log {prefix}/logs/v-$arg_v.log plain; return 200; }
        location /read { content_by_lua_block { ngx.req.read_body() ngx.print("0123456789") } }
        location /silent { return 444; }
        location /status-only { content_by_lua_block { ngx.status = 299 ngx.exit(299) } }
        location /nothing { content_by_lua_block { ngx.exit(204) } }
    }
    """
)
FILES: dict[str, str | bytes] = {"html/file.txt": "a file", "html/index.html": "index", "html/middle": b"m" * 1_000_000}
HOST = b"Host: x\r\n"


@pytest.fixture(scope="module", params=BOTH)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    for server in serve_both(CONF, FILES, request.param):
        with open(server.prefix / "html" / "big", "wb") as big:
            big.truncate(20 << 20)
        yield server


def _line(server: Server, path: str) -> str:
    return logged(server, f"{path} ", "counts.log")


def _sizes(line: str) -> tuple[int, int, int]:
    return tuple(int(number) for number in re.findall(r"=(\d+)", line))  # type: ignore[return-value]


def test_counts(server: Server) -> None:
    """Bytes that came (head, body with its framing) and went (head, and body with its framing)."""
    with Connection(server) as client:
        client.send(sent := head("GET", "/r/plain"))
        answer = client.response()
    length = len(answer.raw)
    assert _line(server, "/r/plain") == f"/r/plain 200 len={len(sent)} sent={length} body=10 OK ."
    answer = Connection(server).request("HEAD", "/r/head")
    assert _sizes(_line(server, "/r/head"))[1:] == (len(answer.raw), 0)
    with Connection(server) as client:
        client.send(sent := head("POST", "/read/chunked", {"Transfer-Encoding": "chunked"}, b"3\r\nabc\r\n0\r\n\r\n"))
        answer = client.response()
        assert answer.body == b"0123456789"
    framed = len(answer.raw.partition(b"\r\n\r\n")[2])
    assert _sizes(_line(server, "/read/chunked")) == (len(sent), len(answer.raw), framed)
    with Connection(server) as client:
        client.send(sent := head("POST", "/read/length", body=b"x" * 5000))
        client.response()
    assert _sizes(_line(server, "/read/length"))[0] == len(sent)
    raw(server, b"GET /r/old\r\n")
    assert _line(server, "/r/old") == "/r/old 200 len=12 sent=10 body=10 OK ."
    answer = Connection(server).request("GET", "/middle")
    assert _sizes(_line(server, "/middle"))[1:] == (len(answer.raw), 1_000_000)
    answer = Connection(server).request("GET", "/nothing")
    assert _sizes(_line(server, "/nothing"))[1:] == (len(answer.raw), 0)
    Connection(server).request("GET", "/status-only")
    assert " 299 " in _line(server, "/status-only")


def test_pipe(server: Server) -> None:
    """``$pipe`` tells which requests came with the one in front of them."""
    get = b"GET /r/pipe%d HTTP/1.1\r\n" + HOST + b"\r\n"
    with Connection(server) as client:
        client.send(get % 1 + get % 2 + get % 3)
        for _ in range(3):
            client.response()
        client.send(get % 4)
        client.response()
    assert [_line(server, f"/r/pipe{number}")[-1] for number in (1, 2, 3, 4)] == [".", "p", "p", "."]


def test_odd_endings(server: Server) -> None:
    """Requests without an answer have a status, too: 444, 408, 400; what was begun stays what it was."""
    raw(server, b"GET /silent HTTP/1.1\r\n" + HOST + b"\r\n")
    assert re.fullmatch(r"/silent 444 len=\d+ sent=0 body=0  \.", _line(server, "/silent"))
    raw(server, b"GET /slow-head HTTP/1.1\r\n" + HOST)
    assert _line(server, "/slow-head").startswith("/slow-head 408 ")
    raw(server, b"POST /read/slow HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\nabc")
    assert _line(server, "/read/slow").startswith("/read/slow 408 ")
    raw(server, b"POST /read/left HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\nabc", shutdown=True)
    assert _line(server, "/read/left").startswith("/read/left 400 ")
    raw(server, b"GET /bad-version HTTP/2.2\r\n\r\n")
    wait_for(lambda: " 505 " in server.log_text("counts.log"), "the 505")
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        sock.connect(("127.0.0.1", server.port))
        sock.sendall(head("GET", "/big?stalled"))
        line = _line(server, "/big?stalled")
    status, (_, sent, body) = line.split()[1], _sizes(line)
    assert status == "200"
    assert 0 < body < sent < 20 << 20
    assert "OK" not in line


def test_names(server: Server) -> None:
    """The variables of a request and its answer."""
    headers = {"Host": "Asked:1", "Cookie": "a=1; b=2", "X": "y", "Content-Type": "t", "Authorization": "Basic dTpw"}
    with Connection(server) as client:
        port = client.sock.getsockname()[1]
        answer = client.request("POST", "/names?a=%20b&c", headers, b"123")
        assert answer.status == 405
        answer = client.request("GET", "/names?a=%20b&c", headers)
    lines = server.log_text("names.log").splitlines()
    wait_for(lambda: len(server.log_text("names.log").splitlines()) == 2, "two lines")
    line = server.log_text("names.log").splitlines()[1]
    assert line.split("|")[:-2] == [
        f"127.0.0.1 u {port} logged {server.port} HTTP/1.1 http asked",
        *("Asked:1", "GET", "/file.txt", "a=%20b&c", "?", "%20b", "2", "y", "text/plain", "6"),
        *(answer.get("Last-Modified"), "-", "t", f"{server.prefix}/html/file.txt", f"{server.prefix}/html"),
    ], lines


def test_times(server: Server) -> None:
    """The forms of times, and their order of magnitude."""
    with Connection(server) as client:
        for _ in range(2):
            client.request("GET", "/times")
    wait_for(lambda: server.log_text("times.log").count("\n") == 2, "two lines")
    first, second = server.log_text("times.log").splitlines()
    form = re.compile(
        r"/times (\d+\.\d{3}) (\d{10}\.\d{3}) \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]"
        r" \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d (\d+) (\d+)"
    )
    seen = [form.fullmatch(line) for line in (first, second)]
    assert seen[0] and seen[1]
    assert float(seen[0][1]) >= 0.05
    assert seen[0][3] == seen[1][3]
    assert (seen[0][4], seen[1][4]) == ("1", "2")
    assert float(seen[1][2]) > float(seen[0][2])


def test_several_logs(server: Server) -> None:
    """Each log has its own format, escaping and condition."""
    agent = 'a"b\\c\x01\x7f\xe9{}'
    sent = head("GET", "/several", [("User-Agent", agent)])
    sent += head("GET", "/several?log=1") + head("GET", "/several?log=0")
    raw(server, sent, shutdown=True)
    wait_for(lambda: server.log_text("raw.log").count("\n") == 3, "three lines")
    plain, shown, bare = (
        (server.prefix / "logs" / f"{name}.log").read_bytes().splitlines()[0] for name in ("plain", "json", "raw")
    )
    assert plain == rb'/several "a\x22b\x5Cc\x01\x7F\xE9{}" -'
    assert json.loads(shown.decode("latin-1")) == {"path": "/several", "agent": agent, "none": ""}
    assert bare == b"/several " + agent.encode("latin-1") + b" "
    assert server.log_text("if.log") == '/several?log=1 "-" -\n'


def test_off_and_default(server: Server) -> None:
    """``off``, and the format ``combined``."""
    request(server, path="/off")
    request(server, path="/default", headers={"Referer": "http://r/", "User-Agent": "me"})
    line = logged(server, "/default", "default.log")
    assert re.fullmatch(r'127\.0\.0\.1 - - \[[^]]+\] "GET /default HTTP/1\.1" 200 10 "http://r/" "me"', line)
    logs = [path for path in (server.prefix / "logs").glob("*.log") if path.name != "error.log"]
    assert not [path for path in logs if "/off" in path.read_text("latin-1")]


def test_buffers(server: Server) -> None:
    """``buffer`` holds lines back until it is full; ``flush`` not longer than its time."""
    request(server, path="/buffered")
    assert server.log_text("buffered.log") == ""
    assert logged(server, "/buffered", "buffered.log") == '/buffered "-" -'
    with Connection(server) as client:
        for number in range(50):
            client.request("GET", f"/full/{number:03}{'x' * 40}")
        wait_for(lambda: server.log_text("full.log"), "a full buffer")
        text = server.log_text("full.log")
    assert text.endswith("\n")
    assert 900 < len(text) < 50 * 60
    assert [line[6:9] for line in text.splitlines()] == [f"{number:03}" for number in range(text.count("\n"))]


def test_variables_in_the_path(server: Server) -> None:
    """One file for each value; nothing where the request's root does not exist."""
    for value in ("one", "two", "one"):
        request(server, path=f"/variable?v={value}")
    request(server, path="/variable?v=no/folder")
    request(server, path="/variable-noroot?v=three")
    request(server, path="/noroot")
    assert logged(server, "/noroot", "noroot.log") == '/noroot "-" -'
    assert server.log_text("v-one.log") == '/variable?v=one "-" -\n' * 2
    assert server.log_text("v-two.log") == '/variable?v=two "-" -\n'
    assert not (server.prefix / "logs" / "v-three.log").exists()
    assert f'testing "{server.prefix}/absent" existence failed (2: No such file or directory)' in server.log_text()
    assert f'open() "{server.prefix}/logs/v-no/folder.log" failed (2: No such file or directory)' in server.log_text()
