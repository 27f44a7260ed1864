"""The parts of the benchmark that can be wrong unnoticed: reading figures, judging them, drawing them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks import measure, picture, procfs, report
from benchmarks.measure import Invalid, Result, Sample
from benchmarks.workloads import WORKLOADS, Workload, without_token

REPORT = """Running 4s test @ http://127.0.0.1:20500/hello
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   455.31us  120.10us   5.02ms   91.01%
    Req/Sec   141.20k     3.10k  146.00k    70.00%
  565012 requests in 4.02s, 97.54MB read
Requests/sec: 140550.25
Transfer/sec:     24.26MB
"""
ERRORS = """  1204 requests in 4.02s, 97.54KB read
  Socket errors: connect 0, read 3, write 0, timeout 12
  Non-2xx or 3xx responses: 7
Requests/sec:    299.50
"""
SVG = "{http://www.w3.org/2000/svg}"


def named(name: str) -> Workload:
    return next(workload for workload in WORKLOADS if workload.name == name)


def row(name: str, costs: dict[str, float], rate: float | None = None) -> report.Row:
    return report.Row(named(name), {server: Result([Sample(cost, rate)]) for server, cost in costs.items()})


def test_wrk_report() -> None:
    assert measure.parse_wrk(REPORT) == measure.Load(565012, 140550.25, {})


def test_wrk_errors_are_named() -> None:
    assert measure.parse_wrk(ERRORS) == measure.Load(1204, 299.5, {"read": 3, "timeout": 12, "status": 7})


def test_no_report_from_wrk() -> None:
    with pytest.raises(Invalid, match="unable to connect"):
        measure.parse_wrk("unable to connect to 127.0.0.1:1 Connection refused\n")


def test_schedstat() -> None:
    assert procfs.parse_schedstat("489124275 23001725 1796\n") == 489124275


def test_stat_of_a_command_with_spaces_and_parentheses() -> None:
    text = "27389 (a) b (c) R 27387 27387 4923 0 -1 4194304 860 0 0 0 44 4 9 9 20 0 1 0 195032 12812288 2166"
    assert procfs.parse_stat(text) == (27387, 48)


def test_pss() -> None:
    rollup = "55be-7ffe ---p 0 00:00 0   [rollup]\nRss:      1680 kB\nPss:       283 kB\nPss_Anon:  112 kB\n"
    assert procfs.parse_pss(rollup) == 283 * 1024
    with pytest.raises(ValueError, match="Pss"):
        procfs.parse_pss("Rss:   1680 kB\n")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
class TestProc:
    def test_tree_holds_children_of_children(self) -> None:
        # The `:` keeps the shell from replacing itself by the sleep.
        with subprocess.Popen(["sh", "-c", "sh -c 'sleep 60; :' & echo $!; wait"], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            middle = int(child.stdout.readline())
            try:
                while len(found := procfs.tree(child.pid)) < 3:
                    assert child.poll() is None
                assert found[:2] == [child.pid, middle]
                assert procfs.parse_stat(Path(f"/proc/{found[2]}/stat").read_text())[0] == middle
            finally:
                for pid in reversed(procfs.tree(child.pid)):
                    os.kill(pid, 9)

    @pytest.mark.parametrize("fine", [True, False])
    def test_cpu_time_is_that_of_the_work_done(self, fine: bool) -> None:
        if fine and not procfs.has_schedstat():
            pytest.skip("this kernel keeps no scheduler statistics")
        before = procfs.cpu_ns([os.getpid()], fine)
        begin = time.process_time_ns()
        while time.process_time_ns() - begin < 100_000_000:
            pass
        # A clock tick less, since both readings are rounded down; there is no upper limit to a busy machine's.
        assert procfs.cpu_ns([os.getpid()], fine) - before >= 80_000_000

    def test_memory_grows_by_what_is_touched(self) -> None:
        before = procfs.memory_bytes([os.getpid()])
        kept = bytearray(os.urandom(8 << 20))
        assert procfs.memory_bytes([os.getpid()]) - before >= len(kept) * 3 // 4


def test_only_the_token_is_taken_out_of_an_answer() -> None:
    token = "0123456789abcdef" * 2
    expected = b'{"ret": true, "token": "*"}'
    assert without_token(f'{{"token":"{token}","ret":true}}\n'.encode()) == expected
    assert without_token(f'{{"ret":true,"token":"{token}"}}'.encode()) == expected
    assert named("login_off").body == expected
    assert without_token(b'{"token":"short","ret":true}') != expected
    assert without_token(b'{"ret":false}') != expected
    assert without_token(b"{broken") == b"{broken"


def test_the_round_that_counts() -> None:
    rounds = [Sample(9.0, 80.0), Sample(30.0, 10.0), Sample(7.0, 100.0)]
    assert Result(rounds).chosen == Sample(7.0, 100.0)
    assert Result(rounds, rank=1).chosen == Sample(9.0, 80.0)
    assert Result(rounds, error="a socket error").chosen is None
    assert measure.KINDS["load"].rank == 0
    assert measure.KINDS["start"].rank * 2 + 1 == measure.KINDS["start"].rounds


@pytest.mark.parametrize(
    ("name", "costs", "verdict"),
    [
        ("hello", {"reference": 7.0, "pyresty": 10.0}, "met"),
        ("hello", {"reference": 6.3, "pyresty": 10.0}, "missed by 10%"),
        ("uvicorn", {"uvicorn": 20.0, "pyresty": 8.0}, "met"),
        ("uvicorn", {"uvicorn": 20.0, "pyresty": 20.0}, "missed by 50%"),
        ("idle", {"reference": 0.5, "pyresty": 2.5, "uvicorn": 7.8}, "met"),
        ("start", {"reference": 0.015, "pyresty": 0.42}, "missed by 20%"),
        ("login_on", {"reference": 10.0, "pyresty": 100.0}, ""),
        ("hello", {"reference": 7.0}, ""),
    ],
)
def test_verdict(name: str, costs: dict[str, float], verdict: str) -> None:
    assert row(name, costs).verdict == verdict


def test_invalid_result_is_never_met() -> None:
    broken = row("hello", {"reference": 100.0, "pyresty": 1.0})
    broken.results["reference"].error = "errors under load: read 3"
    assert broken.verdict == "invalid"
    assert broken.ratio is None
    assert broken.errors == ["hello, reference: errors under load: read 3"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (0, "0"), (6.666, "6.67"), (0.0156, "0.0156"), (13.04, "13.0"), (164.2, "164"), (2324.4, "2,324")],
)
def test_figure(value: float | None, text: str) -> None:
    assert report.figure(value) == text


def test_page_keeps_what_is_around_the_table() -> None:
    once = report.into_page(f"above\n{report.BEGIN}\nold\n{report.END}\nbelow\n", "new")
    assert once == f"above\n{report.BEGIN}\n\nnew\n\n{report.END}\nbelow\n"
    assert report.into_page(once, "new") == once
    assert report.into_page("", "new") == f"{report.BEGIN}\n\nnew\n\n{report.END}\n"


def test_table_has_a_row_for_each_workload() -> None:
    rows = [row(workload.name, {name: 2.0 for name in workload.servers}, 5e4) for workload in WORKLOADS]
    lines = report.markdown(rows, {"date": "today"}).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len({line.count("|") for line in table}) == 1
    assert [line.split(" | ")[0].removeprefix("| ") for line in table[2:]] == [workload.name for workload in WORKLOADS]
    assert lines[-1] == "- date: today"


def test_json_keeps_every_round() -> None:
    one = report.Row(
        named("hello"), {"reference": Result([Sample(6.0, 9e4), Sample(8.0, 8e4)]), "pyresty": Result(error="no")}
    )
    written = json.loads(json.dumps(report.as_json([one], {"date": "today"})))
    hello = written["workloads"]["hello"]
    assert (hello["verdict"], hello["ratio"], hello["unit"]) == ("invalid", None, "µs")
    assert [entry["cost"] for entry in hello["servers"]["reference"]["rounds"]] == [6.0, 8.0]
    assert hello["servers"]["pyresty"] == {"cost": None, "requests_per_second": None, "rounds": [], "error": "no"}


def bars(svg: str) -> list[tuple[float, float, str]]:
    """Left edge, width and colour of each bar; the first rectangle is the ground."""
    rects = list(ET.fromstring(svg).iter(f"{SVG}rect"))[1:]
    return [(float(r.attrib["x"]), float(r.attrib["width"]), r.attrib["fill"]) for r in rects]


def test_picture_is_an_image_of_all_rows() -> None:
    rows = [row(workload.name, {name: 2.0 for name in workload.servers}) for workload in WORKLOADS]
    svg = picture.draw(rows, "nginx & <others>")
    texts = [text.text for text in ET.fromstring(svg).iter(f"{SVG}text")]
    assert all(workload.about in texts for workload in WORKLOADS)
    assert texts[-1] == "nginx & <others>"
    assert len(bars(svg)) == sum(1 if workload.kind == "load" else 3 for workload in WORKLOADS)


def test_picture_shows_which_side_and_which_mark() -> None:
    cheaper, dearer = bars(
        picture.draw(
            [row("hello", {"reference": 20.0, "pyresty": 10.0}), row("hello", {"reference": 5.0, "pyresty": 10.0})], ""
        )
    )
    assert cheaper[0] == pytest.approx(dearer[0] + dearer[1], abs=0.2)
    assert cheaper[1] == pytest.approx(dearer[1], abs=0.2)
    assert (cheaper[2], dearer[2]) == (picture.GOOD, picture.BAD)


def test_picture_without_figures() -> None:
    broken = report.Row(named("hello"), {"reference": Result(error="<no>"), "pyresty": Result(error="no")})
    svg = picture.draw([broken, report.Row(named("idle"), {})], "")
    assert "not measured" in [text.text for text in ET.fromstring(svg).iter(f"{SVG}text")]
    assert bars(svg) == []
