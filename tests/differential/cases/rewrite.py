"""ngx_http_rewrite_module, and what it works with: root, alias, index, try_files, error_page.

https://nginx.org/en/docs/http/ngx_http_rewrite_module.html
"""

from __future__ import annotations

from harness import http

from ..case import WARNINGS, Case, get

_SHOW = "$uri?$args"

_REWRITE = http(
    rf"""
    server {{
        listen {{port}};
        set $server_set "at server";
        rewrite ^/server/(\w+)$ /from-server/$1;
        rewrite ^/twice/(.*)$ /half/$1;
        rewrite ^/half/(.*)$ /whole/$1;
        rewrite ^/slast/(.*)$ /whole/last-$1 last;
        rewrite ^/whole/last-(.*)$ /never/$1;
        rewrite ^/sbreak/(.*)$ /whole/break-$1 break;
        rewrite ^/whole/break-(.*)$ /never/$1;
        if ($http_x_if = "yes") {{ return 202 "server if {_SHOW}"; }}

        location / {{ return 200 "root {_SHOW}"; }}
        location /from-server/ {{ return 200 "from-server {_SHOW} $server_set"; }}
        location /whole/ {{ return 200 "whole {_SHOW}"; }}
        location /last/ {{ rewrite ^/last/(.*) /whole/$1?r=1 last; return 500; }}
        location /noargs/ {{ rewrite ^/noargs/(.*) /whole/$1?r=1? last; }}
        location /onlymark/ {{ rewrite ^/onlymark/(.*) /whole/$1? last; }}
        location /break/ {{ rewrite ^/break/(.*) /whole/$1 break; return 200 "break {_SHOW}"; }}
        location /plain/ {{ rewrite ^/plain/(.*) /whole/$1; return 200 "plain {_SHOW}"; }}
        location /fall/ {{ rewrite ^/fall/(.*) /whole/$1; }}
        location /chain/ {{ rewrite ^/chain/(.*) /c1/$1; rewrite ^/c1/(.*) /whole/$1-2; }}
        location /nomatch/ {{ rewrite ^/other /whole; return 200 "nomatch {_SHOW}"; }}
        location /caps/ {{ rewrite "^/caps/(\d{{2}})-(?<name>[^-]+)-?(.*)$" /whole/$3/$name/$1?n=$name&e=$2 last; }}
        location /escape/ {{ rewrite ^/escape/(.*)$ /whole/?q=$1 last; }}
        location /escape2/ {{ rewrite ^/escape2/(.*)$ /whole/x?a=$1&b=$arg_b? last; }}
        location /redirect/ {{ rewrite ^/redirect/(.*)$ /to/$1?k=v redirect; }}
        location /redirect-cut/ {{ rewrite ^/redirect-cut/(.*)$ /to/$1? permanent; }}
        location /https/ {{ rewrite ^/https/(.*)$ https://secure.example/$1; }}
        location /scheme-var/ {{ rewrite ^ $scheme://var.example$request_uri? permanent; }}
        location /relative/ {{ rewrite ^/relative/(.*) $1 last; }}
        location /loop/ {{ rewrite ^ /loop/again last; }}
        location /case/ {{ rewrite (?i)^/CASE/(.*)$ /whole/$1 last; }}
        location /flags/ {{ rewrite ^/flags/(?:x|y)+z /whole/z last; return 200 "no flag"; }}
        location /dollar/ {{ rewrite ^/dollar/(.*)\$$ /whole/$1 last; return 200 "no dollar {_SHOW}"; }}
        location ~ ^/loc/(.+)$ {{ set $kept $1; rewrite ^/loc/(a+) /whole/$1-$kept last; return 200 "kept $kept"; }}
        location /prebreak {{ break; return 200 "not reached"; }}
    }}
    """
)

_REWRITTEN = (
    "/server/abc", "/server/abc?x=1", "/server/a-b", "/twice/x", "/slast/x", "/sbreak/x", "/last/x", "/last/x?y=2",
    "/noargs/x?y=2",
    "/onlymark/x?y=2", "/break/x?y=2", "/plain/x?y=2", "/fall/x", "/chain/x?y", "/nomatch/x?y", "/caps/12-ab-cd",
    "/caps/12-ab",
    "/caps/1-ab", "/caps/12-a%20b-c%3fd", "/escape/a%20b", "/escape/a%26b%3dc", "/escape/a+b%2bc",
    "/escape/%e4%bd%a0?z=1",
    "/escape2/x%26y?b=1%202", "/redirect/a?b=c", "/redirect/a%20b", "/redirect/a%3fb", "/redirect-cut/a?b=c",
    "/https/a?b=c",
    "/https/a%20b", "/scheme-var/x?y=%20z", "/relative/abc", "/relative/", "/loop/x", "/case/X", "/flags/xyxz",
    "/flags/ab",
    "/dollar/x$", "/dollar/x", "/loc/aab", "/loc/bbb", "/prebreak",
)  # fmt: skip

_IF = http(
    r"""
    server {
        listen {port};
        root html;
        location /eq { if ($arg_a = 1) { return 200 "one"; } if ($arg_a = "two words") { return 200 "words"; }
            return 200 "else"; }
        location /ne { if ($arg_a != 1) { return 200 "not one"; } return 200 "one"; }
        location /set { if ($arg_a) { return 200 "true"; } return 200 "false"; }
        location /re { if ($arg_a ~ ^(\w)(\w+)$) { return 200 "$1-$2"; } return 200 "no"; }
        location /rei { if ($arg_a ~* ^ABC) { return 200 "any case"; } return 200 "no"; }
        location /nre { if ($arg_a !~ ^a) { return 200 "no a"; } return 200 "a"; }
        location /nrei { if ($arg_a !~* ^a) { return 200 "no a, A"; } return 200 "a, A"; }
        location /f { if (-f $document_root$uri) { return 200 "file"; } return 200 "no file"; }
        location /nf { if (!-f $document_root/f/$arg_n) { return 200 "no file"; } return 200 "file"; }
        location /d { if (-d $document_root/$arg_n) { return 200 "folder"; } return 200 "no folder"; }
        location /e { if (-e $document_root/$arg_n) { return 200 "there"; } return 200 "not there"; }
        location /x { if (-x $document_root/$arg_n) { return 200 "may run"; } return 200 "may not run"; }
        location /method { if ($request_method = POST) { return 200 "post"; } return 200 "$request_method"; }
        location /cookie { if ($http_cookie ~* "id=([^;]+)(?:;|$)") { set $id $1; } return 200 "id=$id"; }
        location /agent { if ($http_user_agent ~ MSIE) { rewrite ^(.*)$ /msie$1 break; } return 200 "$uri"; }
        location /many {
            set $n "";
            if ($arg_a) { set $n "${n}a"; }
            if ($arg_b) { set $n "${n}b"; }
            if ($n = ab) { return 200 "both"; }
            return 200 "n=$n";
        }
        location /inif { set $x outer; if ($arg_a) { set $x inner; break; set $x never; } return 200 "x=$x"; }
        location /type { default_type text/html; if ($arg_a) { return 200 "html?"; } return 200 "html"; }
        location /static { if ($arg_a) { root other; } }
        location /err { error_page 403 =200 /eq; if ($arg_a) { return 403; } return 200 "fine"; }
        location /nest { location /nest/a { if ($arg_a) { return 200 "nested if"; } return 200 "nested"; }
            return 200 "nest"; }
    }
    """
)

_IF_ASKED = (
    "/eq?a=1", "/eq?a=two%20words", "/eq?a=2", "/eq", "/ne?a=1", "/ne?a=2", "/ne", "/set?a=x", "/set?a=0", "/set?a=00",
    "/set?a=", "/set", "/re?a=abc", "/re?a=a", "/rei?a=abcd", "/rei?a=x", "/nre?a=b", "/nre?a=a", "/nrei?a=A",
    "/nrei?a=b",
    "/f/file", "/f/none", "/f/", "/nf?n=file", "/nf?n=none", "/d?n=f", "/d?n=f/file", "/e?n=f", "/e?n=none",
    "/x?n=f/run",
    "/x?n=f/file", "/method", "/agent", "/many", "/many?a=1", "/many?a=1&b=1", "/inif", "/inif?a=1", "/type",
    "/type?a=1",
    "/static/s.txt", "/static/s.txt?a=1", "/err", "/err?a=1", "/nest/a?a=1", "/nest/a", "/nest/b",
)  # fmt: skip

_SET = http(
    r"""
    server {
        listen {port};
        location / { set $a "1"; set $b "${a}2"; set $a "$b$a"; return 200 "a=$a b=$b c=[$c] ${a}x $a-$b";
            set $c never; }
        location /args { set $args "x=1&y=2"; return 200 "$args $arg_x $arg_y $query_string $is_args"; }
        location /emptyargs { set $args ""; return 200 "[$args][$is_args][$arg_x][$request_uri]"; }
        location /go { set $args "a=b"; rewrite ^ /went last; }
        location /went { return 200 "$uri $args $arg_a [$v]"; }
        location /keep { set $v "kept over the redirect"; rewrite ^ /went last; }
        location /rate { set $limit_rate 1000k; return 200 "rate"; }
        location /quote { set $q "a\"b\\c\td$http_x"; return 200 '$q "single" \'x\' ;{}#'; }
        location /long { set $x "$request_uri$request_uri$request_uri$request_uri"; return 200 "$x$x"; }
        location ~ ^/cap/(?<one>\d)(?<two>\d)?$ { set $one "set-$one"; return 200 "$one [$two] [$2]"; }
        location /uninit { return 200 "[$c]"; }
        location /unicode { set $u "ü你"; return 200 "$u$u"; }
    }
    """
)

_RETURN = http(
    """
    server {
        listen {port};
        default_type text/x-default;
        error_page 404 /404.html;
        error_page 410 /410.html;
        location /200 { return 200; }
        location /text { return 200 "text"; }
        location /empty { return 200 ""; }
        location /201 { return 201 "made"; }
        location /204 { return 204; }
        location /204t { return 204 "text"; }
        location /204seen { add_header X-Type $sent_http_content_type; return 204; }
        location /444t { return 444 "text"; }
        location /301 { return 301; }
        location /304 { return 304; }
        location /400 { return 400; }
        location /401 { return 401; }
        location /402 { return 402; }
        location /403 { return 403; }
        location /403t { return 403 "forbidden text"; }
        location /404 { return 404; }
        location /404t { return 404 "text wins over error_page"; }
        location /405 { return 405; }
        location /406 { return 406; }
        location /408 { return 408; }
        location /409 { return 409; }
        location /410 { return 410; }
        location /411 { return 411; }
        location /412 { return 412; }
        location /413 { return 413; }
        location /414 { return 414; }
        location /415 { return 415; }
        location /416 { return 416; }
        location /418 { return 418; }
        location /421 { return 421; }
        location /422 { return 422; }
        location /425 { return 425; }
        location /429 { return 429; }
        location /444 { return 444; }
        location /451 { return 451; }
        location /494 { return 494; }
        location /495 { return 495; }
        location /496 { return 496; }
        location /497 { return 497; }
        location /499 { return 499; }
        location /500 { return 500; }
        location /501 { return 501; }
        location /502 { return 502; }
        location /503 { return 503; }
        location /504 { return 504; }
        location /505 { return 505; }
        location /507 { return 507; }
        location /508 { return 508; }
        location /599 { return 599; }
        location /999 { return 999; }
        location /299t { return 299 "odd"; }
        location = /410.html { return 200 "page for 410 $status"; }
    }
    """
)

_STATUSES = (
    "200 text empty 201 204 204t 204seen 444t 301 304 400 401 402 403 403t 404 404t 405 406 408 409 410 411 412 413 414 "
    "415 416 418 421 422 425 429 451 494 495 496 497 499 500 501 502 503 504 505 507 508 599 999 299t"
)

CASES = (
    Case(
        "rewrite", _REWRITE, (*(get(p) for p in _REWRITTEN), get("/any", (("X-If", "yes"),), name="if in the server"))
    ),
    Case(
        "if",
        _IF,
        (
            *(get(path) for path in _IF_ASKED),
            get("/method", method="POST", body=b""),
            get("/method", method="PUT", body=b"x"),
            get("/cookie", (("Cookie", "a=b; id=77; c=d"),), name="cookie matches"),
            get("/cookie", (("Cookie", "a=b"),), name="cookie doesn't"),
            get("/agent", (("User-Agent", "MSIE"),), name="rewritten in if"),
        ),
        files={"html/f/file": "f", "html/f/run": "f", "html/static/s.txt": "html", "other/static/s.txt": "other"},
    ),
    Case(
        "set",
        _SET,
        tuple(
            get(p)
            for p in (
                "/",
                "/args?z=3",
                "/emptyargs?x=1",
                "/go?c=d",
                "/keep?q",
                "/rate",
                "/quote",
                "/long/" + "x" * 200,
                "/cap/12",
                "/cap/1",
                "/uninit",
                "/unicode",
            )  # fmt: skip
        ),
        levels=WARNINGS,
    ),
    Case(
        "return",
        _RETURN,
        (
            *(get(f"/{status}") for status in _STATUSES.split()),
            get("/444", read=(), name="444 closes"),
            get("/404", method="HEAD"),
            get("/text", method="HEAD"),
            get("/text", method="POST", body=b"abc"),
            get("/500", version="1.0"),
        ),
    ),
)
