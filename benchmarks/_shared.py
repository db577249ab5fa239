"""What the benchmarks share: scenes composed once, their encoded sets, larger made-up collections, and tables."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from setwise_engine.encoder import Encoder, default_encoder
from setwise_engine.errors import Unavailable
from setwise_engine.features import load_extractor, prepare_image
from setwise_evaluation.scenes import Split, find_backgrounds, find_cutouts, write_scenes

__all__ = [
    "Sets",
    "composed",
    "encoded",
    "machine",
    "milliseconds",
    "raw",
    "resampled",
    "say",
    "shipped_encoder",
    "table",
]

Sets = NDArray[np.float16]

_BATCH = 16


def say(text: str) -> None:
    """Progress on stderr, so that stdout holds nothing but the tables."""
    print(text, file=sys.stderr, flush=True)


def composed(work: Path, split: Split, count: int, seed: int) -> Path:
    """The folder of `count` composed scenes with their labels.jsonl, composed only if it is not there yet."""
    folder = work / f"{split}-{count}-seed{seed}"
    if not (folder / "labels.jsonl").exists():
        say(f"composing {count} scenes: {split}, seed {seed}")
        write_scenes(folder, split, count, seed, cutouts=find_cutouts(), backgrounds=find_backgrounds())
    return folder


def raw(work: Path, split: Split, count: int, seed: int, *, image_size: int | None = None) -> Sets:
    """Raw tokens of composed scenes by the default model, (count, n, D), rounded to float16 and kept in a file.

    image_size: side of the square that the network sees, in pixels; None takes the model's default.
    """
    extractor = load_extractor(image_size=image_size)
    store = work / f"{split}-{count}-seed{seed}-{extractor.info.fingerprint.replace(':', '-')}.npy"
    if not store.exists():
        scenes = sorted(composed(work, split, count, seed).glob("*.jpg"))
        say(f"extracting {count} scenes: {split}, seed {seed}")
        side = extractor.info.image_size
        batches = [scenes[start : start + _BATCH] for start in range(0, count, _BATCH)]
        squares = (np.stack([prepare_image(path, side).pixels for path in batch]) for batch in batches)
        np.save(store, np.concatenate([extractor.extract(some) for some in squares]).astype(np.float16))
    loaded: Sets = np.load(store, mmap_mode="r")
    return loaded


def shipped_encoder() -> Encoder:
    """The default encoder of the default model. Raises Unavailable when none is shipped."""
    encoder = default_encoder(load_extractor().info)
    if encoder is None:
        raise Unavailable("no encoder is shipped for the default model; run scripts/make_default_encoder.py")
    return encoder


def encoded(work: Path, split: Split, count: int, seed: int) -> Sets:
    """Sets of composed scenes by the default model and its shipped encoder, (count, n, d)."""
    return shipped_encoder().encode(raw(work, split, count, seed))


def resampled(sets: Sets, count: int, seed: int, *, chunk: int = 500) -> Iterator[Sets]:
    """Made-up sets, (chunk, n, d) float16 at a time: three real ones patched together, and a little noise.

    A real set on its square grid gets a random rectangle (30 to 70 % of each side) of a second and a third real set at
    a random place, mirrored or not, and Gaussian noise of 5 % of the tokens' spread. Neighbours thus share parts, as
    scenes with the same objects do, and a larger collection is denser, not only larger.
    """
    side = round(sets.shape[1] ** 0.5)
    noise = 0.05 * float(sets[:200].astype(np.float32).std())
    for start in range(0, count, chunk):
        rng = np.random.default_rng([seed, start])
        size = min(chunk, count - start)
        new = sets[rng.integers(0, len(sets), size)].reshape(size, side, side, -1).astype(np.float32)
        for one in new:
            for donor in sets[rng.integers(0, len(sets), 2)].reshape(2, side, side, -1):
                _patch(one, donor[:, ::-1] if rng.integers(2) else donor, rng)
        new += noise * rng.standard_normal(new.shape, dtype=np.float32)
        yield new.reshape(size, side * side, -1).astype(np.float16)


def _patch(target: NDArray[np.float32], donor: Sets, rng: np.random.Generator) -> None:
    """Copy a random rectangle of one (side, side, d) grid to a random place of another."""
    side = len(target)
    height, width = rng.integers(round(0.3 * side), round(0.7 * side) + 1, 2)
    top, left = rng.integers(0, side - height + 1), rng.integers(0, side - width + 1)
    row, column = rng.integers(0, side - height + 1), rng.integers(0, side - width + 1)
    target[top : top + height, left : left + width] = donor[row : row + height, column : column + width]


def milliseconds(seconds: Sequence[float]) -> str:
    """Median and 95th percentile of wall times, as `p50 / p95` in ms."""
    p50, p95 = np.percentile(np.asarray(seconds) * 1e3, (50, 95))
    return f"{p50:.1f} / {p95:.1f}"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *([str(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def machine() -> str:
    """One line on where the numbers were taken: cores, processor, Python, numpy, threads of the numerical libraries."""
    names = [line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    threads = os.environ.get("OMP_NUM_THREADS", "unset")
    return (
        f"{os.cpu_count()} shared cores, {names[0] if names else platform.machine()}; Python "
        f"{platform.python_version()}, numpy {np.__version__}; OMP_NUM_THREADS={threads}"
    )


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
