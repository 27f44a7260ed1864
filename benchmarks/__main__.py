"""``python -m benchmarks``: measures, prints, and keeps what it is told to keep."""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import sys
import time
from pathlib import Path

from benchmarks import measure, picture, procfs, report, servers
from benchmarks.workloads import WORKLOADS

#: Above this load average before the start, somebody else's work would be measured too.
QUIET = 0.5


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line; ends the process with a message where it is wrong."""
    names = [workload.name for workload in WORKLOADS]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Compares the processor time of pyresty, nginx with ngx_lua (the reference) and uvicorn.",
        epilog="Workloads: " + ", ".join(names) + ".",
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=names, default=names, help="these workloads")
    parser.add_argument("--seconds", type=int, default=4, metavar="N", help="length of a round (default 4)")
    parser.add_argument(
        "--servers",
        type=lambda text: text.split(","),
        default=list(servers.COMMANDS),
        metavar="NAME,NAME",
        help="of " + ",".join(servers.COMMANDS) + " (default all)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round's figures to FILE")
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="draw FILE (SVG), and write the table beside it (.md)"
    )
    args = parser.parse_args(argv)
    for name in args.servers:
        if name not in servers.COMMANDS:
            parser.error(f"no such server: {name} (choose from {', '.join(servers.COMMANDS)})")
    if args.seconds < 1:
        parser.error("--seconds must be 1 or more")
    if args.picture and args.picture.suffix != ".svg":
        parser.error("--picture must name a .svg file")
    return args


def processors() -> measure.Cores:
    """The first processor that this process may use for the load, the last one for the server."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        sys.exit("two processors are needed, one for the server and one for the load; this process may use one only")
    return measure.Cores(server=usable[-1], load=usable[0])


def main() -> int:
    """Runs the command and returns its exit status: 1 if a result is invalid. A missed mark is no error."""
    args = arguments()
    cores = processors()
    if not shutil.which("wrk"):
        sys.exit("wrk is not installed (Debian: apt-get install wrk)")
    chosen = [w for w in WORKLOADS if w.name in args.only and set(w.servers) & set(args.servers)]
    if not chosen:
        sys.exit("none of these servers takes part in these workloads")
    needed = {name for w in chosen for name in w.servers if name in args.servers}
    needed |= {"reference" for w in chosen if w.origin}
    try:
        versions = {name: servers.version(name) for name in servers.COMMANDS if name in needed}
    except servers.ServerError as error:
        sys.exit(f"{error}\n(--servers leaves a server out; the proxy workloads need the reference as their origin)")

    busy = os.getloadavg()[0]
    if busy > QUIET:
        print(f"other programs are busy here (load average {busy:.1f}): figures will be too high", file=sys.stderr)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.sched_setaffinity(0, {cores.load})
    setting = {
        "date": time.strftime("%Y-%m-%d"),
        **versions,
        "Python": platform.python_version(),
        "processor": f"{procfs.cpu_model()}, one for the server, one for the load",
        "load average before": f"{busy:.1f}",
        "load": f"wrk, {measure.CONNECTIONS} connections, cheapest of {measure.KINDS['load'].rounds} rounds "
        f"of {args.seconds} s after {measure.WARM_UP} s warm-up, servers in turn",
    }
    rows = []
    print(report.line(list(report.HEAD)))
    for workload in chosen:
        row = report.Row(workload, measure.run(workload, args.servers, args.seconds, cores))
        rows.append(row)
        print(report.line(report.cells(row)), flush=True)
        for message in row.errors:
            print(f"    {message}", flush=True)

    if args.json:
        args.json.write_text(json.dumps(report.as_json(rows, setting), indent=1) + "\n")
    if args.picture:
        args.picture.parent.mkdir(parents=True, exist_ok=True)
        foot = [setting[name] for name in servers.COMMANDS if name in setting]
        args.picture.write_text(picture.draw(rows, ", ".join([*foot, f"Python {setting['Python']}", setting["date"]])))
        page = args.picture.with_suffix(".md")
        page.write_text(report.into_page(page.read_text() if page.exists() else "", report.markdown(rows, setting)))
    return 1 if any(row.errors for row in rows) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
