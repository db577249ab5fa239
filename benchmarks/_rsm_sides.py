"""RSMs as others compute them: scipy and lapx in a loop, and the authors' code in an environment of its own."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _baselines import lapx_solve
from _shared import say
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from threadpoolctl import threadpool_limits

__all__ = ["MATCHERS", "Reference", "looped", "solvers", "twin"]

Floats = NDArray[np.float32]
Matrix = NDArray[np.float64]
Solve = Callable[[Floats], Matrix]
"""From costs (K, n, n) to the K least sums."""

MATCHERS = ("lapjv_match", "hungarian_match", "google_linear_sum_assignment")
"""The authors' exact matchers; the last one truncates costs to integers."""

_INHERITED: dict[str, Any] = {}  # what worker processes find when they begin


def twin(tokens: Floats) -> Matrix:
    """Cosines of the optimal matchings by the definition: float64 affinities, scipy's solver."""
    wide = tokens.astype(np.float64)
    norms = np.sqrt(np.einsum("ntd,ntd->n", wide, wide))
    sums = np.zeros((len(wide), len(wide)))
    for i, q in enumerate(wide):
        for j in range(i, len(wide)):
            A = q @ wide[j].T
            sums[i, j] = sums[j, i] = A[linear_sum_assignment(A, maximize=True)].sum()
    cosines: Matrix = sums / np.outer(norms, norms)
    return cosines


def solvers(tokens: Floats) -> dict[str, Solve]:
    """The libraries' solvers; lapx by the entry of its batch that is faster on a sample."""

    def scipy_solve(costs: Floats) -> Matrix:
        return np.array([C[linear_sum_assignment(C)].sum(dtype=np.float64) for C in costs])

    sample = np.stack([-tokens[0] @ x.T for x in tokens[1:33]])
    lapx = lapx_solve(1, sample)
    return {"scipy": scipy_solve} | ({"lapx": lapx} if lapx else {})


def looped(tokens: Floats, solve: Solve, processes: int) -> Matrix:
    """Cosines with a library in a loop over rows: one float32 GEMM a row against all later images, then the solver.

    Two processes take every other row each; the GEMM stays on one thread in each of them.
    """
    n = len(tokens)
    sums = np.zeros((n, n))
    _INHERITED.update(tokens=tokens, solve=solve)
    if processes == 1:
        for i in range(n):
            sums[i, i:] = _row(i)
    else:
        with multiprocessing.get_context("fork").Pool(processes) as pool:
            for i, row in enumerate(pool.imap(_row, range(n))):
                sums[i, i:] = row
    sums = np.triu(sums) + np.triu(sums, 1).T
    norms = np.sqrt(np.einsum("ntd,ntd->n", tokens, tokens, dtype=np.float64))
    cosines: Matrix = sums / np.outer(norms, norms)
    return cosines


def _row(i: int) -> Matrix:
    tokens, solve = _INHERITED["tokens"], _INHERITED["solve"]
    later = tokens[i:]
    with threadpool_limits(1):
        costs = np.matmul(later.reshape(-1, later.shape[2]), -tokens[i].T).reshape(len(later), later.shape[1], -1)
    sums: Matrix = -solve(costs)
    return sums


class Reference:
    """The authors' implementation, run by a Python that can import it."""

    def __init__(self, python: Path, work: Path) -> None:
        self._python, self._work = python, work

    def run(self, tokens: Floats, matcher: str, processes: int) -> tuple[float, Matrix]:
        """Seconds, without imports, and the cosines."""
        given, out = self._work / "rsm-reference-tokens.npy", self._work / "rsm-reference.npy"
        np.save(given, tokens)
        driver = Path(__file__).with_name("_reference_rsm.py")
        command = [str(self._python), "-W", "ignore", str(driver), str(given), str(out), matcher, str(processes)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": ""})
        if done.returncode:
            say(done.stderr)
            sys.exit(f"the reference implementation failed under {self._python}; see above")
        return float(done.stdout.split()[-1]), np.load(out)

    def fastest(self, tokens: Floats) -> tuple[str, dict[str, float]]:
        """Its fastest exact matcher on these tokens, and the microseconds a pair of each."""
        pairs = len(tokens) * (len(tokens) + 1) / 2
        times = {name: 1e6 * self.run(tokens, name, 1)[0] / pairs for name in MATCHERS}
        return min(times, key=lambda name: times[name]), times
