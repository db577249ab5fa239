"""kill -9 during indexing, ten times at random moments, against a collection built in a single run.

    python benchmarks/kill_resume.py
    python benchmarks/kill_resume.py --dims 128      # the encoder is fitted, and kills may strike while it is

Runs the real `setwise index` on real photos (crops of the shipped ones) listed with metadata in a manifest. About a
third of the kills strike at a random moment after the start (imports, loading the model, creation), the others at one
after the first commit of their run. After each the same command is started again; when one gets through before it is
killed, another collection is begun, so that every kill strikes work. Each collection must in the end agree with the
single run's in ids, metadata, content hashes and encoder, in tokens to one unit of fp16, and every byte must verify.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic, sleep

import numpy as np
from _shared import machine, say, table
from PIL import Image, ImageEnhance, ImageOps

from setwise_engine.collection import Collection, verify_folder

PHOTOS = Path(__file__).parents[1] / "client/setwise/_demo/photos"
LONGEST = 120.0  # seconds that one run may take


def write_photos(folder: Path, count: int, seed: int) -> Path:
    """`count` crops of the shipped photos, mirrored and brightened at random, and their manifest."""
    rng = random.Random(seed)
    sources = sorted(PHOTOS.glob("*.jpg"))
    lines = []
    folder.mkdir()
    for number in range(count):
        with Image.open(sources[number % len(sources)]) as opened:
            picture = opened.convert("RGB")
        width, height = (round(side * rng.uniform(0.4, 1.0)) for side in picture.size)
        left, top = rng.randint(0, picture.width - width), rng.randint(0, picture.height - height)
        crop = picture.crop((left, top, left + width, top + height))
        crop = ImageOps.mirror(crop) if rng.random() < 0.5 else crop
        ImageEnhance.Brightness(crop).enhance(rng.uniform(0.7, 1.3)).save(folder / f"{number:03}.jpg", quality=92)
        lines.append(json.dumps({"path": f"{number:03}.jpg", "of": sources[number % len(sources)].stem, "left": left}))
    (folder / "photos.jsonl").write_text("\n".join(lines))
    return folder / "photos.jsonl"


def start(manifest: Path, into: Path, options: list[str]) -> subprocess.Popen[bytes]:
    """The command itself, in a process of its own."""
    command = [sys.executable, "-c", "import sys; from setwise._cli import main; sys.exit(main())", "index"]
    command += ["--manifest", str(manifest), "--into", str(into), "--device", "cpu", "--commit-seconds", "1", *options]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def single_run(manifest: Path, into: Path, options: list[str]) -> tuple[float, float]:
    """Builds the reference; seconds to the first commit and to the end."""
    begun = monotonic()
    process = start(manifest, into, options)
    first = 0.0
    while process.poll() is None and monotonic() - begun < LONGEST:
        first = first or (monotonic() - begun if _segments(into) else 0.0)
        sleep(0.05)
    _check_ended(process)
    return first, monotonic() - begun


def _segments(path: Path) -> list[Path]:
    return list(path.glob("segments/*.safetensors"))


def _check_ended(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    if process.wait() != 0:
        raise SystemExit(f"setwise index ended with {process.returncode}")


class Killer:
    """Starts the command and kills it at random moments; whenever it gets through, begins another collection."""

    def __init__(self, work: Path, manifest: Path, options: list[str]) -> None:
        self._work, self._manifest, self._options = work, manifest, options
        self.finished: list[Path] = []
        self.kills: list[list[object]] = []

    @property
    def into(self) -> Path:
        return self._work / f"killed-{len(self.finished) + 1}.setwise"

    def strike(self, moment: str, delay: float) -> None:
        """One start, killed `delay` seconds after its start or after its first commit, unless it has ended before."""
        before = len(_segments(self.into))
        begun = monotonic()
        process = start(self._manifest, self.into, self._options)
        while moment == "first commit" and len(_segments(self.into)) <= before and process.poll() is None:
            if monotonic() - begun > LONGEST:
                break
            sleep(0.01)
        try:
            process.wait(timeout=delay)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            when = f"{delay:.2f} s after its {moment}"
            self.kills.append([len(self.kills) + 1, when, len(self.finished) + 1, _images(self.into)])
            say(f"kill {self.kills[-1][0]}, {when}: {self.kills[-1][-1]} images stored")
        else:
            _check_ended(process)
            self.finished.append(self.into)

    def finish(self) -> None:
        """Let the last one through."""
        single_run(self._manifest, self.into, self._options)
        self.finished.append(self.into)


def _images(path: Path) -> int | str:
    if not (path / "catalog.sqlite").exists():
        return "not created yet"
    with Collection.open(path, read_only=True) as collection:
        return collection.info().images


def differences(one: Path, other: Path) -> dict[str, object]:
    """What must agree between two collections, with how far it does not."""
    with Collection.open(one, read_only=True) as a, Collection.open(other, read_only=True) as b:
        known, again = a.sources(), b.sources()
        shared = sorted(known.keys() & again.keys())
        with a.snapshot() as left, b.snapshot() as right:
            pairs = zip(left.keys(shared), right.keys(shared), strict=True)
            units = [_units(left.tokens(x), right.tokens(y)) for x, y in pairs if x is not None and y is not None]
        return {
            "images": f"{len(known)} and {len(again)}",
            "ids that differ": len(known.keys() ^ again.keys()),
            "metadata that differ": sum(known[id].metadata != again[id].metadata for id in shared),
            "hashes that differ": sum(known[id].content_hash != again[id].content_hash for id in shared),
            "encoder": "same" if a.encoder.fingerprint == b.encoder.fingerprint else "DIFFERENT",
            "largest token difference in fp16 units": max(units, default=0),
            "rows stored twice": b.info().dead_rows,
            "problems found by verify": len(verify_folder(one).problems + verify_folder(other).problems),
        }


def agree(found: dict[str, object]) -> bool:
    """Whether two collections are the same, tokens to one unit of fp16."""
    units = int(str(found["largest token difference in fp16 units"]))
    others = {name: value for name, value in found.items() if "differ" in name or "twice" in name or "verify" in name}
    del others["largest token difference in fp16 units"]
    return units <= 1 and found["encoder"] == "same" and not any(others.values())


def _units(x: np.ndarray, y: np.ndarray) -> int:
    """Largest distance counted in neighbouring fp16 numbers: their bit patterns, made to ascend, are consecutive."""
    ordered = [np.where(bits < 0, -32768 - bits, bits) for bits in (a.view(np.int16).astype(np.int32) for a in (x, y))]
    return int(np.abs(ordered[0] - ordered[1]).max(initial=0))


def main() -> int:
    """Print the kills and the comparison; 1 when the collections differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=240)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--dims", help="fit an encoder with so many dimensions instead of taking the shipped one")
    args = parser.parse_args()
    options = ["--dims", args.dims] if args.dims else []
    with tempfile.TemporaryDirectory(prefix="setwise-kill-") as work:
        manifest = write_photos(Path(work) / "photos", args.images, args.seed)
        first, end = single_run(manifest, Path(work) / "single.setwise", options)
        say(f"single run: first commit after {first:.1f} s, end after {end:.1f} s")
        rng, killer = random.Random(args.seed), Killer(Path(work), manifest, options)
        for _ in range(3 * args.kills):
            if len(killer.kills) < args.kills:
                starting = rng.random() < 0.3
                killer.strike(
                    "start" if starting else "first commit",
                    rng.uniform(0.0, first if starting else (end - first) / 6),
                )
        killer.finish()
        found = [differences(Path(work) / "single.setwise", path) for path in killer.finished]
    print(f"{machine()}\n{args.images} images, seed {args.seed}, options {options or 'none'}; single run {end:.1f} s\n")
    print(table(["kill", "moment", "collection", "images stored"], killer.kills))
    numbers = [f"collection {number}" for number in range(1, len(found) + 1)]
    rows = [[name, *(one[name] for one in found)] for name in found[0]]
    print(table(["compared with a single run", *numbers], rows))
    return 0 if all(map(agree, found)) and len(killer.kills) == args.kills else 1


if __name__ == "__main__":
    sys.exit(main())
