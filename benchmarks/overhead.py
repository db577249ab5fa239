"""What the wire adds to a search: the SDK over gRPC beside the SDK in process, plain and with TLS, keys and tracing.

    scripts/bench overhead --work build/benchmarks

Each way gets the same queries, one call at a time, in turns within one run, so that a drifting machine slows all of
them alike; differences are taken call by call. The bytes of each picture are new, so that its network runs each time.
The servers take no writes. Prints Markdown.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter

import numpy as np
from _live_data import large
from _load_door import SWITCHES, opened
from _load_mix import pictures
from _load_server import serving
from _shared import machine, say, table

import setwise

PLAIN: tuple[str, ...] = ()
WAYS: dict[str, tuple[str, ...]] = {
    "gRPC": PLAIN,
    "gRPC, TLS": ("tls",),
    "gRPC, keys": ("keys",),
    "gRPC, metrics": ("metrics",),
    "gRPC, traces": ("traces",),
    "gRPC, all of them": SWITCHES,
}
WARM = 10
Times = dict[str, list[float]]


@contextmanager
def _clients(collection: Path, folder: Path, ways: Sequence[str]) -> Iterator[dict[str, setwise.Client]]:
    """A client in process, and one for each way, each with a server of its own."""
    with ExitStack() as stack:
        clients = {"in process": stack.enter_context(setwise.connect(collection))}
        for number, name in enumerate(ways):
            say(f"starting a server: {name}")
            door = stack.enter_context(opened(folder / str(number), WAYS[name]))
            log = folder / f"{number}.log"
            server = stack.enter_context(serving(collection, ["--read-only"], environment=door.environment, log=log))
            clients[name] = stack.enter_context(
                setwise.connect(server.address, ca=door.ca or None, api_key=door.key, retries=0)
            )
        yield clients


def _timed(clients: dict[str, setwise.Client], queries: Sequence[setwise.Id | bytes], rounds: int) -> Times:
    """Seconds of each call, by way; each round asks every way the same, beginning with another one each time."""
    names = list(clients)
    times: Times = {name: [] for name in names}
    for number in range(-WARM, rounds):
        query, turn = queries[number % len(queries)], number % len(names)
        if isinstance(query, bytes):  # a picture that nobody has seen: decoders pass over what follows its end
            query += f"{number}".encode()
        for name in names[turn:] + names[:turn]:
            started = perf_counter()
            clients[name].search(query)
            if number >= 0:
                times[name].append(perf_counter() - started)
    return times


def _rows(times: Times) -> Iterator[list[str]]:
    base = np.array(times["in process"])
    for name, seconds in times.items():
        own = np.array(seconds)
        p50, p95, p99 = np.percentile(own, (50, 95, 99)) * 1e3
        allowed = 1.15 * float(np.median(base)) * 1e3 + 1
        added = np.percentile(own - base, (25, 50, 75)) * 1e3
        within = "" if name == "in process" else f"{allowed:.2f}: {'yes' if p50 <= allowed else 'no'}"
        spread = "" if name == "in process" else f"{added[1]:+.2f} [{added[0]:+.2f}, {added[2]:+.2f}]"
        yield [
            name,
            f"{p50:.2f}",
            f"{p95:.2f}",
            f"{p99:.2f}",
            f"{np.median(own) / np.median(base):.3f}",
            spread,
            within,
        ]


def main() -> None:
    """Start the servers, ask in turns, print a table by id and one by image."""
    parser = argparse.ArgumentParser(description="What the wire adds to a search.")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps the collection and the pictures")
    parser.add_argument("--images", type=int, default=5000, help="in the collection (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=300, help="calls of each way (default: %(default)s)")
    parser.add_argument("--ways", default=",".join(map(str, range(len(WAYS)))), help="numbers of ways (default: all)")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    collection = large(args.work, args.images)
    ids, images = [setwise.Id(f"{i:06d}") for i in range(1000)], pictures(args.work)
    ways = [list(WAYS)[int(number)] for number in args.ways.split(",")]
    header = ["way", "p50", "p95", "p99", "p50 ratio", "added, median [quartiles]", "1.15x + 1 ms"]
    kinds: dict[str, Callable[[], Sequence[setwise.Id | bytes]]] = {"by id": lambda: ids, "by image": lambda: images}
    print(machine(), end="\n\n")
    with tempfile.TemporaryDirectory(dir=args.work) as folder, _clients(collection, Path(folder), ways) as clients:
        for kind, queries in kinds.items():
            times = _timed(clients, queries(), args.rounds)
            print(f"{kind}, {args.images:,} images, {args.rounds} calls of each way, ms:\n")
            print(table(header, list(_rows(times))))


if __name__ == "__main__":
    main()
