"""Every prefix of a record, crashed in several ways, opened, and compared with the model."""

from __future__ import annotations

import hashlib
import random
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from crash import Disk, Files, Kind, Operation, crashes
from workload import Content, content, record

from setwise_engine.collection import Collection
from setwise_engine.errors import EngineError

__all__ = ["Count", "replay", "written"]


@dataclass
class Count:
    """What was replayed. lost: acknowledged versions that were not there. wrong: anything else that was not right."""

    prefixes: int = 0
    crashes: int = 0
    distinct: int = 0
    lost: int = 0
    wrong: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.prefixes} prefixes, {self.crashes} crashes ({self.distinct} distinct states opened): "
            f"{self.lost} acknowledged commits lost, {self.wrong} wrong answers"
        )


def replay(
    log: Iterable[Operation],
    base: Files,
    states: Mapping[int, Content],
    *,
    path: str,
    folder: Path,
    rng: random.Random,
    chances: int = 3,
    count: Count | None = None,
) -> Count:
    """Plays all prefixes of the record. base: the files at its beginning, if any; states: content by version.

    path: the collection's within the files. folder: where crashed copies are made; it is emptied.
    chances: crashes of each prefix that `rng` draws, beside the four plain ones.
    """
    count = count or Count()
    disk = Disk.of(base, min(states)) if base else Disk(done=-1, begun=-1)
    known: dict[bytes, int | str] = {}
    for number, operation in enumerate(log):
        disk.apply(operation)
        if operation.kind is Kind.BEGIN or disk.done < 0:
            continue  # nothing happened, or its creation has not ended
        count.prefixes += 1
        for how, files in crashes(disk, rng, chances):
            count.crashes += 1
            digest = _digest(files)
            if digest not in known:
                count.distinct += 1
                shutil.rmtree(folder, ignore_errors=True)
                written(folder, files)
                known[digest] = _outcome(folder / path, states, rng)
            found = known[digest]
            where = f"crash after operation {number} ({operation}), {how}"
            if isinstance(found, str):
                count.wrong += 1
                count.problems.append(f"{where}: {found}")
            elif found < disk.done:
                count.lost += 1
                count.problems.append(f"{where}: version {found} is there, {disk.done} was acknowledged")
            elif found > disk.begun:
                count.wrong += 1
                count.problems.append(f"{where}: version {found} is there, at most {disk.begun} was begun")
    return count


def _outcome(crashed: Path, states: Mapping[int, Content], rng: random.Random) -> int | str:
    """The version that the crashed collection opens with, or what is wrong with it."""
    for name in ("segments", "index"):
        (crashed / name).mkdir(exist_ok=True)
    try:
        with Collection.open(crashed) as opened:
            return _checked(opened, states, rng)
    except (EngineError, OSError) as error:
        return f"{type(error).__name__}: {error}"


def _checked(opened: Collection, states: Mapping[int, Content], rng: random.Random) -> int | str:
    with opened.snapshot() as snapshot:
        version = snapshot.version
    expected = states[max(known for known in states if known <= version)]
    if content(opened) != expected:
        return f"version {version} does not hold what was written"
    if problems := opened.verify().problems:
        return f"verify: {problems[:2]}"
    orphans = {path.name for path in (opened.path / "segments").iterdir()} - _listed(opened)
    if orphans:
        return f"left in segments/: {sorted(orphans)}"
    if rng.random() < 0.2:
        return _usable(opened, version)
    return version


def _usable(opened: Collection, version: int) -> int | str:
    """The life of the collection goes on: a write lasts, and the next opening sees it."""
    opened.append([record("after the crash", 1)])
    with Collection.open(opened.path) as again:
        if "after the crash" not in content(again):
            return "a write after the crash was lost"
    return version


def _listed(opened: Collection) -> set[str]:
    with opened.snapshot() as snapshot:
        return {entry.file for entry in snapshot.view.entries.values()}


def written(folder: Path, files: Files) -> None:
    """Writes files into a folder."""
    made: set[Path] = set()
    for path, data in files.items():
        target = folder / path
        if target.parent not in made:
            target.parent.mkdir(parents=True, exist_ok=True)
            made.add(target.parent)
        target.write_bytes(data)


def _digest(files: Files) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(files):
        digest.update(f"{path}\0{len(files[path])}\0".encode())
        digest.update(files[path])
    return digest.digest()
