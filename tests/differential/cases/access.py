"""allow, deny, auth_basic and satisfy.

https://nginx.org/en/docs/http/ngx_http_access_module.html, https://nginx.org/en/docs/http/ngx_http_auth_basic_module.html
"""

from __future__ import annotations

from base64 import b64encode

from harness import http

from ..case import INFOS, Case, get

#: The password of each user is "secret".
_USERS = """# comment
plain:{PLAIN}secret
sha:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=
ssha:{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0
apr1:$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/
md5:$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1
sha512:$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.
des:abNANd1rDfiNc:comment
noted:{PLAIN}secret:a comment
unknown:garbage
empty:

crlf:{PLAIN}secret\r
last:{PLAIN}secret"""

_NAMES = ("plain", "sha", "ssha", "apr1", "md5", "sha512", "des", "noted", "unknown", "empty", "crlf", "last", "nobody")


def _basic(user: str, password: str = "secret") -> tuple[tuple[str, str], ...]:
    return (("Authorization", "Basic " + b64encode(f"{user}:{password}".encode()).decode()),)


_LOCATIONS = {
    "allowed": "allow 127.0.0.1; deny all;",
    "denied": "deny 127.0.0.1;",
    "all": "allow all; deny all;",
    "none": "deny all;",
    "network": "allow 127.0.0.0/8; deny all;",
    "network-meaningless": "allow 127.0.0.77/8; deny all;",
    "other-network": "allow 10.0.0.0/8; deny all;",
    "every": "allow 0.0.0.0/0; deny all;",
    "six": "deny ::1; deny ::/0; allow unix:; return 200 '';",
    "unix": "deny unix:;",
    "order": "deny 10.0.0.1; allow 127.0.0.0/24; deny 127.0.0.1;",
    "basic": 'auth_basic "the realm"; auth_basic_user_file users;',
    "basic-off": "auth_basic off; auth_basic_user_file users;",
    "basic-variable": "auth_basic $arg_realm; auth_basic_user_file $arg_file;",
    "basic-missing": "auth_basic r; auth_basic_user_file none;",
    "basic-folder": "auth_basic r; auth_basic_user_file {prefix}/conf;",
    "both": "allow 127.0.0.1; deny all; auth_basic r; auth_basic_user_file users;",
    "any-allowed": "satisfy any; allow 127.0.0.1; deny all; auth_basic r; auth_basic_user_file users;",
    "any-denied": "satisfy any; deny all; auth_basic r; auth_basic_user_file users;",
    "any-lua": "satisfy any; deny all; access_by_lua_block { if ngx.var.arg_a then return ngx.exit(ngx.OK) end }",
    "any-later": "satisfy any; auth_basic r; auth_basic_user_file users; access_by_lua_block { return ngx.exit(ngx.OK) }",
    "all-lua": "satisfy all; deny all; access_by_lua_block { return ngx.exit(ngx.OK) }",
    "all-lua-after": "allow all; access_by_lua_block { return ngx.exit(403) }",
}

_CONF = "\n".join(f"location /{name} {{ {code} }}" for name, code in _LOCATIONS.items())

CASES = (
    Case(
        "access",
        http(
            f"""server {{ listen {{port}}; root html; default_type text/plain; {_CONF}
            location /user {{ return 200 "$remote_user|"; }}
            location /except {{ limit_except GET {{ deny all; }} }}
            location /inherited {{ deny all; location /inherited/own {{ allow all; }} location /inherited/not {{ }} }}
            location /page {{ deny all; error_page 403 = /shown; }}
            location /shown {{ return 200 "shown"; }}
            location /capture {{ content_by_lua_block {{
                ngx.say(ngx.location.capture("/none").status, " ", ngx.location.capture("/basic").status) }} }}
        }}"""
        ),
        (
            *(get(f"/{name}") for name in _LOCATIONS if not name.startswith(("basic", "six"))),
            get("/any-lua?a=1"),
            *(get(f"/basic?{name}", _basic(name)) for name in _NAMES),
            *(get(f"/basic?{name}&wrong", _basic(name, "wrong")) for name in _NAMES),
            get("/basic"),
            get("/basic?bearer", (("Authorization", "Bearer x"),)),
            get("/basic?nothing", (("Authorization", "Basic"),)),
            get("/basic?blank", (("Authorization", "Basic  "),)),
            get("/basic?bad", (("Authorization", "Basic !!!"),)),
            get("/basic?short", (("Authorization", "Basic abcde"),)),
            get("/basic?no-colon", (("Authorization", "Basic " + b64encode(b"user").decode()),)),
            get("/basic?no-user", _basic("")),
            get("/basic?small", (("Authorization", "basic   " + b64encode(b"plain:secret").decode()),)),
            get("/basic-off"),
            get("/basic-variable?realm=x&file=users", _basic("plain")),
            get("/basic-variable?realm=x&file=users", _basic("plain", "no")),
            get("/basic-variable?realm=off&file=users"),
            get("/basic-missing", _basic("plain")),
            get("/basic-folder", _basic("plain")),
            get("/both", _basic("plain")),
            get("/any-denied", _basic("plain")),
            get("/any-denied", _basic("plain", "no")),
            get("/user", _basic("someone")),
            get("/user", _basic("", "x")),
            get("/user"),
            get("/except"),
            get("/except", method="HEAD"),
            get("/except", method="POST", body=b"x"),
            get("/inherited/a"),
            get("/inherited/own"),
            get("/inherited/not"),
            get("/page"),
            get("/capture"),
        ),
        {"conf/users": _USERS, **{f"html/{name}": name for name in (*_LOCATIONS, "except", "inherited/own")}},
        levels=INFOS,
    ),
)
