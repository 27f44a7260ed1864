"""Waiting for what other processes do."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

#: Seconds after which something that must happen is taken not to.
PATIENCE = 20


def until(condition: Callable[[], Any]) -> Any:
    """Waits until the condition holds, and returns its value."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < end, f"never: {condition}"
        time.sleep(0.01)
    return value


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
