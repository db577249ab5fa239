"""What a long run has tried and found, and whether the code still has it."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from pathlib import Path

__all__ = ["replay", "table"]


def table(folder: Path) -> tuple[str, int]:
    """Counts by target as Markdown, and the number of findings and crashes."""
    sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    path = folder / "counts.jsonl"
    for line in path.read_text().splitlines() if path.exists() else []:
        said = json.loads(line)
        for key in ("accepted", "refused", "seconds", "cpu"):
            sums[said["target"]][key] += said.get(key, 0)
    rows = ["| target | cases | accepted | refused | distinct findings | corpus | CPU s |", "|---|" + "---:|" * 6]
    total: dict[str, float] = defaultdict(float)
    for name, one in sorted(sums.items()):
        one["found"] = len(_findings(folder, name))
        one["corpus"] = sum(1 for _ in (folder / "corpus" / name).glob("*"))
        one["cases"] = one["accepted"] + one["refused"]
        rows.append(_row(name, one))
        for key, value in one.items():
            total[key] += value
    return "\n".join([*rows, _row("all", total)]), int(total["found"])


def _row(name: str, one: dict[str, float]) -> str:
    cells = [f"{one[key]:,.0f}" for key in ("cases", "accepted", "refused", "found", "corpus", "cpu")]
    return f"| {name} | " + " | ".join(cells) + " |"


def _findings(folder: Path, name: str) -> list[Path]:
    """Inputs kept for a target: those that raised and those that ended the process."""
    kept = [*(folder / "findings").glob(f"{name}-*"), *(folder / "crashes").glob(f"{name}-*")]
    return sorted(path for path in kept if path.suffix != ".txt" and _target(path) == name)


def _target(path: Path) -> str:
    return path.name.split("-", 1)[0]


def replay(folder: Path) -> int:
    """Runs every finding once more; prints those that are left and returns 1 if there are any."""
    from fuzz_all import TARGETS
    from fuzz_target import Counts, tried

    left = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name, target in TARGETS.items():
            paths = _findings(folder, name)
            if not paths:
                continue
            (Path(scratch) / name).mkdir()
            ready = target.prepare(Path(scratch) / name)
            for path in paths:
                print(path.name, flush=True)  # before: it may end the process
                found = tried(ready, path.read_bytes(), Counts())
                if found is not None:
                    left += 1
                    print(f"  still: {found.error!r}\n  {found.place}")
    print(f"{left} findings are left")
    return 1 if left else 0
