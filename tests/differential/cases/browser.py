"""browser: which User-Agent is a modern browser's. https://nginx.org/en/docs/http/ngx_http_browser_module.html"""

from __future__ import annotations

from harness import http

from ..case import Case, get

_LOCATIONS = {
    "nothing": "",
    "unlisted": "modern_browser unlisted;",
    "listed": "modern_browser msie 5.5; modern_browser gecko 1.0.0; modern_browser Opera 9.0; modern_browser safari 413; "
    "modern_browser konqueror 3.0;",
    "without-opera": "modern_browser msie 5.5; modern_browser gecko 1.7.8;",
    "exact": "modern_browser gecko 1.8.0.5;",
    "both": "modern_browser msie 6.0; modern_browser unlisted;",
    "ancient": "modern_browser unlisted; ancient_browser Links Lynx netscape4;",
    "netscape": "modern_browser unlisted; ancient_browser netscape4;",
    "listed-ancient": "modern_browser msie 5.5; modern_browser unlisted; ancient_browser Links;",
    "values": "modern_browser unlisted; modern_browser_value new; ancient_browser Links; ancient_browser_value a; "
    "ancient_browser_value old;",
}
_AGENTS = (
    "",
    "Opera/7.50 (X11; FreeBSD i386; U)  [en]",
    "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.0; en) Opera 8.0",
    "Opera/9.01 (X11; FreeBSD 6 i386; U; en)",
    "Opera/9.80",
    "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)",
    "Mozilla/4.0 (compatible; MSIE 5.01; Windows NT 5.1)",
    "Mozilla/4.0 (compatible; MSIE 5.5)",
    "Mozilla/4.0 (compatible; MSIE ",
    "MSIE 7.0",
    "Mozilla/5.0 (X11; U; Linux i686; en-US; rv:1.0.0) Gecko/20020610",
    "Mozilla/5.0 (Windows; U; Windows NT 5.1; ru-RU; rv:1.7.8) Gecko/20050511 Firefox/1.0.4",
    "Mozilla/5.0 (X11; U; FreeBSD i386; en-US; rv:1.8.0.5) Gecko/20060729 Firefox/1.5.0.5",
    "Mozilla/5.0 (X11; rv:1.8.0.4.9) Gecko",
    "Mozilla/5.0 (X11; rv:1.8) Gecko",
    "Mozilla/5.0 (X11; rv:x) Gecko",
    "Mozilla/5.0 (Macintosh; U; PPC Mac OS X; en) AppleWebKit/418 (KHTML, like Gecko) Safari/417.9.3",
    "Mozilla/5.0 (Macintosh; U; PPC Mac OS X) AppleWebKit/125.2 (KHTML, like Gecko) Safari/125.7",
    "Mozilla/5.0 (compatible; Konqueror/3.4; Linux) KHTML/3.4.2 (like Gecko)",
    "Mozilla/4.72 [en] (X11)",
    "Mozilla/4.72 ",
    "Mozilla/0.9 something else",
    "Links (2.1pre15; Linux)",
    "curl/8.0",
)

CASES = (
    Case(
        "browser",
        http(
            "server { listen {port}; default_type text/plain;\n"
            + "\n".join(
                f'location = /{name} {{ {code} return 200 "[$modern_browser][$ancient_browser][$msie]"; }}'
                for name, code in _LOCATIONS.items()
            )
            + """
            location /outer { modern_browser unlisted; ancient_browser Links; modern_browser_value outer;
                location /outer/same { return 200 "[$modern_browser][$ancient_browser]"; }
                location /outer/modern { modern_browser msie 5.5; return 200 "[$modern_browser][$ancient_browser]"; }
                location /outer/ancient { ancient_browser netscape4; return 200 "[$modern_browser][$ancient_browser]"; } }
            location /set { set $msie mine; return 200 "[$msie]"; }
            location /if { modern_browser unlisted; ancient_browser Links; if ($ancient_browser) { return 302 /old; } return 200 new; }
            }"""
        ),
        tuple(
            get(f"/{name}", (("User-Agent", agent),) if agent else (), name=f"/{name} {agent}")
            for name in (*_LOCATIONS, "outer/same", "outer/modern", "outer/ancient", "set", "if")
            for agent in _AGENTS
        ),
    ),
)
