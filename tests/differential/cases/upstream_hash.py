"""hash, with and without consistent, and random: which peer a key stands for, and which ones are tried after it.

Nobody listens at these addresses, so ``$upstream_addr`` shows the whole order. Points of the consistent hash come from
the addresses as they are written, so these are fixed.

https://nginx.org/en/docs/http/ngx_http_upstream_module.html#hash
"""

from __future__ import annotations

from harness import http

from ..case import Case, get

_SERVERS = {
    "plain": "server 127.0.0.2:1 max_fails=0; server 127.0.0.3:1 max_fails=0; server 127.0.0.4:1 max_fails=0;",
    "weights": "server 127.0.0.2:1 weight=5 max_fails=0; server 127.0.0.3:7 weight=2 max_fails=0; server 127.0.0.4:9 max_fails=0;",
    "unix": "server unix:/nowhere/a max_fails=0; server unix:/nowhere/b max_fails=0; server unix:/nowhere/c max_fails=0;",
    "down": "server 127.0.0.2:1 down; server 127.0.0.3:1 max_fails=0; server 127.0.0.4:1 weight=3 max_fails=0;",
    "twice": "server 127.0.0.2:1 max_fails=0; server 127.0.0.2:1 max_fails=0; server 127.0.0.3:1 max_fails=0;",
    "failing": "server 127.0.0.2:1; server 127.0.0.3:1; server 127.0.0.4:1 max_fails=2;",
    "one": "server 127.0.0.2:1;",
}
_METHODS = {"hash": "hash $arg_key;", "consistent": "hash $arg_key consistent;"}
_NAMES = [f"{method}-{name}" for method in _METHODS for name in _SERVERS]
_KEYS = ("a", "b", "c", "key", "another", "", "", "1", "2", "3", "/some/long/path", "%C3%A4")

CASES = (
    Case(
        "upstream-hash",
        http(
            "\n".join(
                f"upstream {method}-{name} {{ {directive} {servers} }}"
                for method, directive in _METHODS.items()
                for name, servers in _SERVERS.items()
            )
            + "\nupstream random { random; server 127.0.0.2:1; server 127.0.0.3:1 down; }"
            + "\nupstream random-two { random two least_conn; server 127.0.0.2:1 down; server 127.0.0.3:1; }"
            + "\nserver { listen {port}; add_header X-Upstream $upstream_addr always;"
            + "\n".join(
                f"location /{name} {{ proxy_pass http://{name}; }}" for name in (*_NAMES, "random", "random-two")
            )
            + "}\n"
        ),
        asks=(
            *(get(f"/{name}?key={key}") for name in _NAMES for key in _KEYS),
            *(get(f"/{name}") for name in ("random", "random-two") for _ in range(2)),
        ),
    ),
)
