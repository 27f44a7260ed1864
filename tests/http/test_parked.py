from __future__ import annotations

import asyncio
from typing import Any

from pyresty.http.parked import Parked


async def wait(parked: Parked, times: int, log: list[str]) -> None:
    for number in range(times):
        await parked
        log.append(f"woken {number}")


def test_outside_of_a_task_whoever_steps_gets_it() -> None:
    log: list[str] = []

    async def main() -> None:
        parked = Parked()

        def step_outside() -> None:
            coro = wait(parked, 2, log)

            def resume() -> None:
                try:
                    waited: Any = coro.send(None)
                except StopIteration:
                    log.append("ended")
                else:
                    assert waited is parked
                    parked.resume = resume

            resume()
            for _ in range(3):
                log.append("wake")
                parked.wake()
            done.set_result(None)

        done = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(step_outside)
        await done

    asyncio.run(main())
    assert log == ["wake", "woken 0", "wake", "woken 1", "ended", "wake"]


def test_inside_a_task_it_is_a_future() -> None:
    log: list[str] = []

    async def main() -> None:
        parked = Parked()
        parked.wake()  # nobody waits yet, and nothing is kept
        task = asyncio.create_task(wait(parked, 2, log))
        for number in range(2):
            await asyncio.sleep(0)
            assert len(log) == number
            parked.wake()
            await asyncio.sleep(0)
        await task

    asyncio.run(main())
    assert log == ["woken 0", "woken 1"]


def test_a_wait_that_was_cancelled_is_over() -> None:
    log: list[str] = []

    async def main() -> None:
        parked = Parked()
        first = asyncio.create_task(wait(parked, 1, log))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        parked.wake()
        second = asyncio.create_task(wait(parked, 1, log))
        await asyncio.sleep(0)
        parked.wake()
        await second

    asyncio.run(main())
    assert log == ["woken 0"]
