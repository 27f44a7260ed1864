"""pyresty's command with two things that only tests need: heads that are not remembered, and a look into the worker.

``launcher.py remember|forget SWITCH …``. A worker that gets the signal ``STATE`` writes how many connections and tasks
it has to ``logs/state``.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from typing import Any

STATE = int(signal.SIGRTMIN) + 1


def main() -> int:
    """Runs the command as pyresty does."""
    from pyresty import cli
    from pyresty.config.build import Options
    from pyresty.http.worker import HttpWorker

    remember = sys.argv.pop(1) == "remember"
    read, begin = cli.Arguments.options, HttpWorker.start

    def options(self: cli.Arguments) -> Options:
        return replace(read(self), remember_heads=remember)

    async def start(self: HttpWorker, *args: Any) -> None:
        def tell() -> None:
            path = os.path.join(self.config.prefix, "logs", "state")
            with open(path + ".new", "w") as file:
                file.write(f"{len(self.connections)} {len(asyncio.all_tasks(self.loop))}")
            os.rename(path + ".new", path)

        self.loop.add_signal_handler(STATE, tell)
        await begin(self, *args)

    cli.Arguments.options = options  # type: ignore[method-assign]
    HttpWorker.start = start  # type: ignore[method-assign,assignment]
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
