"""The picture: an SVG written by hand, one bar for one workload.

Costs reach from six microseconds to two thousand, so what is drawn is the ratio, on a logarithmic scale around "as dear
as the other server": a bar to the right is cheaper, to the left dearer, and a tick shows the mark.
"""

from __future__ import annotations

import math
from xml.sax.saxutils import escape

from benchmarks.measure import KINDS
from benchmarks.report import Row, figure

WIDTH, LEFT, RIGHT, ROW, TOP = 960, 310, 650, 30, 84
GOOD, BAD, PLAIN, INK, FAINT = "#2f8f5b", "#c8553d", "#8a94a0", "#1f2933", "#d5dae0"


def _text(x: float, y: float, text: str, *, size: int = 13, anchor: str = "start", colour: str = INK) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'
    )


def _line(x: float, y1: float, y2: float, colour: str, width: float = 1) -> str:
    return f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y1:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'


def _bar(x1: float, x2: float, y: float, colour: str) -> str:
    return f'<rect x="{x1:.1f}" y="{y:.1f}" width="{max(x2 - x1, 1):.1f}" height="{ROW - 12}" rx="2" fill="{colour}"/>'


def _colour(row: Row) -> str:
    return PLAIN if row.reached is None else GOOD if row.reached >= 1 else BAD


def _ratios(rows: list[Row], top: float) -> list[str]:
    """The rows that are ratios, from ``top`` down, over one scale."""
    values = [value for row in rows for value in (row.ratio, row.workload.mark) if value]
    low, high = math.floor(math.log10(min(values, default=1))), math.ceil(math.log10(max(values, default=1)))
    low, high = min(low, -1), max(high, 1)
    bottom = top + ROW * len(rows)

    def at(value: float) -> float:
        return LEFT + (math.log10(value) - low) / (high - low) * (RIGHT - LEFT)

    out = []
    for exponent in range(low, high + 1):
        x = at(10.0**exponent)
        out.append(_line(x, top - 6, bottom, INK if exponent == 0 else FAINT))
        out.append(_text(x, top - 12, f"{10.0**exponent:g}", size=11, anchor="middle", colour=PLAIN))
    for number, row in enumerate(rows):
        y = top + number * ROW
        other = row.workload.servers[0]
        out.append(_text(16, y + 19, row.workload.about))
        if row.ratio:
            one, end = sorted((at(1), at(row.ratio)))
            out.append(_bar(one, end, y + 6, _colour(row)))
            costs = " : ".join(figure(row.cost(name)) for name in (other, "pyresty"))
            out.append(_text(RIGHT + 160, y + 19, f"{costs} {KINDS['load'].unit}", anchor="end"))
            out.append(_text(RIGHT + 220, y + 19, figure(row.ratio), anchor="end"))
            out.append(_text(RIGHT + 290, y + 19, row.mark, anchor="end", colour=PLAIN))
        else:
            out.append(_text(RIGHT + 160, y + 19, "not measured", anchor="end", colour=PLAIN))
        if row.workload.mark:
            out.append(_line(at(row.workload.mark), y + 3, y + ROW - 3, INK, 2))
    return out


def _absolute(row: Row, top: float) -> list[str]:
    """A row in its own unit (memory, seconds): a bar for each server, over a scale of its own."""
    unit = KINDS[row.workload.kind].unit
    costs = [(name, cost) for name in row.workload.servers if (cost := row.cost(name)) is not None]
    full = max([cost for _, cost in costs] + [row.workload.mark or 0]) or 1
    scale = (RIGHT - LEFT) / full
    out = [_text(16, top + 19, row.workload.about)]
    for number, (name, cost) in enumerate(costs):
        y = top + number * ROW
        out.append(_text(LEFT - 8, y + 19, name, anchor="end", colour=PLAIN))
        out.append(_bar(LEFT, LEFT + cost * scale, y + 6, _colour(row) if name == "pyresty" else PLAIN))
        out.append(_text(RIGHT + 160, y + 19, f"{figure(cost)} {unit}", anchor="end"))
        if name == "pyresty" and row.workload.mark:
            out.append(_line(LEFT + row.workload.mark * scale, y + 3, y + ROW - 3, INK, 2))
            out.append(_text(RIGHT + 290, y + 19, f"{row.mark} {unit}", anchor="end", colour=PLAIN))
    return out


def draw(rows: list[Row], setting: str) -> str:
    """The picture as the text of an SVG file. ``setting`` is the line at its foot."""
    ratios = [row for row in rows if row.workload.kind == "load"]
    others = [row for row in rows if row.workload.kind != "load"]
    out = _ratios(ratios, TOP) if ratios else []
    y = TOP + ROW * len(ratios)
    for row in others:
        y += 14
        out += _absolute(row, y)
        y += ROW * max(1, sum(row.cost(name) is not None for name in row.workload.servers))
    height = y + 36
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'font-family="system-ui, sans-serif">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        "<title>Processor time for one request: other servers over pyresty</title>",
        _text(16, 28, "Processor time for one request", size=18),
        _text(
            16,
            48,
            "nginx with ngx_lua (last row: uvicorn) over pyresty: right of 1 pyresty is cheaper, left of it dearer",
            colour=PLAIN,
        ),
        _text(RIGHT + 160, TOP - 12, "other : pyresty", size=11, anchor="end", colour=PLAIN),
        _text(RIGHT + 220, TOP - 12, "ratio", size=11, anchor="end", colour=PLAIN),
        _text(RIGHT + 290, TOP - 12, "mark ( | )", size=11, anchor="end", colour=PLAIN),
    ]
    return "\n".join([*head, *out, _text(16, height - 12, setting, size=11, colour=PLAIN), "</svg>", ""])
