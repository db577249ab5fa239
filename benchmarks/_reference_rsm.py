"""Drives the authors' implementation (public repository TaWald/semantic_rsm) in an environment of its own.

    PYTHON benchmarks/_reference_rsm.py TOKENS.npy OUT.npy MATCHER PROCESSES

TOKENS: (n, t, d) float32. Writes their cosine matrix and prints the seconds that it took, without imports. Nothing of
theirs is copied here: `srsm` must be importable by PYTHON.
"""

from __future__ import annotations

import os
import sys
from time import perf_counter

os.environ["LSB_JOBID"] = "1"  # what turns their progress bar off

import numpy as np
import torch
from srsm.core import bipartite_matching
from srsm.core.sim_calc import semantic_sim_parallel
from srsm.core.sim_func import cosine_sim


def main() -> None:
    """Compute once and print the seconds."""
    tokens, out, matcher, processes = sys.argv[1:]
    torch.set_num_threads(1)
    maps = np.ascontiguousarray(np.load(tokens).transpose(0, 2, 1))  # they want (n, d, t)
    solve = getattr(bipartite_matching, matcher)
    begun = perf_counter()
    matrix = semantic_sim_parallel(maps, maps, cosine_sim, solve, processes=int(processes))
    print(perf_counter() - begun)
    np.save(out, matrix)


if __name__ == "__main__":
    main()
