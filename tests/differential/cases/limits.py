"""limit_req and limit_conn, at rates so low that no time passes between requests.

https://nginx.org/en/docs/http/ngx_http_limit_req_module.html, https://nginx.org/en/docs/http/ngx_http_limit_conn_module.html
"""

from __future__ import annotations

from harness import http

from ..case import INFOS, Case, get

_REQ = {
    "one": "limit_req zone=one;",
    "burst": "limit_req zone=burst burst=2 nodelay;",
    "key": "limit_req zone=key;",
    "two": "limit_req zone=two-a burst=1 nodelay; limit_req zone=two-b;",
    "status": "limit_req zone=status; limit_req_status 429; limit_req_log_level warn;",
    "dry": "limit_req zone=dry; limit_req_dry_run on;",
    "delay": "limit_req zone=fast burst=5;",
    "delay-some": "limit_req zone=fast2 burst=5 delay=2; limit_req_log_level info;",
    "rewritten": "limit_req zone=again;",
}
_CONN = {
    "conn": "limit_conn conn 1;",
    "conn-two": "limit_conn conn2 2; limit_conn_status 444; limit_conn_log_level notice;",
    "conn-dry": "limit_conn conn3 1; limit_conn_dry_run on;",
}
_ZONES = ("one", "burst", "two-a", "two-b", "status", "dry", "again")

CASES = (
    Case(
        "limits",
        http(
            f"""
    {chr(10).join(f"limit_req_zone $binary_remote_addr zone={name}:1m rate=1r/m;" for name in _ZONES)}
    limit_req_zone $arg_k zone=key:64k rate=1r/m;
    limit_req_zone $uri zone=fast:1m rate=100r/s; limit_req_zone $uri zone=fast2:1m rate=200r/s;
    limit_conn_zone $server_name zone=conn:1m; limit_conn_zone $server_name zone=conn2:1m;
    limit_conn_zone $server_name zone=conn3:1m;
    server {{ listen {{port}}; default_type text/plain; server_name name;
    {
                chr(10).join(
                    f"location = /{name} {{ {code} content_by_lua_block {{ ngx.say(ngx.var.limit_req_status) }} }}"
                    for name, code in _REQ.items()
                )
            }
    {
                chr(10).join(
                    f"location = /{name} {{ {code} content_by_lua_block {{ local res = ngx.location.capture('/in-{name}') "
                    "ngx.say(ngx.var.limit_conn_status, ' ', res.status) } }"
                    f"location = /in-{name} {{ {code} content_by_lua_block {{ ngx.say(ngx.var.limit_conn_status) }} }}"
                    for name, code in _CONN.items()
                )
            }
    location = /none {{ content_by_lua_block {{ ngx.say(ngx.var.limit_req_status, ngx.var.limit_conn_status) }} }}
    location = /redirect {{ limit_req zone=again; rewrite ^ /rewritten last; }}
    }}"""
        ),
        (
            *(get(f"/{name}", name=f"{name} {n}") for name in _REQ if "delay" not in name for n in range(4)),
            *(get(f"/key?k={k}", name=f"key {k} {n}") for k in ("", "a", "b") for n in range(2)),
            *(get(f"/{name}", name=f"{name} {n}") for name in _CONN for n in range(2)),
            get("/none"),
            get("/redirect"),
        ),
        levels=INFOS,
        mask=((r"excess: \d\.\d{3}", "excess: N"),),
    ),
)
