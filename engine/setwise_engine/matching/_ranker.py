"""The k best of any number of candidate sets, exactly, with the proof that the rest cannot be among them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import FeatureError, InvalidInput
from setwise_engine.matching._affinity import square
from setwise_engine.matching._blocks import ROW_BITS, Blocks, split
from setwise_engine.matching._paths import current
from setwise_engine.matching._ranker_native import NativeRanker
from setwise_engine.matching._ranker_numpy import NumpyRanker
from setwise_engine.matching._ranking import Ranking, no_check
from setwise_engine.matching._scores import score, within_one
from setwise_engine.matching._threads import checked_threads
from setwise_engine.matching._types import Half, Kernel

__all__ = ["Ranker"]

_EXP_ULPS = 8  # exp is good to a place or two, here and in the native kernel; all else keeps order when it rounds


def _check_k(k: int) -> None:
    if not isinstance(k, int | np.integer) or k < 1:
        raise InvalidInput(f"k is {k!r}; ask for at least 1, a whole number", field="k")


def _checked_kernel(kernel: Kernel | str) -> Kernel:
    try:
        return Kernel(kernel)
    except ValueError:
        raise InvalidInput(f"kernel is {kernel!r}; ask for one of {', '.join(Kernel)}", field="kernel") from None


def _check_keys(blocks: Blocks, keys: NDArray[np.int64]) -> None:
    if not isinstance(keys, np.ndarray) or keys.ndim != 1 or keys.dtype != np.int64:
        raise InvalidInput("keys must be an array of int64, (k,); make them with key_of", field="keys")
    numbers, places = np.unique(keys >> ROW_BITS, return_inverse=True)
    sizes = np.array([len(blocks[number].squares) if number in blocks else 0 for number in numbers.tolist()], np.int64)
    beyond = keys[(keys & ((1 << ROW_BITS) - 1)) >= sizes[places]]
    if beyond.size:
        number, row = split(int(beyond[0]))
        raise InvalidInput(f"a key names row {row} of block {number}, which is not there", field="keys")


class Ranker:
    """Ranks candidates as they come; keeps the k best.

    Answers are the same, to the bit, on every path, for any number of threads, any order of the candidates and with or
    without pruning: a candidate is ruled out only when its score is proven to lie strictly below one that k others
    reach, and scores are exact optima. What the stages rule out may vary.
    """

    def __init__(
        self,
        query: Half,
        *,
        k: int,
        kernel: Kernel = Kernel.COSINE,
        sigma: float = 1.0,
        least: float = -math.inf,
        threads: int = 1,
        prune: bool = True,
        proofs: bool = True,
    ) -> None:
        """query: (n, d) float16, finite. sigma: width of the RBF kernel. least: candidates that score below it are of
        no interest. threads: 1 to 1024. proofs: whether finalists bring their matching and prices.

        Raises InvalidInput for such k or threads, and FeatureError for tokens that are not such an array.
        """
        _check_k(k)
        kernel = _checked_kernel(kernel)
        checked_threads(threads)
        if query.dtype != np.float16 or query.ndim != 2:
            raise FeatureError(f"tokens are {query.dtype} of shape {query.shape}; give float16 (n, d)", field="tokens")
        self._kernel, self._sigma = kernel, sigma
        self._square = square(query)
        path = current()
        self._ranking: NativeRanker | NumpyRanker
        if path.kernel is None:
            self._ranking = NumpyRanker(
                query,
                k=k,
                containment=kernel is Kernel.CONTAINMENT,
                score=self._score,
                slack=self._slack,
                least=least,
                prune=prune and path.name != "reference",
            )
        else:
            self._ranking = NativeRanker(
                path,
                query,
                square=self._square,
                k=k,
                kernel=kernel,
                sigma=sigma,
                score=self._score,
                slack=self._slack,
                least=least,
                threads=threads,
                prune=prune,
                proofs=proofs,
            )

    def add(self, blocks: Blocks, keys: NDArray[np.int64], check: Callable[[], None] = no_check) -> None:
        """Ranks the sets of these keys, most promising first, among those that came before.

        check: called every few milliseconds, in this thread; what it raises ends the call. What was ruled out or solved
        by then stays so: `result` tells of it, and the ranker takes more.
        Raises FeatureError when tokens are not finite or differ in d from the query's, and InvalidInput for a key of no
        set.
        """
        _check_keys(blocks, keys)
        self._ranking.add(blocks, keys, check)

    def result(self) -> Ranking:
        """What was found so far."""
        return self._ranking.result()

    def _score(self, matched_sum: float, x_square: float) -> float:
        if self._kernel is Kernel.CONTAINMENT:
            return within_one(matched_sum)
        return score(matched_sum, q_square=self._square, x_square=x_square, kernel=self._kernel, sigma=self._sigma)

    def _slack(self, bound: float) -> float:
        return bound + _EXP_ULPS * math.ulp(bound) if self._kernel is Kernel.RBF else bound
