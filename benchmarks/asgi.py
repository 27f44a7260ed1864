"""The hello workload as an ASGI application: the same answer, for uvicorn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

BODY = b"hello\n"
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(BODY))],
}
END = {"type": "http.response.body", "body": BODY}


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Answers every request with ``hello`` (ASGI 3 HTTP specification; run without lifespan)."""
    await send(START)
    await send(END)
