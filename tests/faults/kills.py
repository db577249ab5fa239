"""kill -9 at random moments of a server, a compactor, a snapshot and an indexer under mixed work, and a model checker.

    scripts/faults kills --kills 500

A round: `setwise serve` starts on a folder that earlier rounds left; three threads upsert, delete and update through
the SDK, two search exhaustively; beside them `setwise compact`, `setwise snapshot` or `setwise index` starts and is
killed; at last the server is. Then everything acknowledged must be there, everything else whole or not at all, every
snapshot absent or whole, and every search must have equalled a brute-force answer over what was there.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from driver import COLLECTION, Driver, read_content, tokens_of
from ledger import Ledger
from workload import created
from zygote import Process, Zygote

from setwise_engine.collection import Collection, restore, verify_folder
from setwise_engine.errors import EngineError

__all__ = ["Harness"]

SIDES = ("compactor", "snapshot", "indexer")
_KILLED = -9


@dataclass
class Harness:
    """Rounds of kills in one folder. killed: by victim; ended: those that were faster than their kill."""

    folder: Path
    zygote: Zygote
    rng: random.Random
    longest: float = 2.0
    ledger: Ledger = field(default_factory=Ledger)
    killed: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    snapshots: Counter[str] = field(default_factory=Counter)
    indexed: set[str] = field(default_factory=set)
    rounds: int = 0

    def __post_init__(self) -> None:
        self.root, self.sets, self.tar = self.folder / "root", self.folder / "sets", self.folder / "out.tar"
        self.root.mkdir()
        self.sets.mkdir()
        self.path, self.index_path = self.root / f"{COLLECTION}.setwise", self.root / "indexed.setwise"
        created(self.path).close()
        created(self.index_path).close()

    def round(self) -> None:
        """One server's life."""
        self.rounds += 1
        self.tar.unlink(missing_ok=True)  # the ledger knows the states since the last crash
        server = self._start("server", "serve", "--root", str(self.root), "--port", "0", "--device", "cpu")
        if self.rng.random() < 0.1:
            time.sleep(self.rng.uniform(0, 0.3))  # perhaps before it is ready, in the middle of a recovery
            self._kill("server", server)
        else:
            address = server.line("serving ").split()[-1]
            driver = Driver(address, self.ledger, self.rng.randrange(1 << 30))
            driver.start()
            until = time.monotonic() + self.rng.uniform(0.1, self.longest)
            while (left := until - time.monotonic()) > 0.05:
                time.sleep(self.rng.uniform(0, left / 2))
                self._side(self.rng.choice(SIDES))
            time.sleep(max(0.0, until - time.monotonic()))
            self._kill("server", server)
            driver.stop()
            self.ledger.wrong += [f"round {self.rounds}: {problem}" for problem in driver.problems]
        self._check()

    def _start(self, name: str, *arguments: str, again: bool = False) -> Process:
        return self.zygote.start(arguments, self.folder / f"{name}.txt", again=again)

    def _kill(self, name: str, process: Process) -> None:
        status = process.kill()
        (self.killed if status == _KILLED else self.ended)[name] += 1
        if status not in (0, _KILLED):
            text = process.output.read_text()[-500:]
            self.ledger.wrong.append(f"round {self.rounds}: {name} ended with {status}: {text}")

    def _side(self, name: str) -> None:
        """Something beside the server that does its work again and again, killed within 0.8 s; or once, let through."""
        if name == "compactor":
            arguments = ["compact", str(self.path), *self.rng.choice([[], ["--everything"]])]
        elif name == "snapshot":
            arguments = ["snapshot", str(self.path), str(self.tar)]
        else:
            options = ["--features", "--commit-seconds", "0.01"]
            arguments = ["index", str(self._new_sets()), *options, "--into", str(self.index_path)]
        if self.rng.random() < 0.9:
            process = self._start(name, *arguments, again=True)
            time.sleep(self.rng.uniform(0, 0.8))
            self._kill(name, process)
        else:
            process = self._start(name, *arguments)
            if status := process.wait():
                self.ledger.wrong.append(f"{name} ended with {status}: {process.output.read_text()[-500:]}")
        if name == "snapshot":
            self._check_snapshot()

    def _new_sets(self) -> Path:
        """The folder of ready-made sets, with some more files: their names are their seeds."""
        for _ in range(self.rng.randrange(1, 6)):
            seed = self.rng.randrange(1 << 24)
            np.save(self.sets / f"{seed}.npy", tokens_of(seed))
        return self.sets

    def _check_snapshot(self) -> None:
        """OUT.tar is not there, or it is whole: it restores to a state that the collection had."""
        if not self.tar.exists():
            self.snapshots["none"] += 1
            return
        self.snapshots["whole"] += 1
        target = self.folder / "restored.setwise"
        shutil.rmtree(target, ignore_errors=True)
        try:
            restore(self.tar, target)
            content, version, torn = read_content(target)
            problems = verify_folder(target).problems + [f"{id} is torn" for id in torn]
        except EngineError as error:
            self.ledger.wrong.append(f"the snapshot cannot be restored: {error}")
            return
        for id in self.ledger.changes.keys() | content.keys():
            if content.get(id) not in (states := self.ledger.possible(id, version)):
                problems.append(f"version {version}: {id} is {content.get(id)} instead of {states}")
        self.ledger.wrong += [f"snapshot: {problem}" for problem in problems]

    def _check(self) -> None:
        """What lies on disk once everything has been killed."""
        try:
            content, version, torn = read_content(self.path)
            self.ledger.after_a_crash(content, version)
            problems = [f"{id} is torn" for id in torn] + verify_folder(self.path).problems
            problems += self._check_indexed()
        except EngineError as error:
            problems = [f"cannot be opened: {type(error).__name__}: {error}"]
        self.ledger.wrong += [f"after round {self.rounds}: {problem}" for problem in problems]

    def _check_indexed(self) -> list[str]:
        """What was indexed once stays, and every image is that of its file."""
        with Collection.open(self.index_path, read_only=True) as collection, collection.snapshot() as snapshot:
            keys = snapshot.page("", 1_000_000)
            found = dict(zip(snapshot.ids(keys), keys, strict=True))
            torn = [
                id
                for id, key in found.items()
                if snapshot.tokens(key).tobytes() != tokens_of(int(Path(id).stem)).tobytes()
            ]
        self.ledger.lost += [f"after round {self.rounds}: {id} was indexed" for id in self.indexed - found.keys()]
        self.indexed = set(found)
        return [f"{id} is not what its file says" for id in torn] + verify_folder(self.index_path).problems

    def __str__(self) -> str:
        killed = ", ".join(f"{count} {name}" for name, count in sorted(self.killed.items()))
        return (
            f"{self.killed.total()} kills ({killed}; {self.ended.total()} had ended before) in {self.rounds} rounds: "
            f"{len(self.ledger.lost)} acknowledged images lost, {len(self.ledger.wrong)} wrong answers; "
            f"{self.ledger.acknowledged} changes acknowledged, {self.ledger.searches} exhaustive searches checked, "
            f"{self.snapshots['whole']} snapshots whole, {self.snapshots['none']} absent, {len(self.indexed)} indexed"
        )


def main() -> int:
    """Prints the counts; 1 when anything was lost or wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="at least so many")
    parser.add_argument("--longest", type=float, default=2.0, help="seconds that a server lives at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder to leave behind; a temporary one by default")
    args = parser.parse_args()
    folder = args.keep or Path(tempfile.mkdtemp(prefix="setwise-kills-"))
    folder.mkdir(exist_ok=True)
    begun, spoke = time.monotonic(), 0.0
    with Zygote() as zygote:
        harness = Harness(folder, zygote, random.Random(args.seed), args.longest)
        while harness.killed.total() < args.kills and not harness.ledger.lost and not harness.ledger.wrong:
            harness.round()
            if time.monotonic() - spoke > 10:
                spoke = time.monotonic()
                print(f"{spoke - begun:.0f} s: {harness}", file=sys.stderr, flush=True)
    print(f"{harness}\nseed {args.seed}, {time.monotonic() - begun:.0f} s")
    print("\n".join((harness.ledger.lost + harness.ledger.wrong)[:20]))
    if args.keep is None:
        shutil.rmtree(folder)
    return 1 if harness.ledger.lost or harness.ledger.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
