"""Writes lua-api.md: what of lua-nginx-module is there, found out by asking the code.

Directives are looked up in the modules' tables, functions in a Lua VM, as a user's code would find them; only the names of the
functions (the headings of lua-nginx-module's documentation and of lua-resty-core's modules) and what differs are written down here.

    python docs/make_lua_api.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from pyresty.config import known
from pyresty.config.build import Options, load
from pyresty.modules import load_modules
from pyresty.process.shared_memory import open_zones

PAGE = Path(__file__).parent / "lua-api.md"

FUNCTIONS = {
    "Request": "ngx.arg ngx.var ngx.ctx ngx.status ngx.header ngx.headers_sent ngx.is_subrequest ngx.get_phase",
    "ngx.req": "is_internal start_time http_version raw_header get_method set_method set_uri set_uri_args get_uri_args get_post_args "
    "get_headers set_header clear_header read_body discard_body get_body_data get_body_file set_body_data set_body_file init_body "
    "append_body finish_body socket",
    "ngx.resp": "get_headers",
    "ngx": "print say log flush eof send_headers exit exec redirect sleep on_abort run_worker_thread escape_uri unescape_uri encode_args "
    "decode_args encode_base64 decode_base64 decode_base64mime crc32_short crc32_long hmac_sha1 md5 md5_bin sha1_bin quote_sql_str "
    "today time now update_time localtime utctime cookie_time http_time parse_http_time",
    "ngx.location": "capture capture_multi",
    "ngx.re": "match find gmatch sub gsub",
    "ngx.shared.DICT": "get get_stale set safe_set add safe_add replace delete incr lpush lpop rpush rpop llen ttl expire flush_all "
    "flush_expired get_keys capacity free_space",
    "ngx.socket": "tcp udp stream connect",
    "tcpsock": "bind connect getfd setclientcert settrustedstore sslhandshake getsslpointer getsslctx getsslsession send receive "
    "receiveany receiveuntil close settimeout settimeouts setoption setkeepalive getreusedtimes",
    "udpsock": "bind setpeername send receive close settimeout",
    "ngx.thread": "spawn wait kill",
    "coroutine": "create resume yield wrap running status",
    "ngx.timer": "at every running_count pending_count",
    "ngx.config": "subsystem debug prefix nginx_version nginx_configure ngx_lua_version",
    "ngx.worker": "exiting pid pids count id",
    "ndk.set_var": "set_escape_uri set_unescape_uri set_md5 set_quote_sql_str",
    "Modules": "ngx.balancer ngx.base64 ngx.errlog ngx.ocsp ngx.pipe ngx.process ngx.re ngx.req ngx.resp ngx.semaphore ngx.ssl "
    "ngx.ssl.clienthello ngx.ssl.proxysslcert ngx.ssl.proxysslverify ngx.ssl.session cjson cjson.safe resty.core resty.lrucache "
    "resty.string resty.http table.new table.clear table.clone table.isempty table.isarray table.nkeys",
}

#: What is there and differs, or isn't and why. Keys are names as in the page.
NOTES: dict[str, str] = {
    "lua_load_resty_core": "only warns: `resty.core` is always loaded, and always ours",
    "lua_malloc_trim": "off unless given; OpenResty trims every 1000 requests",
    "lua_shared_dict": "Linux only: it needs robust mutexes that processes share. A worker killed in the middle of a change leaves a whole "
    "dictionary; at most the entry being written is lost",
    "lua_upstream_skip_openssl_default_verify": "sessions are not resumed then",
    "proxy_ssl_certificate_by_lua_block": "runs before the handshake, even if the server asks for no certificate",
    "proxy_ssl_certificate_by_lua_file": "runs before the handshake, even if the server asks for no certificate",
    "proxy_ssl_verify_by_lua_block": "what Lua refuses always ends the connection",
    "proxy_ssl_verify_by_lua_file": "what Lua refuses always ends the connection",
    "ssl_certificate_by_lua_block": "runs before the handshake, so for resumed sessions too",
    "ssl_certificate_by_lua_file": "runs before the handshake, so for resumed sessions too",
    "header_filter_by_lua_block": "a filter that fails closes the connection without an answer",
    "body_filter_by_lua_block": "each print passes the filter at once; inside a C callback (`string.gsub`) it is gathered first",
    "ngx.location.capture": "what locations with `echo_location*` or `echo_subrequest*` print is lost, as in OpenResty",
    "ngx.socket.tcp": "without `resolver` names are looked up by the system; OpenResty gives an error",
    "ngx.socket.udp": "without `resolver` names are looked up by the system; OpenResty gives an error",
    "ngx.req.socket": "a chunked body is refused, as in OpenResty",
    "ngx.run_worker_thread": "a table as the key of a table is refused; the module is loaded in the thread",
    "tcpsock:settrustedstore": "sessions are not resumed then",
    "tcpsock:sslhandshake": "a certificate that fails verification ends the handshake; OCSP stapling is refused",
    "ngx.balancer": "`set_upstream_tls(true)` needs a `proxy_pass` that names https://",
    "ngx.ocsp": "raises by name: Python's `ssl` cannot send OCSP responses",
    "ngx.ssl": "`export_keying_material_early` raises by name; `get_req_ssl_pointer` has nothing to give before the handshake",
    "ngx.ssl.proxysslverify": "`get_verify_cert` raises by name",
    "ngx.pipe": "`buffer_size` has no effect",
    "ngx.process": "the number given to `enable_privileged_agent` has no effect",
    "resty.lrucache": "`resty.lrucache.pureffi` is the same cache",
    "resty.core": "nginx's C functions (`ngx_http_lua_ffi_…`) do not exist, so other people's FFI bindings to them fail",
}

_CONF = """
events {}
http {
    lua_shared_dict d 1m;
    init_by_lua_block { }
    server { listen 127.0.0.1:1; }
}
"""

#: Whether a name is there: "yes", "refused" (it raises, and says that it is not supported), "no".
_PROBE = b"""
return function(rt, group, name)
    rt.r = rt.new_state()
    rt.r.phase = "content"
    local found
    if group == "Modules" then
        found = pcall(require, name)
    else
        local full = name
        if group == "tcpsock" then full = "ngx.socket.tcp()." .. name
        elseif group == "udpsock" then full = "ngx.socket.udp()." .. name
        elseif group == "ngx.shared.DICT" then full = "ngx.shared.d." .. name
        elseif group ~= "Request" then full = group .. "." .. name
        else found = true end
        if found == nil then
            local ok, value = pcall(loadstring("return " .. full))
            found = ok and value ~= nil
        end
        name = full
    end
    rt.r = nil
    return rt.unsupported[name] and "refused" or found and "yes" or "no"
end
"""


def config() -> Any:
    """A configuration with Lua in it."""
    with tempfile.TemporaryDirectory() as prefix:
        path = Path(prefix, "nginx.conf")
        path.write_text(_CONF)
        found = load(Options(conf=str(path), prefix=prefix))
    open_zones(found.shared_memory, {})
    found.master_init()
    return found


def directives() -> list[tuple[str, str, str]]:
    """Name, answer and note of each directive of lua-nginx-module."""
    there = {directive.name: directive for module in load_modules() for directive in module.directives}
    rows = []
    for name in sorted(known.names()):
        found = known.lookup(name)
        assert found is not None
        if "http_lua" not in found.modules and "ngx_http_lua_module" not in found.modules:
            continue
        answer, note = "no", NOTES.get(name, "refused by name when the server starts")
        directive = there.get(name)
        if directive is not None:
            answer, note = "yes", NOTES.get(name, "")
            said = getattr(directive.set, "__doc__", None) or ""
            for kind in ("refused", "no effect"):
                if said.startswith(f"{kind}: "):
                    answer, note = ("no" if kind == "refused" else "accepted"), said.removeprefix(f"{kind}: ")
        rows.append((name, answer, note))
    return rows


def functions() -> dict[str, list[tuple[str, str, str]]]:
    """The same of each function, by group."""
    vm = config().lua
    probe = vm.runtime.execute(_PROBE)
    groups = {}
    for group, names in FUNCTIONS.items():
        rows = []
        for name in names.split():
            full = (
                name
                if group in ("Request", "Modules")
                else f"{group}:{name}"
                if group.endswith("sock")
                else f"{group}.{name}"
            )
            answer = probe(vm._rt, group.encode(), name.encode()).decode()
            note = NOTES.get(full, "raises by name" if answer == "refused" else "")
            there = answer == "yes" and "raises by name:" not in note and "answers nil" not in note
            rows.append((full, "yes" if there else "no", note))
        groups[group] = rows
    return groups


def table(rows: list[tuple[str, str, str]]) -> list[str]:
    """Markdown."""
    return [
        "| name | supported | |",
        "|---|---|---|",
        *(f"| `{name}` | {answer} | {note} |" for name, answer, note in rows),
    ]


def page() -> str:
    """The whole page."""
    lines = [
        "# lua-nginx-module's directives and functions in pyresty",
        "",
        "Made by `python docs/make_lua_api.py` from the code; the names are those of lua-nginx-module 0.10.32. *accepted* means",
        "that the directive may stand there and nothing follows from it, for the reason given.",
        "",
        "## Directives",
        "",
        *table(directives()),
    ]
    for group, rows in functions().items():
        lines += ["", f"## {group}", "", *table(rows)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
