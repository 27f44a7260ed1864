"""ngx.thread: https://github.com/openresty/lua-nginx-module#ngxthreadspawn"""

from ..threads import functions

__all__ = ["functions"]
