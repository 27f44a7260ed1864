"""The list of modules, in nginx's order. Adding a module is adding its file and its line here.

Handlers of a phase run in this order; header filters run in the reverse order, as nginx's do. A module is loaded only when the
configuration is built, and is refused by name where its library is missing.
"""

from __future__ import annotations

from importlib import import_module

from ..config.directives import Module

#: Each is a file of this package that defines ``MODULE``.
MODULES = (
    "core",
    "events",
    "http_core",
    "ssl",
    "log",
    "upstream",
    "balancing",
    "static",
    "gzip_static",
    "autoindex",
    "index",
    "random_index",
    "rewrite",
    "ndk",
    "set_misc",
    "array_var",
    "try_files",
    "mirror",
    "access",
    "auth_basic",
    "auth_request",
    "limit_req",
    "limit_conn",
    "realip",
    "geo",
    "map",
    "split_clients",
    "referer",
    "proxy",
    "proxy_ssl",
    "memcached",
    "empty_gif",
    "browser",
    "secure_link",
    "range",
    "gzip",
    "postpone",
    "charset",
    "sub_filter",
    "addition",
    "gunzip",
    "userid",
    "headers",
    "srcache",
    "lua",
    "echo",
    "lua_ssl",
    "lua_ssl_server",
    "lua_proxy_ssl",
    "balancer",
    "worker_thread",
    "errlog",
    "headers_more",
    "memc",
    "not_modified",
)


def load_modules() -> list[Module]:
    """Import every module in order."""
    return [import_module(f"{__name__}.{name}").MODULE for name in MODULES]


def names() -> list[str]:
    """The names of the modules that are really there, for ``-V``."""
    return [module.name for module in load_modules()]
