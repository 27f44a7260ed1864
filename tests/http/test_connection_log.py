"""What belongs to a connection and to no request is logged by the default server of its address.

nginx: ``ls->logp`` in ngx_http_add_listening; https://nginx.org/en/docs/ngx_core_module.html#error_log
"""

from __future__ import annotations

from pathlib import Path

import pytest
from client import Connection
from harness import REFERENCE, Server, http

CONF = http(
    """
    server { listen {port}; error_log {prefix}/logs/own.log info; location / { return 204; } }
    server { listen {port2}; location / { return 204; } }
    """
)


@pytest.mark.parametrize("reference", [False, True])
def test_error_log_of_the_default_server(reference: bool) -> None:
    """Both kinds of goodbye, in the file of the server that was listening."""
    if reference and not Path(REFERENCE).exists():
        pytest.skip("no reference server")
    with Server(CONF, reference=reference) as server:
        for port in (server.ports["port"], server.ports["port2"]):
            with Connection(port):
                pass
            with Connection(port) as client:
                client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                client.response()
        for file, name in (("own.log", "port"), ("error.log", "port2")):
            text = server.log_text(file)
            address = f", client: 127.0.0.1, server: 0.0.0.0:{server.ports[name]}\n"
            # the harness has looked whether the server is there
            waiting = text.count("client closed connection while waiting for request")
            assert waiting == text.count(f"client closed connection while waiting for request{address}") >= 1
            assert text.count("client 127.0.0.1 closed keepalive connection\n") == 1
