"""userid: which cookies are given, taken, marked and reset. https://nginx.org/en/docs/http/ngx_http_userid_module.html"""

from __future__ import annotations

from harness import http

from ..case import NOTICES, Case, get
from .echo import MODULES

_SHOW = 'return 200 "[$uid_got][$uid_set][$uid_reset]";'
_LOCATIONS = {
    "on": "userid on;",
    "v1": "userid v1; userid_name ID;",
    "v1-service": "userid v1; userid_service 5;",
    "service": "userid on; userid_service 258;",
    "attributes": "userid on; userid_domain example.com; userid_path /x; userid_expires max; userid_p3p 'policyref=\"/a\"';",
    "none": "userid on; userid_domain none; userid_p3p none; userid_expires off; userid_flags off; userid_mark off;",
    "flags": "userid on; userid_flags secure httponly samesite=lax;",
    "strict": "userid on; userid_flags samesite=strict;",
    "lax": "userid on; userid_flags samesite=none;",
    "mark": "userid on; userid_mark z; userid_expires 1d;",
    "mark-equals": "userid on; userid_mark =;",
    "log": "userid log;",
    "off": "userid off;",
    "reset": "userid on; set $uid_reset $arg_r;",
}
_COOKIES = (
    "",
    "uid=fwAAAWdZ1ZVEYgB5AwMEAg==",
    "uid=fwAAAWdZ1ZVEYgB5AwMEAgz=",
    "a=1; UID=fwAAAWdZ1ZVEYgB5AwMEAg",
    "id=BQAAAGdZ1ZVEYgB5AQAAAA==",
    "uid=short",
    "uid=fwAAAWdZ1ZVE!!!!AwMEAg==",
    "uid=fwAAAWdZ1ZVEYgB5AAAAAA==",
)

CASES = (
    Case(
        "userid",
        http(
            "server { listen {port}; default_type text/plain;\n"
            + "\n".join(f"location = /{name} {{ {code} {_SHOW} }}" for name, code in _LOCATIONS.items())
            + f"""
            location = /error {{ userid on; error_page 404 /on; return 404; }}
            location = /missing {{ userid on; return 404; }}
            location = /sub {{ userid on; echo_location /on; echo "[$uid_got][$uid_set]"; }}
            location = /lua {{ userid on; content_by_lua_block {{ ngx.say(ngx.var.uid_set == ngx.var.uid_set) }} }}
            location /outer {{ userid on; userid_name outer; location /outer/in {{ userid_path /in; {_SHOW} }} }}
            }}"""
        ),
        (
            *(
                get(f"/{name}", (("Cookie", cookie),) if cookie else (), name=f"/{name} with {cookie}")
                for name in _LOCATIONS
                if name != "reset"
                for cookie in _COOKIES
            ),
            *(get(f"/reset?r={value}", (("Cookie", _COOKIES[1]),)) for value in ("", "0", "1", "00", "log")),
            *(get(path) for path in ("/error", "/missing", "/sub", "/lua", "/outer/in")),
            get("/sub", (("Cookie", _COOKIES[1]),), name="/sub with a cookie"),
        ),
        levels=NOTICES,
        # when it was made, and the process
        mask=(
            (r"(=[0-9A-F]{8})[0-9A-F]{16}(?=[0-9A-F]{8})", r"\1TIME"),
            (r"(=[\w+/]{5})[\w+/]{11}(?=[\w+/]{6})", r"\1TIME"),
            (r"\w{3}, \d\d-\w{3}-2\d [\d:]{8} GMT", "DATE"),
        ),
        modules=MODULES,
    ),
)
