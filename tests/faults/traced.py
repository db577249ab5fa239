"""The order of fsync, rename and commit as the kernel saw it, from a collection's creation on; and its replay.

    scripts/fsync-order            one append, call by call
    scripts/fsync-order --replay   and every prefix of the system calls replayed

Needs strace. The work runs in a process of its own with the disk that everybody uses; no recorder is in it.
"""

from __future__ import annotations

import argparse
import os
import pickle
import random
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from crash import Disk, Kind, Operation
from prefixes import COLLECTION
from replay import replay
from syscalls import MARKS, Trace, trace
from workload import Work, created

from setwise_engine.collection import Collection

__all__ = ["order_of_one_append", "out_of_order", "traced"]


@dataclass
class Marks:
    """Tells strace what begins and what has been acknowledged, by writing it to a file."""

    descriptor: int

    def begin(self, version: int) -> None:
        """Commits up to this version may be under way."""
        os.write(self.descriptor, b"begin %d" % version)

    def done(self, version: int) -> None:
        """This version has been acknowledged."""
        os.write(self.descriptor, b"done %d" % version)


def work(root: Path, seed: int, steps: int) -> None:
    """What the traced process does: makes a collection and works on it."""
    marks = Marks(os.open(root / MARKS, os.O_WRONLY | os.O_CREAT))
    with created(root / COLLECTION) as made:
        marks.done(0)
        del made
    with Collection.open(root / COLLECTION) as collection:
        todo = Work(collection, marks, random.Random(seed))
        todo.steps(steps)
    (root.parent / "states").write_bytes(pickle.dumps(todo.states))


def traced(folder: Path, seed: int, steps: int) -> tuple[list[Operation], dict[int, object]]:
    """The system calls of work of one seed as operations, and the content of each version."""
    root, output = folder / "traced", folder / "strace.txt"
    root.mkdir()
    trace([sys.executable, __file__, "--work", str(root), str(seed), str(steps)], output)
    with output.open() as lines:
        operations = list(Trace(root).operations(lines))
    return operations, pickle.loads((folder / "states").read_bytes())


def out_of_order(operations: Iterable[Operation]) -> Iterator[str]:
    """What breaks the rules; one sentence each.

    A file is forced to disk before it gets its name. When the catalog's log or database is written, every segment's
    bytes and name have arrived. When a commit is acknowledged, the catalog's log has arrived.
    """
    disk = Disk(done=-1, begun=-1)
    for operation in operations:
        if operation.kind is Kind.RENAME and disk.files[disk.names[operation.path]].pending:
            yield f"{operation}: renamed before it was forced to disk"
        disk.apply(operation)
        if operation.kind is Kind.WRITE and Path(operation.path).name.startswith("catalog.sqlite"):
            for path in _not_arrived(disk, "/segments/"):
                yield f"{operation}: {path} had not been forced to disk"
        if operation.kind is Kind.DONE:
            for path in _not_arrived(disk, "/catalog.sqlite"):
                yield f"version {operation.offset} was acknowledged before {path} was forced to disk"


def _not_arrived(disk: Disk, part: str) -> Iterator[str]:
    for path, file in disk.names.items():
        # A checkpoint may go on after the commit: the log still has what it writes into the database.
        named = disk.arrived.get(path) == file or not disk.files[file].seen()
        settled = named and not disk.files[file].pending
        if part in f"/{path}" and not path.endswith((".tmp", "catalog.sqlite")) and not settled:
            yield path


def order_of_one_append(operations: list[Operation]) -> list[str]:
    """What happened from the first segment's creation to its acknowledgement; like calls in one line."""
    start = next(i for i, one in enumerate(operations) if one.kind is Kind.CREATE and "/segments/" in one.path)
    end = next(i for i, one in enumerate(operations) if one.kind is Kind.DONE and i > start)
    lines: list[tuple[str, int]] = []
    for one in operations[start : end + 1]:
        what = f"acknowledged: version {one.offset}" if one.kind is Kind.DONE else f"{one.kind} {one.path}"
        what += f" to {one.to}" if one.to else ""
        if lines and lines[-1][0] == what:
            lines[-1] = (what, lines[-1][1] + 1)
        else:
            lines.append((what, 1))
    return [f"{what} ({count} times)" if count > 1 else what for what, count in lines]


def main() -> int:
    """Prints the order and what breaks it; 1 when something does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--replay", action="store_true", help="replay every prefix too")
    parser.add_argument("--chances", type=int, default=3, help="crashes drawn for each prefix, beside four plain ones")
    parser.add_argument("--work", nargs=3, metavar=("ROOT", "SEED", "STEPS"), help="be the traced process")
    args = parser.parse_args()
    if args.work:
        work(Path(args.work[0]), int(args.work[1]), int(args.work[2]))
        return 0
    with tempfile.TemporaryDirectory(prefix="setwise-traced-") as name:
        folder = Path(name)
        operations, states = traced(folder, args.seed, args.steps)
        print("\n".join(order_of_one_append(operations)))
        wrong = list(out_of_order(operations))
        commits = sum(one.kind is Kind.DONE for one in operations)
        print(f"\n{len(operations)} system calls, {commits} acknowledged commits, {len(wrong)} out of order")
        print("\n".join(wrong[:20]))
        if args.replay:
            crashed, rng = folder / "crashed", random.Random(args.seed)
            count = replay(operations, {}, states, path=COLLECTION, folder=crashed, rng=rng, chances=args.chances)
            print(count, *count.problems[:20], sep="\n")
            wrong += count.problems
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
