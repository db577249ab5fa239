"""A real `setwise serve` under load: how much it answers, how fast, what it refuses, what memory it takes.

    scripts/bench load closed --work build/benchmarks       1, 8, 32 and 64 clients, each one call at a time
    scripts/bench load plain --work build/benchmarks        the same requests in a loop over the engine in process
    scripts/bench load overload --work build/benchmarks     calls at 0.5 to 5 times the capacity, whatever comes back
    scripts/bench load soak --work build/benchmarks --seconds 900

Clients run beside the server on the same machine, in processes of their own whose processor time is told. They send
ready-made bytes over one connection each and have no SDK. Images are crops of 640 x 480 pixels with bytes that were
never sent before, unless --repeated says otherwise. The collection is a copy that may be written to. Prints Markdown.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _live_data import large
from _load_door import SWITCHES, opened
from _load_plain import plain
from _load_report import codes, latencies, operations, windows
from _load_run import Outcome, Run
from _load_server import Running, serving
from _shared import machine, table

EVERYTHING = "id=50,image=20,compare=15,upsert=8,delete=5,stream=2"
CAPACITY_CLIENTS = 32
MOST_STORED = 1000  # images that are asked with


@dataclass(frozen=True, slots=True)
class Job:
    """What was asked for, and the server that it is about."""

    args: argparse.Namespace
    server: Running
    run: Run


def closed(job: Job) -> None:
    """A row for each number of clients."""
    rows = []
    for clients in job.args.clients:
        outcome = job.run(clients, job.args.mix, job.args.seconds)
        rows.append([str(clients), *_row(outcome)])
    print(f"{job.args.mix}, {job.args.seconds:.0f} s each:\n")
    print(table(["clients", "answered/s", "p50 / p95 / p99 in ms", "errors", *_COST], rows))


def overload(job: Job) -> None:
    """First the capacity, then offered rates around and far beyond it."""
    args = job.args
    capacity = args.rate or job.run(CAPACITY_CLIENTS, args.mix, args.seconds).rate
    print(f"{args.mix}; capacity, {CAPACITY_CLIENTS} clients one call at a time each: {capacity:.1f}/s\n")
    rows = []
    for factor in args.factors:
        outcome = job.run(max(args.clients), args.mix, args.seconds, rate=factor * capacity)
        refused = outcome.calls[outcome.calls["code"] != 0]
        share = f"{100 * outcome.rate / capacity:.0f} %"
        rows.append([f"{factor:g}x", f"{factor * capacity:.0f}", share, *_row(outcome), latencies(refused)])
    header = ["offered", "offered/s", "of capacity", "answered/s", "answered: p50 / p95 / p99", "errors", *_COST]
    print(table([*header, "refused: p50 / p95 / p99"], rows))
    print(f"By operation at {args.factors[-1]:g} times the capacity:\n")
    print(table(_BY_OPERATION, list(operations(outcome.calls, args.seconds))))


def soak(job: Job) -> None:
    """One long run: by operation, and over time."""
    args = job.args
    outcome = job.run(max(args.clients), args.mix, args.seconds)
    print(
        f"{max(args.clients)} clients, {args.mix}, {args.seconds:.0f} s: {outcome.rate:.1f} answered/s, all:", end=" "
    )
    print(f"{latencies(outcome.well)} ms, errors: {codes(outcome.calls)}\n")
    print(table(_BY_OPERATION, list(operations(outcome.calls, args.seconds))))
    header = ["minutes", "answered/s", "p50 / p95 / p99", "errors", "memory, MiB", "with mapped files", "threads"]
    samples = [each for each in job.server.samples if 0 <= each.at - outcome.began <= args.seconds]
    print(table(header, list(windows(outcome.calls, outcome.began, args.seconds, samples, args.windows))))
    few = max(1, len(samples) // 10)
    first, last = (np.median([each.anonymous for each in some]) / 2**20 for some in (samples[:few], samples[-few:]))
    print(f"Memory, median of the first and of the last tenth of the time: {first:.0f} and {last:.0f} MiB.\n")


_BY_OPERATION = ("operation", "calls", "answered/s", "p50 / p95 / p99", "errors")
_COST = ("server, cores", "clients, cores", "memory, MiB")


def _row(outcome: Outcome) -> list[str]:
    """Answered a second, latencies, errors, and what it cost."""
    rate, times, errors = f"{outcome.rate:.1f}", latencies(outcome.well), codes(outcome.calls)
    return [
        rate,
        times,
        errors,
        f"{outcome.server_cores:.2f}",
        f"{outcome.client_cores:.2f}",
        f"{outcome.memory / 2**20:.0f}",
    ]


@contextmanager
def _job(args: argparse.Namespace, folder: Path) -> Iterator[Job]:
    """The server, on a copy of the collection, and its clients."""
    collection = folder / "load.setwise"
    shutil.copytree(large(args.work, args.images), collection)
    options = [word for option in args.serve for word in option.split("=", 1)]
    log = args.work / "load-server.log"
    with (
        opened(folder / "door", args.door) as door,
        serving(collection, options, environment=door.environment, log=log) as server,
        server.watched(),
    ):
        run = Run(
            server,
            args.work,
            folder,
            args.processes,
            stored=min(MOST_STORED, args.images),
            deadline=args.deadline,
            repeated=args.repeated,
            ca=door.ca,
            key=door.key,
        )
        run(8, args.mix, args.warm_up)
        yield Job(args, server, run)
    if args.door:
        print(f"With {', '.join(args.door)}; the collector of traces got {door.exports} messages.\n")


def main() -> None:
    """Start the server, put it under load, print tables."""
    kinds: dict[str, Callable[[Job], None]] = {"closed": closed, "overload": overload, "soak": soak}
    args = _arguments((*kinds, "plain"))
    args.work.mkdir(parents=True, exist_ok=True)
    print(machine(), end="\n\n")
    if args.kind == "plain":
        collection, stored = large(args.work, args.images), min(MOST_STORED, args.images)
        print(plain(collection, args.work, args.mix, args.seconds, stored=stored, repeated=args.repeated))
        return
    with tempfile.TemporaryDirectory(dir=args.work, prefix="load-") as folder, _job(args, Path(folder)) as job:
        kinds[args.kind](job)


def _arguments(kinds: tuple[str, ...]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A server under load.")
    parser.add_argument("kind", choices=kinds)
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps the collection and the pictures")
    parser.add_argument("--images", type=int, default=5000, help="in the collection (default: %(default)s)")
    parser.add_argument("--mix", default=EVERYTHING, help="OPERATION=WEIGHT,... (default: %(default)s)")
    parser.add_argument("--clients", type=_numbers, default=(1, 8, 32, 64), help="default: 1,8,32,64")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement (default: %(default)s)")
    parser.add_argument("--warm-up", type=float, default=5.0, metavar="S", help="default: %(default)s")
    parser.add_argument("--processes", type=int, default=2, help="that the clients share (default: %(default)s)")
    parser.add_argument("--deadline", type=float, default=10.0, help="seconds of a call (default: %(default)s)")
    parser.add_argument(
        "--repeated", type=float, default=0.0, help="share of images that were sent before (default: 0)"
    )
    parser.add_argument(
        "--rate", type=float, default=0.0, help="capacity of an overload, in calls a second (default: measured)"
    )
    parser.add_argument("--factors", type=_factors, default=(0.5, 1.0, 2.0, 5.0), help="default: 0.5,1,2,5")
    parser.add_argument("--windows", type=int, default=15, help="rows of a soak over time (default: %(default)s)")
    parser.add_argument(
        "--serve", action="append", default=[], metavar="OPTION", help="of `setwise serve`, as --workers=4"
    )
    parser.add_argument(
        "--door", type=lambda text: text.split(","), default=(), help=f"any of {','.join(SWITCHES)} (default: none)"
    )
    args = parser.parse_args()
    if sys.platform != "linux":
        parser.error("memory and processor time of the server are read from /proc, which this system has not")
    return args


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


def _factors(text: str) -> tuple[float, ...]:
    return tuple(map(float, text.split(",")))


if __name__ == "__main__":
    main()
