"""least_conn and ip_hash: which peer is asked, in order, with weights, failures and backups.

https://nginx.org/en/docs/http/ngx_http_upstream_module.html#least_conn
"""

from __future__ import annotations

from harness import http

from ..case import Case, get

_SERVERS = {
    "plain": "server 127.0.0.1:{port2}; server 127.0.0.1:{port3}; server 127.0.0.1:{port4};",
    "weights": "server 127.0.0.1:{port2} weight=3; server 127.0.0.1:{port3}; server 127.0.0.1:{port4} weight=2;",
    "more-weights": "server 127.0.0.1:{port2} weight=7; server 127.0.0.1:{port3} weight=11; server 127.0.0.1:{port4} weight=13;",
    "down": "server 127.0.0.1:{port2}; server 127.0.0.1:{port3} down; server 127.0.0.1:{port4};",
    "dead": "server 127.0.0.1:{dead}; server 127.0.0.1:{port3}; server 127.0.0.1:{port4};",
    "dead-last": "server 127.0.0.1:{port3}; server 127.0.0.1:{port4}; server 127.0.0.1:{dead} weight=5;",
    "all-dead": "server 127.0.0.1:{dead}; server 127.0.0.1:{dead2};",
    "one": "server 127.0.0.1:{port3};",
    "backup": "server 127.0.0.1:{dead}; server 127.0.0.1:{port3} backup; server 127.0.0.1:{port4} backup;",
}
_METHODS = {"least_conn": tuple(_SERVERS), "ip_hash": tuple(name for name in _SERVERS if name != "backup")}
_NAMES = [f"{method}-{name}" for method, names in _METHODS.items() for name in names]

CASES = (
    Case(
        "upstream-balancing",
        http(
            'proxy_http_version 1.1; proxy_set_header Connection "";\n'
            + "\n".join(
                f"upstream {method}-{name} {{ {method}; {_SERVERS[name]} }}"
                for method, names in _METHODS.items()
                for name in names
            )
            + "\nserver { listen {port}; add_header X-Upstream $upstream_addr;"
            + "\n".join(f"location /{name} {{ proxy_pass http://{name}; }}" for name in _NAMES)
            + "}\n"
            + "\n".join(
                f"server {{ listen {{port{number}}}; access_log off; location / {{ return 200 {number}; }} }}"
                for number in (2, 3, 4)
            )
        ),
        asks=tuple(get(f"/{name}", name=f"{name} {number}") for name in _NAMES for number in range(8)),
    ),
)
