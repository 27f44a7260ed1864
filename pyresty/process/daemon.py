"""``daemon on``: the server leaves the terminal, and the command returns when the server is up.

Source: nginx's "daemon" (core module).
"""

from __future__ import annotations

import os
from typing import NoReturn


def detach() -> int:
    """Go on in a new process, leader of its own session, its standard input and output on ``/dev/null``.

    The process that called waits in here until the new one gives the descriptor returned to :func:`is_up`, or is gone,
    and exits with 0 or 1 accordingly: a script that goes on after this command finds the pid file written and all workers started.
    """
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        _leave(reader)
    os.close(reader)
    os.setsid()
    os.umask(0)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    if null > 2:
        os.close(null)
    return writer


def is_up(writer: int) -> None:
    """Let the process that called :func:`detach` exit with 0."""
    os.write(writer, b"1")
    os.close(writer)


def _leave(reader: int) -> NoReturn:
    os._exit(0 if os.read(reader, 1) else 1)
