"""pyresty answers as the reference does: every case of ``cases/``, request by request, and the logs at its end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import MODULES, REFERENCE

from .case import Ask, Case
from .cases import CASES
from .play import Outcome, Seen, expected, play


def _missing(case: Case) -> str:
    wanted = [Path(REFERENCE), *(MODULES / f"{name}.so" for name in case.modules)]
    return ", ".join(str(path) for path in wanted if not path.exists())


def _run(case: Case) -> tuple[Outcome, Outcome]:
    """What the case brought on the reference and on pyresty; skips, or fails in CI, without a reference."""
    if missing := _missing(case):
        if os.environ.get("CI") == "true":
            pytest.fail(f"the reference server is not complete: no {missing}")
        pytest.skip(f"no reference server to compare with: no {missing}")
    ours, reference = play(case.name, False), play(case.name, True)
    assert not reference.failure, f"reference: {reference.failure}"
    assert not ours.failure, f"pyresty: {ours.failure}"
    return ours, reference


def _asks() -> Iterator[object]:
    for case in CASES.values():
        for number, ask in enumerate(case.asks):
            yield pytest.param(case, number, id=f"{case.name}-{number}: {ask.name}")


def _expected(ask: Ask, seen: Seen) -> None:
    """Checks an answer that is known not to be the reference's against the one that is written down."""
    answer = seen.answers[0] if seen.answers else {}
    for key, value in ask.expect.items():
        if key == "headers":
            headers = answer["headers"]
            assert isinstance(headers, dict)
            found = {name: headers.get(name) for name in value}
            assert found == {name: None if one is None else [one] for name, one in value.items()}
        elif key in ("rest", "ended"):
            assert getattr(seen, key) == value
        else:
            assert answer[key] == value


@pytest.mark.parametrize(("case", "number"), list(_asks()))
def test_answer(case: Case, number: int) -> None:
    """Same status, reason, headers, body and end of the connection."""
    ask = case.asks[number]
    ours, reference = _run(case)
    if ask.differs:
        assert ask.expect, "a known difference says what is right"
        _expected(ask, ours.seen[number])
    else:
        assert ours.seen[number] == reference.seen[number]


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_error_log(case: Case) -> None:
    """Same entries in the error log, at the levels that the case names."""
    ours, reference = _run(case)
    if case.error_log is not None:
        assert ours.error_log == list(case.error_log)
    else:
        assert ours.error_log == expected(case, reference.error_log)


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_access_log(case: Case) -> None:
    """Same lines in the access log."""
    ours, reference = _run(case)
    assert ours.access_log == expected(case, reference.access_log)
