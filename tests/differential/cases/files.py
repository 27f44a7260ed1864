"""How a URI becomes a file: root, alias, index, try_files, error_page, types.

https://nginx.org/en/docs/http/ngx_http_core_module.html and ngx_http_index_module.html
"""

from __future__ import annotations

from harness import http

from ..case import Case, get

_TREE = {
    "html/index.html": "root index",
    "html/a.txt": "text a",
    "html/sp ace.txt": "with a space",
    "html/pct%41.txt": "with a percent sign",
    "html/dir/index.html": "dir index",
    "html/dir/index.htm": "dir index.htm",
    "html/dir/file": "dir file",
    "html/noindex/file": "no index here",
    "html/htm/index.htm": "second index name",
    "html/deep/a/b/c.txt": "deep",
    "html/50x.html": "<h1>error page 50x</h1>",
    "html/404.html": "<h1>error page 404</h1>",
    "html/empty": "",
    "html/.hidden": "hidden",
    "html/indexdir/index.html/x": "the index is a folder",
    "html/ü.txt": "umlaut",
    "other/a.txt": "other a",
    "other/x/a.txt": "other x a",
    "other/index.html": "other index",
    "other/sub/index.html": "other sub index",
}

_PATHS = http(
    r"""
    default_type text/plain;
    index index.html index.htm;
    server {
        listen {port};
        root html;
        location / { }
        location /al/ { alias other/; }
        location /al2/ { alias {prefix}/other/x/; }
        location /noslash { alias other/; }
        location = /one { alias other/a.txt; }
        location /alvar/ { alias {prefix}/$arg_dir/; }
        location ~ ^/alre/(\w+)/(.*)$ { alias {prefix}/$1/$2; }
        location ~ ^/alre2/(?<path>.*)$ { alias {prefix}/other/$path; index index.html; }
        location /rootvar/ { root {prefix}/$arg_dir; }
        location /abs { root {prefix}/html; }
        location /al-rewritten/ { alias other/; rewrite ^/al-rewritten/(.*) /$1 break; }
        location /al-broken/ { alias other/; rewrite ^/al-broken/(.*) /$1; break; }
        location /al-tried/ { alias other/; rewrite ^/al-tried/(.*) /$1 break; try_files /a.txt =404; }
        location /al-named/ { alias other/; rewrite ^ /x break; content_by_lua_block { ngx.say(ngx.var.request_filename) } }
        location ~ ^/al-regex/(.*)$ { alias other/$1; rewrite ^/al-regex/(.*) /$1 break; }
        location /inner { location /inner/most { alias other; } return 200 "inner"; }
        location /show/ { alias other/; return 200 "$document_root|$request_filename|$realpath_root"; }
        location /showroot { return 200 "$document_root|$request_filename|$uri"; }
        location /ix/ { alias html/dir/; index nope index.$arg_e file; }
        location /ixabs/ { alias html/noindex/; index nope /a.txt; }
        location /ixredir/ { alias html/noindex/; index nope /al/; }
    }
    """
)

_ASKED = (
    "/", "/index.html", "/a.txt", "/none", "/none/", "/a.txt/", "/a.txt/x", "/dir/", "/dir", "/dir/file", "/noindex/",
    "/noindex", "/htm/",
    "/sp%20ace.txt", "/pct%2541.txt", "/pct%41.txt", "/.hidden", "/empty", "/indexdir/", "/%c3%bc.txt",
    "/deep/a/b/c.txt", "/deep/a/b",
    "/deep/../a.txt", "/deep//a///b/c.txt", "/al/a.txt", "/al/", "/al", "/al/none", "/al/x/a.txt", "/al/sub",
    "/al/sub/", "/al2/a.txt",
    "/al/../a.txt", "/noslash/a.txt", "/noslasha.txt", "/one", "/one/", "/onex",
    "/al-rewritten/a.txt", "/al-rewritten/", "/al-broken/a.txt", "/al-tried/a.txt", "/al-named/a.txt", "/al-regex/a.txt", "/alvar/a.txt?dir=other",
    "/alvar/a.txt?dir=html",
    "/alvar/a.txt", "/alre/other/a.txt", "/alre/other/none", "/alre/html/dir/", "/alre/html/dir", "/alre2/",
    "/alre2/sub/", "/alre2/sub",
    "/rootvar/x?dir=html", "/abs", "/inner", "/inner/most/a.txt", "/inner/most", "/show/x/y", "/showroot/x",
    "/ix/?e=htm", "/ix/?e=none", "/ixabs/",
    "/ixredir/",
)  # fmt: skip

_TRY = http(
    r"""
    default_type text/plain;
    server {
        listen {port};
        root html;
        location / { try_files $uri $uri/ /index.html; }
        location /first/ { try_files /none /a.txt /dir/file =404; }
        location /code/ { try_files $uri =403; }
        location /code204/ { try_files $uri =204; }
        location /named/ { try_files $uri @named; }
        location @named { return 200 "named $uri $args"; }
        location /args/ { try_files /none /target?from=$uri&$args; }
        location /target { return 200 "target $uri $args"; }
        location /folder/ { try_files /none/ /dir/ =404; }
        location /foldername/ { try_files /dir =404; }
        location /al/ { alias other/; try_files $uri /al/a.txt =404; }
        location /al2/ { alias other/; try_files nothing a.txt =404; }
        location ~ ^/re/(.*)$ { try_files /$1 /deep/$1 =404; }
        location /post/ { try_files /none @posted; }
        location @posted { return 200 "$request_method $content_length"; }
        location /loop/ { try_files /none /loop/again; }
        location /internal/ { internal; alias other/; }
        location /tointernal/ { try_files /none /internal/a.txt; }
    }
    server { listen {port2}; root html; try_files $uri /50x.html; }
    """
)

_TRIED = (
    "/a.txt", "/dir", "/dir/", "/noindex/", "/none", "/none/more", "/first/x", "/code/x", "/code204/x",
    "/named/x?y=z", "/args/x?y=z",
    "/folder/x", "/foldername/x", "/al/sub/index.html", "/al/none", "/al2/none", "/re/a.txt", "/re/a/b/c.txt",
    "/re/none", "/loop/x",
    "/tointernal/x", "/sp%20ace.txt", "/empty",
)  # fmt: skip

_ERRORS = http(
    r"""
    default_type text/plain;
    error_page 404 /404.html;
    server {
        listen {port};
        root html;
        error_page 500 502 503 504 /50x.html;
        error_page 403 = /echo;
        error_page 405 =200 /echo;
        location / { }
        location /echo { return 203 "echo $uri $args $request_uri $request_method $status"; }
        location /500 { return 500; }
        location /503 { return 503; }
        location /403 { return 403; }
        location /405/ { return 405; }
        location /own { error_page 404 /own404; location /own/500 { return 500; } }
        location /own404 { return 404 "own 404 text"; }
        location /recursive { error_page 404 /recursive/again; return 404; }
        location /url { error_page 404 http://elsewhere.example/; return 404; }
        location /url301 { error_page 404 =301 http://elsewhere.example/x?y; return 404; }
        location /url307 { error_page 404 =307 /relative; return 404; }
        location /named { error_page 404 = @h; return 404; }
        location /named200 { error_page 404 =200 @h; return 404; }
        location /named-keeps { error_page 404 @h; return 404; }
        location @h { return 200 "at h $uri"; }
        location @proxied { return 500; }
        location /chain { error_page 404 = @proxied; return 404; }
        location /chain2 { error_page 404 = @proxied; recursive_error_pages on; error_page 500 = @h; return 404; }
        location /rec { recursive_error_pages on; error_page 404 = /rec2; return 404; }
        location /rec2 { recursive_error_pages on; error_page 403 = @h; return 403; }
        location /vars { error_page 404 /echo?from=$uri&a=$arg_a; return 404; }
        location /off { error_page 404 /off404; location /off/sub { error_page 500 /x; return 404; } return 404; }
        location /off404 { return 200 "off404"; }
        location /static404 { error_page 404 =200 /a.txt; }
        location /missing-page { error_page 404 /gone.html; return 404; }
        location /same { error_page 418 /same; return 418; }
        location /302 { error_page 302 /echo; return 302 /x; }
        location /to { error_page 404 = /a.txt; return 404; }
        location /todir { error_page 404 = /dir; return 404; }
        location /toindex { error_page 404 = /dir/; return 404; }
    }
    """
)

_ERRORED = (
    "/none", "/500", "/503", "/403?x=y", "/405/", "/own/none", "/own/500", "/recursive", "/url", "/url301", "/url307",
    "/named", "/named200",
    "/named-keeps", "/chain", "/chain2", "/rec", "/vars?a=1", "/off", "/off/sub", "/static404/x", "/missing-page",
    "/same", "/302", "/to",
    "/todir", "/toindex", "/404.html",
)  # fmt: skip

_TYPES = http(
    r"""
    types { text/html html htm; text/plain txt; image/png png; application/x-dots tar.gz; text/x-upper UP; }
    default_type application/x-default;
    server {
        listen {port};
        root html;
        location /own/ { types { text/own txt; } }
        location /none/ { types { } default_type text/none; }
        location /empty/ { types { } default_type ""; }
        location /var/ { default_type "text/$arg_t"; }
        location /ret/ { return 200 "typed by extension"; }
        location = /ret/x.png { return 200 "png"; }
    }
    """
)

_TYPE_FILES = (
    "x.html", "x.htm", "x.HTML", "x.txt", "x.TXT", "x.png", "x.tar.gz", "x.gz", "x.up", "x.UP", "x", "x.", ".txt",
    "a.b/x", "x.unknown",
    "own/x.txt", "own/x.html", "none/x.txt", "empty/x.txt", "var/x.unknown",
)  # fmt: skip

CASES = (
    Case("root-alias-index", _PATHS, tuple(get(path) for path in _ASKED), files=_TREE),
    Case(
        "try-files",
        _TRY,
        (
            *(get(path) for path in _TRIED),
            get("/post/x", method="POST", body=b"12345"),
            get("/named/x", method="HEAD"),
            get("/a.txt", port="port2", name="in the server: found"),
            get("/none", port="port2", name="in the server: fallback"),
            get("/dir", port="port2", name="in the server: folder"),
        ),
        files=_TREE,
    ),
    Case(
        "error-page",
        _ERRORS,
        (
            *(get(path) for path in _ERRORED),
            get("/403", method="POST", body=b"abc"),
            get("/none", method="HEAD"),
            get("/named", method="POST", body=b"abc"),
            get("/%", name="400 in the head"),
        ),
        files=_TREE,
    ),
    Case(
        "types",
        _TYPES,
        (
            *(get(f"/{name}") for name in _TYPE_FILES),
            get("/var/x.unknown?t=from-variable"),
            get("/ret/x.txt"),
            get("/ret/x.png"),
            get("/ret/x.none"),
        ),
        files={f"html/{name}": name for name in _TYPE_FILES},
    ),
)
