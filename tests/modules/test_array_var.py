"""Variables that hold arrays. https://github.com/openresty/array-var-nginx-module"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from client import request
from harness import Server, http

CONF = http(
    r"""
    server {
        listen {port};
        default_type text/plain;
        location /split { array_split "$arg_s" "$arg_t" to=$a; array_join "|" $a to=$b; return 200 "$b"; }
        location /most { array_split "," "$arg_t" $arg_n to=$a; array_join "|" $a; return 200 "$a"; }
        location /most-place { set $a "$arg_t"; array_split "," $a 2; array_join "|" $a; return 200 "$a"; }
        location /place { set $a "$arg_t"; array_split "," $a; array_join "-" $a; return 200 "$a"; }
        location /map { array_split "," "$arg_t" to=$a; array_map "[$array_it]" $a; array_join "" $a to=$b; return 200 "$b"; }
        location /map-to { array_split "," "$arg_t" to=$a; array_map "[$array_it]" $a to=$c; array_join "" $a to=$b;
            array_join "" $c to=$d; return 200 "$b $d"; }
        location /map-op { array_split "," "$arg_t" to=$a; array_map_op set_quote_sql_str $a; array_join ", " $a to=$b;
            return 200 "$b"; }
        location /map-op-to { array_split "," "$arg_t" to=$a; array_map_op set_encode_hex $a to=$c; array_join "," $a to=$b;
            array_join "," $c; return 200 "$b $c"; }
        location /passed { array_split "," "$arg_t" to=$a; set $c $a; array_join "+" $c; return 200 "$c [$a]"; }
        location /lua { array_split "," "$arg_t" to=$a; array_join "+" $a to=$b; content_by_lua_block {
            ngx.say(ngx.var.b, " [", ngx.var.a, "]") } }
        location /no-array { set $a "text"; array_join "," $a; return 200 "$a"; }
        location /no-array-map { set $a "text"; array_map "x" $a; return 200 "$a"; }
        location /no-directive { array_split "," "a" to=$a; array_map_op set_nothing $a; return 200 "$a"; }
        location /fails { array_split "," "zz,1" to=$a; array_map_op set_decode_hex $a; return 200 "$a"; }
    }
    """
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(CONF) as running:
        yield running


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/split?s=,&t=a,b,,c", "a|b||c"),
        ("/split?s=ab&t=1ab2ab", "1|2|"),
        ("/split?s=,&t=", ""),
        ("/split?s=&t=abc", "a|b|c"),
        ("/split?s=&t=", ""),
        ("/split?s=x&t=abc", "abc"),
        ("/most?t=a,b,c&n=2", "a|b,c"),
        ("/most?t=a,b,c&n=1", "a,b,c"),
        ("/most?t=a,b,c&n=0", "a|b|c"),
        ("/most?t=a,b,c&n=9", "a|b|c"),
        ("/most-place?t=a,b,c", "a|b,c"),
        ("/place?t=a,b,c", "a-b-c"),
        ("/map?t=a,b,c", "[a][b][c]"),
        ("/map-to?t=a,b", "ab [a][b]"),
        ("/map-op?t=a'b,c", r"'a\'b', 'c'"),
        ("/map-op-to?t=a,b", "a,b 61,62"),
        ("/passed?t=a,b", "a+b []"),
        ("/lua?t=a,b", "a+b []\n"),
    ],
)
def test_value(server: Server, path: str, body: str) -> None:
    """What the variables are in the end."""
    response = request(server.port, "GET", path)
    assert (response.status, response.body.decode()) == (200, body)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/most?t=a&n=x", 'array_split: invalid max items: "x"'),
        ("/no-array", 'array_join: invalid array variable value in the 2nd argument: "text"'),
        ("/no-array-map", 'array_map: invalid array variable value in the 2nd argument: "text"'),
        ("/no-directive", 'array_map_op: directive "set_nothing" not found or does not use ndk_set_var_value'),
        ("/fails", "set_decode_hex: invalid value"),
    ],
)
def test_mistake(server: Server, path: str, message: str) -> None:
    """500, and the error log says why."""
    assert request(server.port, "GET", path).status == 500
    assert message in server.log_text()
