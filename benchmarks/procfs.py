"""Processor time and memory of a group of processes, from Linux's /proc.

A server is a master and workers with threads, so everything here is a sum: over all processes of the tree, and over
their threads. The source of each file's form is proc(5) and the kernel's Documentation/scheduler/sched-stats.rst.
"""

from __future__ import annotations

import os
from pathlib import Path

PROC = Path("/proc")
_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def parse_schedstat(text: str) -> int:
    """Nanoseconds that a thread has spent on a processor: the first of schedstat's three numbers."""
    return int(text.split()[0])


def parse_stat(text: str) -> tuple[int, int]:
    """A process's parent and its ``utime + stime`` in clock ticks, from ``stat``.

    The second field, the command in parentheses, may itself hold spaces and parentheses.
    """
    fields = text[text.rindex(")") + 1 :].split()
    return int(fields[1]), int(fields[11]) + int(fields[12])


def parse_pss(text: str) -> int:
    """Bytes of memory from ``smaps_rollup``: private pages, and of each shared page this process's share."""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == "Pss":
            return int(value.split()[0]) * 1024
    raise ValueError("no Pss line")


def tree(pid: int) -> list[int]:
    """``pid`` and all processes below it, parents first."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                parent = parse_stat((entry / "stat").read_text())[0]
            except OSError:  # ended in the meantime
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += sorted(children.get(one, []))
    return found


def has_schedstat() -> bool:
    """Whether this kernel counts nanoseconds; without scheduler statistics the file is missing or all zeros."""
    try:
        return parse_schedstat((PROC / "self" / "schedstat").read_text()) > 0
    except FileNotFoundError:
        return False


def cpu_ns(pids: list[int], fine: bool = True) -> int:
    """Nanoseconds of processor time that the processes have used, all their living threads together.

    :param fine: read schedstat (see :func:`has_schedstat`); else ``utime + stime``, in steps of a clock tick (10 ms).

    Raises :class:`OSError` when a process has ended.
    """
    total = 0
    for pid in pids:
        base = PROC / str(pid)
        if fine:
            total += sum(parse_schedstat((task / "schedstat").read_text()) for task in (base / "task").iterdir())
        else:
            total += parse_stat((base / "stat").read_text())[1] * _TICK_NS
    return total


def memory_bytes(pids: list[int]) -> int:
    """Bytes of memory that the processes hold together, each shared page counted once (the sum of Pss)."""
    return sum(parse_pss((PROC / str(pid) / "smaps_rollup").read_text()) for pid in pids)


def cpu_model() -> str:
    """The processor's name, as the kernel has it."""
    for line in (PROC / "cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return os.uname().machine
