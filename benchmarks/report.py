"""What came out: one row for one workload, and the same cells for the terminal, for Markdown and for JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.measure import KINDS, Result, Sample
from benchmarks.workloads import Workload

HEAD = ("workload", "unit", "reference", "pyresty", "uvicorn", "ratio", "mark", "", "reference req/s", "pyresty req/s")
#: What :func:`into_page` replaces lies between these two lines of the page.
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


@dataclass(frozen=True)
class Row:
    """A workload and what was measured on each server, by name."""

    workload: Workload
    results: dict[str, Result]

    def _chosen(self, server: str) -> Sample | None:
        result = self.results.get(server)
        return result.chosen if result else None

    def cost(self, server: str) -> float | None:
        """The cost in the workload's unit; None where it was not measured, or not validly."""
        chosen = self._chosen(server)
        return chosen.cost if chosen else None

    def rate(self, server: str) -> float | None:
        """Requests in a second, where there are any."""
        chosen = self._chosen(server)
        return chosen.rate if chosen else None

    @property
    def ratio(self) -> float | None:
        """The other server's cost over pyresty's: 2 means that pyresty is half as dear. Only for ``load``."""
        other, ours = self.cost(self.workload.servers[0]), self.cost("pyresty")
        return other / ours if self.workload.kind == "load" and other and ours else None

    @property
    def reached(self) -> float | None:
        """How much of the mark is reached: 1 and more is met. None without a mark, or without a figure."""
        mark, cost = self.workload.mark, self.cost("pyresty")
        if mark is None:
            return None
        if self.workload.kind == "load":
            return self.ratio and self.ratio / mark
        return mark / cost if cost else None

    @property
    def errors(self) -> list[str]:
        """Why results are invalid."""
        return [f"{self.workload.name}, {name}: {r.error}" for name, r in self.results.items() if r.error]

    @property
    def verdict(self) -> str:
        """``met``, ``missed by …``, ``invalid``, or nothing where there is nothing to judge."""
        if self.errors:
            return "invalid"
        if self.reached is None:
            return ""
        if self.reached >= 1:
            return "met"
        return f"missed by {(1 - self.reached if self.workload.kind == 'load' else 1 / self.reached - 1):.0%}"

    @property
    def mark(self) -> str:
        """The mark, as text."""
        if self.workload.mark is None:
            return ""
        sign = "≥" if self.workload.kind == "load" else "≤"
        return f"{sign} {self.workload.mark:g}"


def figure(value: float | None, digits: int = 3) -> str:
    """``value`` with ``digits`` significant digits and never an exponent; empty for None."""
    if value is None:
        return ""
    if value == 0 or abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    exponent = int(f"{value:e}".rpartition("e")[2])
    return f"{value:.{digits - 1 - exponent}f}"


def cells(row: Row) -> list[str]:
    """A row's cells, in the order of :data:`HEAD`."""
    return [
        row.workload.name,
        KINDS[row.workload.kind].unit,
        *(figure(row.cost(name)) for name in ("reference", "pyresty", "uvicorn")),
        figure(row.ratio),
        row.mark,
        row.verdict,
        *(f"{rate:,.0f}" if (rate := row.rate(name)) else "" for name in ("reference", "pyresty")),
    ]


def line(columns: list[str]) -> str:
    """One line of the terminal's table."""
    widths = (-16, -4, 10, 9, 9, 7, 7, -14, 15, 14)
    texts = (f"{text:{'<' if width < 0 else '>'}{abs(width)}}" for text, width in zip(columns, widths, strict=True))
    return "  ".join(texts).rstrip()


def markdown(rows: list[Row], setting: dict[str, str]) -> str:
    """The table as a Markdown page shows it, with what each workload is, the setting, and the errors."""
    head = list(HEAD)
    head.insert(1, "what")
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * 3 + "--:|" * 5 + "---|" + "--:|" * 2]
    for row in rows:
        columns = cells(row)
        columns.insert(1, row.workload.about)
        lines.append(f"| {' | '.join(columns)} |")
    # An error may span lines and hold any sign: as indented code it can do no harm.
    errors = ["\n".join("    " + part for part in error.splitlines()) for row in rows for error in row.errors]
    if errors:
        lines += ["", "Invalid:", "", *errors]
    lines += ["", *(f"- {name}: {value}" for name, value in setting.items())]
    return "\n".join(lines)


def into_page(page: str, table: str) -> str:
    """``page`` with ``table`` in the place between :data:`BEGIN` and :data:`END`; appended where they are missing."""
    before, found, rest = page.partition(BEGIN)
    after = rest.partition(END)[2] if found else "\n"
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def as_json(rows: list[Row], setting: dict[str, str]) -> dict[str, Any]:
    """Everything measured, each round of it, as JSON types."""
    return {
        "setting": setting,
        "workloads": {
            row.workload.name: {
                "unit": KINDS[row.workload.kind].unit,
                "ratio": row.ratio,
                "mark": row.workload.mark,
                "verdict": row.verdict,
                "servers": {
                    name: {
                        "cost": row.cost(name),
                        "requests_per_second": row.rate(name),
                        "rounds": [{"cost": s.cost, "requests_per_second": s.rate} for s in result.samples],
                        "error": result.error or None,
                    }
                    for name, result in row.results.items()
                },
            }
            for row in rows
        },
    }
