"""An RSM of many images from disk: peak memory, time, and that a killed run goes on.

    OMP_NUM_THREADS=1 python benchmarks/rsm_large.py --work build/benchmarks --images 10000 --tokens 16 --dims 32

Makes a collection of random sets (once), runs `setwise rsm` on it in a process of its own, kills that after some tiles,
and runs the same command again to the end. Peak memory is the system's count for the processes, with and without the
pages of mapped files (the collection, the sums), which the system takes back when it needs them.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from _shared import machine, say

from setwise_engine.collection import Collection, ImageRecord, Settings
from setwise_engine.encoder import Encoder
from setwise_engine.feature_set import FeatureSet, Stage

_COMMAND = "import sys; from setwise._cli import main; sys.exit(main())"
_BATCH = 2000


def made(folder: Path, images: int, tokens: int, dims: int) -> Path:
    """A collection of random sets, made only if it is not there yet."""
    if folder.exists():
        return folder
    basis = np.eye(dims, min(dims, 16), dtype=np.float32)
    encoder = Encoder(model="", dims_in=dims, dims=dims, mean=None, projection=None, sigma=1.0, coarse_basis=basis)
    rng = np.random.default_rng(1)
    with Collection.create(folder, Settings("", 0, "", dims, encoder.fingerprint, coarse="mean"), encoder) as made:
        for first in range(0, images, _BATCH):
            sets = rng.standard_normal((min(_BATCH, images - first), tokens, dims)).astype(np.float16)
            features = (FeatureSet(one, Stage.ENCODED, "", encoder.fingerprint) for one in sets)
            made.append([ImageRecord(f"{first + i:06d}", one) for i, one in enumerate(features)])
    return folder


def run(command: list[str], done: Path, stop_after: int | None) -> tuple[float, int, float]:
    """Seconds until the end or the kill after so many tiles were stored; tiles stored; the most MiB of its own."""
    begun, most = time.perf_counter(), 0.0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        if stop_after is not None and done.exists() and sum(done.read_bytes()) >= stop_after:
            process.send_signal(signal.SIGKILL)
        most = max(most, own_memory(process.pid))
        time.sleep(0.02)
    if process.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(f"setwise rsm ended with {process.returncode}")
    return time.perf_counter() - begun, sum(done.read_bytes()), most


def own_memory(process: int) -> float:
    """MiB that a process has to itself now."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")) / 2**10


def main() -> None:
    """Make, run, kill, go on, and print what was measured."""
    parser = argparse.ArgumentParser(description="Memory and time of an RSM of many images from disk.")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps the collection between runs")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--dims", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    name = f"rsm-large-{args.images}x{args.tokens}x{args.dims}"
    collection = made(args.work / f"{name}.setwise", args.images, args.tokens, args.dims)
    out = args.work / name
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-c", _COMMAND, "rsm", str(collection), "--out", str(out), "--kernel", "cosine"]
    command += ["--kernel", "rbf", "--threads", str(args.threads)]
    done = out / "rsm-store" / "done"
    first, tiles, own = run(command, done, 100)
    say(f"killed after {first:.0f} s with {tiles} tiles stored")
    second, _, more = run(command, done, None)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10
    print(f"{machine()}; {args.images:,} sets of {args.tokens} x {args.dims}, {args.threads} threads")
    print(f"killed after {first:.0f} s with {tiles} tiles stored, then {second:.0f} s to the end with both kernels,")
    print(f"figures and table; {1e6 * (first + second) / (args.images**2 / 2):.2f} us a pair in all;")
    print(f"peak resident memory {peak:,.0f} MiB, {max(own, more):,.0f} of it not of mapped files;")
    print(f"one matrix has {args.images**2 * 8 / 2**20:,.0f} MiB on disk")


if __name__ == "__main__":
    main()
