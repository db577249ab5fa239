"""Matched sums of all pairs of sets, for representational similarity matrices: nothing can be ruled out there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from setwise_engine.feature_set import FeatureSet
from setwise_engine.matching import reference
from setwise_engine.matching._paths import Path, current
from setwise_engine.matching._ranking import no_check
from setwise_engine.matching._threads import checked_threads
from setwise_engine.matching._token_sets import TokenSets, token_sets
from setwise_engine.matching._types import Floats

__all__ = ["MatchedSums", "Sets", "matched_sums"]

Sets = TokenSets | Sequence[FeatureSet | ArrayLike] | NDArray[np.generic]
"""Prepared sets, or whatever they are made of."""


@dataclass(frozen=True, slots=True, eq=False)
class MatchedSums:
    """values: (na, nb) float64, L of every pair. gaps: (na, nb) float64, >= 0: no matching exceeds value + gap."""

    values: Floats
    gaps: Floats


def matched_sums(
    a: Sets, b: Sets | None = None, *, threads: int = 1, check: Callable[[], None] = no_check
) -> MatchedSums:
    """The matched sum L = max over one-to-one matchings p of sum_i <q_i, x_p(i)> of every set of a with every one of b.

    a, b: `TokenSets`, or what they are made of; sets may differ in size, min(n, m) tokens are then matched. 0 for empty
    sets. b: None for a with itself: half the work, and equal to the bit both ways. Inner products of the float32 tokens
    are summed in float64. Every value is that of a real matching, and proven optimal but for its gap, which is of the
    size of rounding: about 1e-6 |Q| |X| at most.
    threads: 1 to 1024; results do not depend on it. check: called every few milliseconds on the caller's thread; what
    it raises ends the call. Raises FeatureError naming the set, such as a[3], and InvalidInput for threads.
    """
    checked_threads(threads)
    left = token_sets(a, "a")
    right = left if b is None else token_sets(b, "b", left)
    path = current()
    if path.kernel is not None:
        return _native(path, left, right, threads=threads, check=check)
    return _by_definition(left, right, mirrored=b is None, check=check)


def _native(path: Path, a: TokenSets, b: TokenSets, *, threads: int, check: Callable[[], None]) -> MatchedSums:
    assert path.kernel is not None
    left, right = (sets.prepared(path, threads=threads, check=check) for sets in (a, b))
    return MatchedSums(*path.kernel.matched_sums(left, right, threads, check))


def _by_definition(a: TokenSets, b: TokenSets, *, mirrored: bool, check: Callable[[], None]) -> MatchedSums:
    values, gaps = np.zeros((len(a), len(b))), np.zeros((len(a), len(b)))
    for i, q in enumerate(a):
        for j in range(i if mirrored else 0, len(b)):
            check()
            values[i, j], gaps[i, j] = reference.matched_sum(q, b[j])
        if mirrored:
            values[i:, i], gaps[i:, i] = values[i, i:], gaps[i, i:]
    return MatchedSums(values, gaps)
