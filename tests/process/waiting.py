"""Waiting for what other processes do."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
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


def contains(seen: Any, item: Any) -> bool:
    """Whether ``item`` is among what was ``seen`` so far."""
    return item in seen


def writes_to(pid: int | str, log: Path) -> bool:
    """Whether the standard error output of a process is the file ``log``."""
    return os.readlink(f"/proc/{pid}/fd/2") == str(log)
