"""Which server block and which location answer a request (ngx_http_core_module: listen, server_name, location)."""

from __future__ import annotations

from harness import http

from ..case import Case, get, wire


def _host(name: str) -> tuple[tuple[str, str], ...]:
    return (("Host", name),)


_NAMES = http(
    r"""
    server { listen 127.0.0.1:{port}; server_name first.example; return 200 "first $server_name"; }
    server { listen 127.0.0.1:{port} default_server; server_name _; return 200 "default $server_name"; }
    server { listen 127.0.0.1:{port}; server_name example.org www.example.org; return 200 "exact $server_name"; }
    server { listen 127.0.0.1:{port}; server_name *.example.org; return 200 "leading $server_name"; }
    server { listen 127.0.0.1:{port}; server_name *.deep.example.org; return 200 "longer leading $server_name"; }
    server { listen 127.0.0.1:{port}; server_name mail.*; return 200 "trailing $server_name"; }
    server { listen 127.0.0.1:{port}; server_name mail.example.*; return 200 "longer trailing $server_name"; }
    server { listen 127.0.0.1:{port}; server_name .dotted.net; return 200 "dotted $server_name"; }
    server { listen 127.0.0.1:{port}; server_name ~^(?<user>\w+)\.users\.test$; return 200 "named $user"; }
    server { listen 127.0.0.1:{port}; server_name ~^(\d+)\.(\d+)\.num$; return 200 "numbered $1 $2"; }
    server { listen 127.0.0.1:{port}; server_name ~^www\d+\.example\.org$; return 200 "regex loses to wildcard"; }
    server { listen 127.0.0.1:{port}; server_name ""; return 200 "empty"; }
    server { listen 127.0.0.1:{port}; server_name "~^quoted(?<n>.{2})$"; return 200 "quoted $n"; }
    server { listen 127.0.0.1:{port}; server_name 127.0.0.1; return 200 "address"; }
    """
)

_HOSTS = (
    "first.example", "FIRST.Example", "first.example:{port}", "first.example:8", "first.example.", "nobody.example",
    "example.org", "EXAMPLE.ORG", "www.example.org", "a.example.org", "a.b.example.org", "a.deep.example.org",
    "deep.example.org", "mail.com", "mail.example.com", "mail.example.org", "mail", "dotted.net", "x.dotted.net",
    "y.x.dotted.net", "xdotted.net", "ann.users.test", "Ann.Users.Test", "a-b.users.test", "12.34.num", "12.x.num",
    "www1.example.org", "quotedxy", "quotedx", "127.0.0.1", "127.0.0.1:{port}", "localhost", "_", "*.example.org",
)  # fmt: skip

_LISTEN = http(
    """
    server { listen 127.0.0.1:{port}; server_name a; return 200 "one:a $server_port"; }
    server { listen 127.0.0.1:{port}; listen 127.0.0.1:{port2} default; server_name b;
        return 200 "both:b $server_port"; }
    server { listen 127.0.0.1:{port2}; server_name c; return 200 "two:c $server_port"; }
    server { listen {port3}; server_name d; return 200 "any:d $server_addr $server_port"; }
    server { listen 127.0.0.1:{port3}; server_name e; return 200 "local:e $server_addr $server_port"; }
    server { listen *:{port3}; server_name f; return 200 "any:f $server_addr"; }
    server { listen unix:{prefix}/s.sock; server_name u; return 200 "unix $server_addr $remote_addr $server_port."; }
    server { listen localhost:{port4} backlog=100 reuseport; return 200 "opts"; }
    """
)

_LOCATIONS = http(
    r"""
    server {
        listen {port};
        location = /exact { return 200 "exact"; }
        location = / { return 200 "root only"; }
        location / { return 200 "root"; }
        location /pre { return 200 "pre"; }
        location /prefix/ { return 200 "prefix/"; }
        location /prefix/longer { return 200 "longer"; }
        location ^~ /static/ { return 200 "no regex"; }
        location ^~ /static/deep { location ~ \.txt$ { return 200 "nested regex"; } return 200 "deep"; }
        location ~ \.txt$ { return 200 "txt $uri"; }
        location ~* \.PNG$ { return 200 "png, any case"; }
        location ~ ^/User/(?<who>[^/]+)/(\d+)$ { return 200 "who=$who 1=$1 2=$2"; }
        location ~ \.t[a-z]t$ { return 200 "second regex"; }
        location ~ "^/brace/\d{3}$" { return 200 "three digits"; }
        location /nested {
            location /nested/a { return 200 "nested a"; }
            location = /nested/exact { return 200 "nested exact"; }
            location ~ b$ { return 200 "nested regex b"; }
            return 200 "nested";
        }
        location /Case { return 200 "Case"; }
        location "/quo ted" { return 200 "quoted"; }
        location /pct%20 { return 200 "percent"; }
        location =/tight { return 200 "tight"; }
        location ~\.tight$ { return 200 "tight regex"; }
    }
    """
)

_PATHS = (
    "/", "/exact", "/exact/", "/exact?x=1", "/exactly", "/pre", "/prefix", "/prefix/", "/prefix/long", "/prefix/longer",
    "/prefix/longer/still", "/static/a.txt", "/static/deep/a.txt", "/static/deep/a", "/static", "/a.txt", "/a.TXT",
    "/a.png", "/a.PnG", "/User/ann/12", "/user/ann/12", "/User/ann/x", "/a.tot", "/brace/123", "/brace/1234",
    "/nested", "/nested/a", "/nested/ab", "/nested/exact", "/nested/exact/", "/nested/b", "/nested/a/b", "/case",
    "/Case/x", "/quo%20ted", "/pct%20", "/pct%2520", "/tight", "/x.tight", "/prefix/longer/x.txt", "/%65xact",
    "/./exact", "/a/../exact", "//exact", "/nested//a", "/exact#fragment", "/a.txt/", "/a.txt%00",
)  # fmt: skip

_INTERNAL = http(
    r"""
    server {
        listen {port};
        location /public { error_page 404 = @fallback; return 404; }
        location @fallback { return 203 "named $uri $args"; }
        location /hidden { internal; return 200 "hidden $uri $args $request_uri"; }
        location /to-hidden { rewrite ^ /hidden?from=rewrite&x=$arg_x last; }
        location /page-hidden { error_page 418 /hidden/418; return 418; }
        location /missing-named { error_page 404 = @nobody; return 404; }
        location /loop { error_page 404 = /loop2; return 404; }
        location /loop2 { rewrite ^ /loop2 last; }
        location /try { try_files /nope @fallback; }
        location /try-hidden { try_files /nope /hidden/try?a=b; }
        location /try-code { try_files /nope =410; }
    }
    """
)

CASES = (
    Case(
        "server-names",
        _NAMES,
        (
            *(get("/", _host(host), name=host) for host in _HOSTS),
            wire("no Host in 1.0", b"GET / HTTP/1.0\r\n\r\n"),
            wire("absolute URI wins over Host", b"GET http://ann.users.test/ HTTP/1.1\r\nHost: first.example\r\n\r\n"),
            wire("absolute URI with port", b"GET http://example.org:99/ HTTP/1.1\r\nHost: first.example\r\n\r\n"),
            wire("absolute URI without path", b"GET http://example.org HTTP/1.1\r\nHost: first.example\r\n\r\n"),
        ),
    ),
    Case(
        "listen",
        _LISTEN,
        tuple(
            get("/", _host(host), port=port, name=f"{port} {host}")
            for port, hosts in {
                "port": "abc",
                "port2": "abc",
                "port3": "def",
                "{prefix}/s.sock": "u",
                "port4": "x",
            }.items()
            for host in hosts
        ),
    ),
    Case("locations", _LOCATIONS, tuple(get(path) for path in _PATHS)),
    Case(
        "internal-and-named",
        _INTERNAL,
        tuple(
            get(path)
            for path in (
                "/public?x=1",
                "/hidden",
                "/hidden?x=1",
                "/to-hidden?x=y",
                "/page-hidden?q=1",
                "/missing-named",
                "/loop",
                "/loop2",
                "/try?z",
                "/try-hidden?z",
                "/try-code",
            )  # fmt: skip
        ),
    ),
)
