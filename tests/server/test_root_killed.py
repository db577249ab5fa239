"""A process that makes, drops and aliases collections is killed again and again: what it said it did is so, the one
change that it was about to make is there whole or not at all, and whatever is listed opens."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from setwise_engine.collection import Collection
from setwise_server._root import Root

WORKER = Path(__file__).with_name("root_worker.py")


@dataclass
class Model:
    """What is in the folder: collections, those that wait, aliases."""

    collections: set[str] = field(default_factory=set)
    waiting: set[str] = field(default_factory=set)
    aliases: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Root) -> Model:
        """What is there."""
        return cls(set(root.scan()), set(root.waiting()), root.aliases())

    def after(self, kind: str, *names: str) -> Model:
        """What is there when the change was made."""
        made, waits, aliases, last = set(self.collections), set(self.waiting), dict(self.aliases), names[-1]
        match kind:
            case "create":
                made.add(last)
            case "wait":
                waits.add(last)
            case "finish":
                made.add(last)
                waits.discard(last)
            case "drop":
                made.discard(last)
                waits.discard(last)
            case "alias":
                aliases[names[0]] = last
            case "unalias":
                aliases.pop(last, None)
        return Model(made, waits, aliases)


def run_and_kill(folder: Path, seed: int, seconds: float) -> list[list[str]]:
    """What the worker said until it was killed, `seconds` after it was ready."""
    command = [sys.executable, str(WORKER), str(folder), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(seconds)
        process.kill()
        said = process.stdout.read()
    whole, _, _ = said.rpartition("\n")  # the last line may be cut: unbuffered, Python writes it in pieces
    return [line.split() for line in whole.splitlines()]


def check(folder: Path, said: list[list[str]], before: Model) -> Model:
    """Holds the folder against what was said; what is there then."""
    model, begun = before, list[str]()
    for kind, *words in said:
        if kind == "done":
            model = model.after(begun[0], *begun[1:])
        else:
            begun = words
    root = Root(folder)
    found = Model.of(root)
    root.sweep()
    possible = [model] if said[-1:] == [["done"]] or not begun else [model, model.after(begun[0], *begun[1:])]
    # Between making a collection and forgetting that it waited it is both; a server shows it as made.
    found.waiting -= found.collections
    assert found in possible
    assert not any(root.folder.glob(".dropped/*"))
    for path in root.scan().values():
        with Collection.open(path) as collection:
            assert collection.verify().ok
    return Model.of(root)


def test_killed_at_random_moments(tmp_path: Path) -> None:
    kill(tmp_path, kills=2)


@pytest.mark.slow
def test_killed_at_random_moments_many_times(tmp_path: Path) -> None:
    kill(tmp_path, kills=60)


def kill(folder: Path, kills: int) -> None:
    choose, model, changes = random.Random(94), Model(), 0
    for seed in range(kills):
        said = run_and_kill(folder, seed, choose.uniform(0.0, 0.3))
        changes += said.count(["done"])
        model = check(folder, said, model)
    print(f"{kills} kills survived, {changes} changes acknowledged, none lost")
    assert changes
