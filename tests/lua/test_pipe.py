"""ngx.pipe: real processes. https://github.com/openresty/lua-resty-core/blob/master/lib/ngx/pipe.md"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from harness import Server, http, request

_CODE = {
    "read": """
        local p = assert(spawn({"cat"}))
        p:write("one\\ntwo\\r\\nrest")
        ngx.say(show(p:stdout_read_line()), show(p:stdout_read_line()), show(p:stdout_read_bytes(2)), show(p:stdout_read_any(10)))
        p:write({"a", 1}) p:write(2)
        ngx.say(show(p:stdout_read_bytes(3)), show(p:shutdown("stdin")), show({p:stdout_read_line()}), show({p:stdout_read_all()}))""",
    "partial": """
        local p = assert(spawn("printf abc"))
        ngx.say(show({p:stdout_read_bytes(5)}))
        local p = assert(spawn("printf abc; exec sleep 100"))
        p:set_timeouts(nil, 300)
        ngx.say(show({p:stdout_read_line()})) p:kill(9)""",
    "stderr": """
        local p = assert(spawn("echo out; echo err >&2"))
        ngx.say(show(p:stderr_read_line()), show(p:stdout_read_line()), show({p:stderr_read_any(9)}))""",
    "merged": """
        local p = assert(spawn("echo out; echo err >&2", {merge_stderr = true}))
        ngx.say(show(p:stdout_read_all()), show({p:stderr_read_all()}), show({p:shutdown("stderr")}))""",
    "exit": """
        for _, command in ipairs{"exit 0", "exit 3", "kill -15 $$"} do
            local p = assert(spawn(command))
            ngx.say(show({p:wait()}), show({p:wait()}), show({p:kill(9)}), show({p:stdout_read_any(1)}), show({p:write("x")}))
        end""",
    "ended": 'local p = assert(spawn("exit 1")) ngx.sleep(0.2) ngx.say(show({p:wait()}))',
    "missing": 'local p = assert(spawn({"no-such-program"})) ngx.say(show({p:stdout_read_all()}), show({p:wait()}))',
    "timeouts": """
        local p = assert(spawn({"sleep", "100"}, {wait_timeout = 20, stdout_read_timeout = 20, write_timeout = 20}))
        ngx.say(show({p:wait()}), show({p:stdout_read_any(1)}), show({p:write(("x"):rep(1000000))}))
        ngx.say(show({p:kill(15)}), show({p:wait()}))""",
    "signals": 'local p = assert(spawn({"sleep", "100"})) ngx.say(show({p:kill(1000)}), show({pcall(p.kill, p)})) p:kill(9)',
    "environ": """
        local p = assert(spawn("echo $A,$B", {environ = {"A=1", "B=x=y"}}))
        ngx.say(show(p:stdout_read_all()))""",
    "big": """
        local p = assert(spawn({"cat"}))
        local t = ngx.thread.spawn(function() return p:stdout_read_all() end)
        local sent = p:write(("0123456789"):rep(100000)) p:shutdown("stdin")
        local _, data = ngx.thread.wait(t) ngx.say(sent, " ", #data, " ", ngx.md5(data) == ngx.md5(("0123456789"):rep(100000)))""",
    "busy": """
        local p = assert(spawn({"cat"}))
        local t = ngx.thread.spawn(function() return p:stdout_read_line() end)
        local w = ngx.thread.spawn(function() return p:wait() end)
        ngx.say(show({p:stdout_read_line()}), show({p:wait()}))
        ngx.thread.kill(t) ngx.thread.kill(w)
        p:write("x\\n") ngx.say(show(p:stdout_read_line())) p:shutdown("stdin") ngx.say(show({p:wait()}))""",
    "aborted": """
        local p = assert(spawn({"sleep", "100"}))
        local t = ngx.thread.spawn(function() return p:stdout_read_line() end)
        ngx.sleep(0.01) p:shutdown("stdout") ngx.say(show({ngx.thread.wait(t)})) p:kill(9)""",
    "closed-end": 'local p = assert(spawn("exec <&-; sleep 0.1; exit 0")) ngx.sleep(0.05) ngx.say(show({p:write("x")}))',
    "arguments": """
        ngx.say(show({pcall(spawn)}), show({pcall(spawn, {})}), show({pcall(spawn, {"a"}, {environ = 1})}))
        ngx.say(show({pcall(spawn, {"a"}, {environ = {"x"}})}), show({pcall(spawn, {"a"}, {buffer_size = 0})}))
        ngx.say(show({pcall(spawn, {"a"}, {wait_timeout = -1})}))
        local p = assert(spawn({"true"}))
        ngx.say(show({pcall(p.write, p)}), show({pcall(p.shutdown, p, "x")}), show({pcall(p.write, {}, "x")}))
        ngx.say(show({pcall(p.stdout_read_bytes, p, -1)}), show(p:stdout_read_bytes(0)), show({pcall(p.stdout_read_any, p, 0)}))""",
    "pid": 'local p = assert(spawn({"sleep", "100"})) ngx.say(p:pid())',
    "collect": "collectgarbage() collectgarbage() ngx.say('done')",
}
_ANSWERS = {
    "read": '"one""two""re""st"\n"a12"true{2="closed", 3=""}{1=""}\n',
    "partial": '{2="closed", 3="abc"}\n{2="timeout", 3="abc"}\n',
    "stderr": '"err""out"{2="closed", 3=""}\n',
    "merged": '"out\\nerr\\n"{2="merged to stdout"}{2="merged to stdout"}\n',
    "exit": "".join(
        f'{how}{{2="exited"}}{{2="exited"}}{{2="closed"}}{{2="closed"}}\n'
        for how in ('{1=true, 2="exit", 3=0}', '{1=false, 2="exit", 3=3}', '{1=false, 2="signal", 3=15}')
    ),
    "ended": '{1=false, 2="exit", 3=1}\n',
    "missing": '{1=""}{1=false, 2="exit", 3=1}\n',
    "timeouts": '{2="timeout"}{2="timeout", 3=""}{2="timeout"}\n{1=true}{1=false, 2="signal", 3=15}\n',
    "signals": '{2="invalid signal"}{1=false, 2="bad signal arg: number expected, got nil"}\n',
    "environ": '"1,x=y\\n"\n',
    "big": "1000000 1000000 true\n",
    "busy": '{2="pipe busy reading"}{2="pipe busy waiting"}\n"x"\n{1=true, 2="exit", 3=0}\n',
    "aborted": '{1=true, 3="aborted", 4=""}\n',
    "closed-end": '{2="closed"}\n',
    "arguments": (
        '{1=false, 2="bad args arg: table expected, got nil"}{1=false, 2="bad args arg: non-empty table expected"}'
        '{1=false, 2="bad environ option: table expected, got number"}\n'
        "{1=false, 2=\"bad value at index 1 of environ option: 'name=[value]' format expected, got 'x'\"}"
        '{1=false, 2="bad buffer_size option"}\n{1=false, 2="bad wait_timeout option"}\n'
        '{1=false, 2="bad data arg: string, number, or table expected, got nil"}{1=false, 2="bad shutdown arg: x"}'
        '{1=false, 2="not a process instance"}\n'
        '{1=false, 2="bad len argument"}""{1=false, 2="bad max argument"}\n'
    ),
}  # fmt: skip

_SHOW = """
return function(value)
    local function show(v)
        if type(v) == "string" then return (string.format("%q", v):gsub("\\\\\\n", "\\\\n")) end
        if type(v) ~= "table" then return tostring(v) end
        local keys, out = {}, {}
        for key in pairs(v) do keys[#keys + 1] = key end
        table.sort(keys)
        for _, key in ipairs(keys) do out[#out + 1] = key .. "=" .. show(v[key]) end
        return "{" .. table.concat(out, ", ") .. "}"
    end
    return show(value)
end
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    locations = "".join(
        f"location /{name} {{ content_by_lua_block {{ local show, spawn = require 'show', require('ngx.pipe').spawn\n{code} }} }}\n"
        for name, code in _CODE.items()
    )
    conf = http(
        'lua_package_path "$prefix/lua/?.lua;;"; server { listen {port}; '
        + locations
        + """location /log { return 200; log_by_lua_block {
            local p = require("ngx.pipe").spawn({"true"})
            p:wait()
        } } }"""
    )
    with Server(conf, {"lua/show.lua": _SHOW}) as running:
        yield running


@pytest.mark.parametrize("name", _ANSWERS)
def test_pipe(server: Server, name: str) -> None:
    assert request(server, "GET", f"/{name}").body.decode() == _ANSWERS[name]


def test_what_cannot_be_executed_is_logged(server: Server) -> None:
    request(server, "GET", "/missing")
    expected = (
        "[error] .* lua pipe child execvp() failed while executing no-such-program (2: No such file or directory)"
    )
    lines = [line for line in server.error_log() if "execvp()" in line]
    assert lines and lines[-1].endswith(expected.partition(".* ")[2])


def test_a_process_that_lua_forgets_is_killed(server: Server) -> None:
    pid = int(request(server, "GET", "/pid").body)
    request(server, "GET", "/collect")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_waiting_needs_a_phase_that_may_wait(server: Server) -> None:
    request(server, "GET", "/log")
    text = "\n".join(server.error_log())
    assert "log_by_lua(nginx.conf:" in text
    assert "API disabled in the context of log_by_lua*" in text
