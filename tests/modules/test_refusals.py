"""What the modules refuse at start, in the words of the reference server."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from harness import MODULES, REFERENCE, Server, http

from pyresty.config.build import Options, load
from pyresty.config.errors import ConfigError

#: Inside ``http``.
_HTTP = (
    "map $uri { }",
    "map $uri variable { a 1; }",
    "map $uri $uri { a 1; }",
    "map $uri $m { a; }",
    "map $uri $m { a 1 2; }",
    "map $uri $m { a 1; A 2; }",
    "map $uri $m { default 1; default 2; }",
    "map $uri $m { hostnames; *.*.com 1; }",
    "map $uri $m { hostnames; .a 1; a 2; }",
    "map $none $m { a 1; } server { return 200 $m; }",
    "geo variable { }",
    "geo $uri { default 1; }",
    "geo $g { 10.0.0.0/33 1; }",
    "geo $g { 10.0.0.x 1; }",
    "geo $g { 10.0.0.1; }",
    "geo $g { ranges; 10.0.0.0/8 1; }",
    "geo $g { ranges; 10.0.0.5-10.0.0.1 1; }",
    "geo $g { ranges; 10.0.0.1-10.0.0.5 1; 10.0.0.3-10.0.0.9 2; }",
    "geo $g { 10.0.0.0/8 1; ranges; }",
    "geo $g { proxy bad; }",
    "split_clients $uri $s { 0% a; }",
    "split_clients $uri $s { 50 a; }",
    "split_clients $uri $s { x% a; }",
    "split_clients $uri $s { 1.234% a; }",
    "split_clients $uri $s { 60% a; 50% b; }",
    "split_clients $uri s { * b; }",
    "charset_map koi8-r koi8-r { }",
    "charset_map koi8-r utf-8 { C1; }",
    "charset_map koi8-r utf-8 { XX D0B0; }",
    "charset_map koi8-r windows-1251 { C1 D0B0; }",
    "charset_map koi8-r utf-8 { } charset_map koi8-r utf-8 { }",
    "gzip maybe;",
    "gzip on; gzip on;",
    "gzip_comp_level 10;",
    "gzip_comp_level x;",
    "gzip_http_version 2;",
    "gzip_proxied sometimes;",
    "gzip_min_length x;",
    "gzip_static sometimes;",
    "sub_filter '' x;",
    "sub_filter a;",
    "real_ip_header a; real_ip_header b;",
    "autoindex_format text;",
    "allow 10.0.0.0/40;",
    "deny nobody;",
    "auth_basic a; auth_basic b;",
    "auth_basic_user_file a; auth_basic_user_file b;",
    "empty_gif;",
    "limit_req_zone $uri zone=a rate=1r/s;",
    "limit_req_zone $uri zone=a:1k rate=1r/s;",
    "limit_req_zone $uri zone=a:x rate=1r/s;",
    "limit_req_zone $uri zone=a:1m rate=1r/h;",
    "limit_req_zone $uri zone=a:1m rate=0r/s;",
    "limit_req_zone $uri zone=a:1m x;",
    "limit_req_zone $uri zone=a:1m rate=1r/s; limit_req_zone $args zone=a:1m rate=1r/s;",
    "limit_req zone=a:1m;",
    "limit_req burst=1;",
    "limit_req zone=a burst=0;",
    "limit_req zone=a delay=x;",
    "limit_req zone=a x;",
    "limit_req_status 200;",
    "limit_req_log_level debug;",
    "limit_conn_zone $uri zone=a;",
    "limit_conn_zone $uri a;",
    "limit_conn_zone $uri zone=a:1m; limit_conn_zone $args zone=a:1m;",
    "limit_conn a 0;",
    "limit_conn a 65536;",
    "limit_conn a 1; limit_conn a 2;",
    "limit_conn_status 600;",
    "random_index on;",
    "server { location ~ ( { } }",
    "server { location ~ 'a[b' { } }",
    "server { location ~ '(?<uri>a)' { } }",
    "server { location ~* 'a(?<b-c>d)' { } }",
    "server { server_name ~(?<a; }",
    "server { if ($uri ~ '(?<host>x)') { } }",
    "server { rewrite a( b; }",
    "map $uri $m { ~(?<status>x) 1; }",
    "upstream u { hash; server 127.0.0.1; }",
    "upstream u { hash $uri inconsistent; server 127.0.0.1; }",
    "upstream u { hash $nothing; server 127.0.0.1; }",
    "upstream u { hash $uri; server 127.0.0.1; server 127.0.0.2 backup; }",
    "upstream u { random one; server 127.0.0.1; }",
    "upstream u { random two most_conn; server 127.0.0.1; }",
    "upstream u { random two least_conn again; server 127.0.0.1; }",
    "upstream u { random; server 127.0.0.1; server 127.0.0.2 backup; }",
    "hash $uri;",
    "modern_browser lynx 1.0;",
    "modern_browser msie 5.x;",
    "ancient_browser;",
    "userid maybe;",
    "userid on; userid on;",
    "userid_service x;",
    "userid_expires x;",
    "userid_expires 1h; userid_expires 2h;",
    "userid_mark long;",
    "userid_mark -;",
    "userid_mark a; userid_mark b;",
    "userid_flags secure sometimes;",
    "userid_name a; userid_name b;",
)
#: Inside ``location``.
_LOCATION = (
    "valid_referers none;",
    "valid_referers ~;",
    "valid_referers a.example a.example;",
    "valid_referers *.*.example;",
    "secure_link $a; secure_link_md5 b; secure_link_secret c;",
    "empty_gif x;",
    "random_index maybe;",
    "set $memcached_key a; memcached_pass 127.0.0.1:x;",
    "set $memcached_key a; memcached_pass nobody;",
    "set $memcached_key a; memcached_pass 127.0.0.1:1; memcached_pass 127.0.0.1:2;",
    "memcached_pass 127.0.0.1:1;",
    "memcached_pass nobody;",
    "map $uri $m { a 1; }",
    "geo $g { }",
)


def _reference(conf: str) -> str:
    server = Server(conf, reference=True)
    try:
        done = server.run("-t")
        assert done.returncode != 0, done.stdout + done.stderr
        first = next(line for line in done.stderr.splitlines() if "[emerg]" in line)
        return first.partition("[emerg] ")[2].replace(str(server.prefix), "")
    finally:
        server.close()


def _ours(conf: str) -> str:
    server = Server(conf)
    try:
        server.prepare()
        with pytest.raises(ConfigError) as refused:
            load(Options(conf=str(server.prefix / "conf/nginx.conf"), prefix=str(server.prefix)))
        return refused.value.message
    finally:
        server.close()


def _both(conf: str) -> None:
    # where a block ends, and where it begins, are both good places
    assert _ours(conf) == re.sub(r" in /conf/nginx.conf:\d+$", "", _reference(conf))


reference = pytest.mark.skipif(
    not Path(REFERENCE).exists() or os.geteuid() != 0,
    reason=f"no reference server to compare with ({REFERENCE}, which checks a configuration only for root)",
)


@reference
@pytest.mark.parametrize("text", _HTTP)
def test_in_http(text: str) -> None:
    """The same complaint as the reference's."""
    _both(http(text))


@reference
@pytest.mark.parametrize("text", _LOCATION)
def test_in_location(text: str) -> None:
    """The same complaint as the reference's."""
    _both(http(f"server {{ listen {{port}}; location / {{ {text} }} }}"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("more_set_headers -x 'A: b';", 'more_set_headers: invalid option name: "-x"'),
        ("more_clear_headers -a A;", 'more_clear_headers: invalid option name: "-a"'),
        ("more_set_input_headers -s 200 'A: b';", 'more_set_input_headers: invalid option name: "-s"'),
        ("more_set_headers 'A: b' -t;", "more_set_headers: option -t takes an argument."),
        ("more_set_headers -s 20x 'A: b';", 'more_set_headers: invalid digit "x" found in the status code list "20x"'),
        ("more_set_headers ' ';", "more_set_headers: no key found in the header argument:  "),
        ("more_clear_headers '*';", "more_clear_headers: wildcard key too short: *"),
        ("more_set_headers -a 'Server: x';", 'more_set_headers: can not append builtin headers "Server"'),
        ("set_hashed_upstream $a none b;", 'set_hashed_upstream: upstream list "none" not defined yet'),
        ("set_base32_alphabet abc;", '"set_base32_alphabet" directive takes an alphabet of 3 bytes but 32 expected'),
        ("set_md5 a b;", 'invalid variable name "a"'),
        ("set_md5 $uri x;", 'the duplicate "uri" variable'),
        ("array_split , $a 3 b;", 'array_split: expecting the "to" option at the 4th argument: "b"'),
        ("array_join , $a b;", 'array_join: unexpected argument "b"'),
        ("real_ip_header proxy_protocol;", '"real_ip_header proxy_protocol" is not supported by pyresty yet'),
    ],
)
def test_ours(text: str, message: str) -> None:
    """Complaints that the reference makes in another form, or does not make at all."""
    assert _ours(http(f"server {{ listen {{port}}; location / {{ {text} }} }}")) == message


def test_map_from_utf8() -> None:
    """The reference is too old to say so."""
    message = '"charset_map" with "utf-8" charset should be given in the second column'
    assert _ours(http("charset_map utf-8 koi8-r { }")) == message


@pytest.mark.parametrize("name", MODULES.glob("*headers_more*"), ids=lambda path: path.name)
def test_load_module(name: Path) -> None:
    """A configuration that loads the module as a library is taken as it is."""
    server = Server(http("server { listen {port}; more_set_headers 'A: b'; }", main=f"load_module {name};"))
    try:
        assert server.run("-t").returncode == 0
    finally:
        server.close()
