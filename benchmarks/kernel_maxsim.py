"""The same candidates by MaxSim in search engines, beside our exact matching with its proof.

    OMP_NUM_THREADS=1 python benchmarks/kernel_maxsim.py --work build/benchmarks
    OMP_NUM_THREADS=2 python benchmarks/kernel_maxsim.py --work build/benchmarks --threads 2

MaxSim is an easier question: one partner a token, shared partners allowed, nothing to solve. LanceDB and fast-plaid
normalise the tokens, and so compute another score yet; fast-plaid's is approximate. Queries and filters are ready in
each engine's own form before the clock starts. CPU time of the whole process at one thread, wall time at two.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def main() -> None:
    """Tell the engines how many threads they may use, which some read when they load; then measure."""
    parser = argparse.ArgumentParser(description="Time of MaxSim in search engines, beside exact matching.")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps scenes and tokens between runs")
    parser.add_argument("--shapes", nargs="+", default=["49,128", "49,256", "100,256", "49,1280"])
    parser.add_argument("--protocols", nargs="+", default=["instance", "category"])
    parser.add_argument("--candidates", type=int, nargs="+", default=[100, 200, 1000])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--images", type=int, default=1000, help="database images a protocol")
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", nargs="+", help="default: all that are installed")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    for name in ("LANCE_CPU_THREADS", "RAYON_NUM_THREADS"):
        os.environ[name] = str(args.threads)

    from _maxsim import run

    run(args)


if __name__ == "__main__":
    main()
