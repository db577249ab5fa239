"""What the kernel costs before it computes: import, first call, size of the module, time to build.

    python benchmarks/kernel_costs.py

Each figure is the median of fresh processes. `--build` also builds the wheel from this checkout into a folder of its
own (needs a compiler, cmake, ninja, scikit-build-core and nanobind; nothing is downloaded).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
from _shared import machine, table

ROOT = Path(__file__).parent.parent

IMPORT = """
from time import perf_counter
import numpy
start = perf_counter()
import {module}
print(1e3 * (perf_counter() - start))
"""

CALLS = """
from time import perf_counter
import numpy as np
from setwise_engine import matching
rng = np.random.default_rng(0)
sets = [rng.standard_normal((100, 256)).astype(np.float16) for _ in range(11)]
plain = matching.block_of(sets, 256)
block = matching.Block(plain.tokens, plain.offsets, plain.squares, matching.gate(plain.tokens, plain.offsets))
A = [np.asarray(q, float) @ np.asarray(x, float).T for q, x in zip(sets, sets[1:])]
def assign():
    matching.assign_batch(A, threads={threads})
def rank():
    ranker = matching.Ranker(sets[0], k=5, threads={threads})
    ranker.add({{0: block}}, np.arange(len(sets)))
    ranker.result()
for run in (assign, rank):
    for _ in range(5):
        start = perf_counter()
        run()
        print(1e3 * (perf_counter() - start))
"""


def fresh(program: str) -> list[float]:
    """What a program prints in a new process."""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return [float(line) for line in done.stdout.split()]


def middle(program: str, runs: int) -> list[float]:
    """Medians, number by number, over new processes."""
    found = np.median([fresh(program) for _ in range(runs)], axis=0)
    return [float(value) for value in found]


def call_rows(runs: int, threads: int) -> list[list[str]]:
    """First and later calls."""
    values = middle(CALLS.format(threads=threads), runs)
    rows = []
    for name, own in (("assign_batch, 10 pairs of 100 tokens", values[:5]), ("Ranker, 11 sets (100, 256)", values[5:])):
        suffix = f"{threads} thread{'s' * (threads > 1)}"
        rows.append([f"{name}, {suffix}: first call", f"{own[0]:.2f} ms"])
        rows.append([f"{name}, {suffix}: later calls", f"{np.median(own[1:]):.2f} ms"])
    return rows


def module() -> Path:
    """The native module in use. Raises ImportError where none was built."""
    from setwise_engine.matching import _kernel

    return Path(_kernel.__file__)


def built() -> tuple[float, int, int]:
    """Seconds to build the wheel from nothing, and bytes of the module in it and of the same without symbols."""
    with tempfile.TemporaryDirectory() as folder:
        build = f"--config-settings=build-dir={folder}/build"
        command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", build]
        start = perf_counter()
        subprocess.run([*command, "-w", folder, str(ROOT)], check=True, stdout=sys.stderr)
        seconds = perf_counter() - start
        [wheel] = Path(folder).glob("*.whl")
        subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheel), f"{folder}/out"], check=True)
        [native] = Path(folder).glob("out/setwise_engine/matching/_kernel*.so")
        return seconds, native.stat().st_size, wheel.stat().st_size


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description="Import, first call, size and build time of the kernel.")
    parser.add_argument("--runs", type=int, default=5, help="fresh processes a figure")
    parser.add_argument("--build", action="store_true", help="also build the wheel")
    args = parser.parse_args()
    rows = []
    for name in ("setwise_engine.matching._kernel", "setwise_engine.matching"):
        [value] = middle(IMPORT.format(module=name), args.runs)
        rows.append([f"import {name}, after numpy", f"{value:.1f} ms"])
    for threads in (1, 2):
        rows += call_rows(args.runs, threads)
    rows.append([f"native module in use ({module().name})", f"{module().stat().st_size / 1e6:.2f} MB"])
    if args.build:
        seconds, native, wheel = built()
        rows.append(["build of the wheel from nothing, 2 cores", f"{seconds:.0f} s"])
        rows.append(["native module in the wheel", f"{native / 1e6:.2f} MB"])
        rows.append(["wheel", f"{wheel / 1e6:.2f} MB"])
    print(machine(), end="\n\n")
    print(table(["", "median"], rows))


if __name__ == "__main__":
    main()
