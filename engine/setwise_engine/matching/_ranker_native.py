"""The ranker in the native kernel: bounds from coarse to fine, integer proofs, any number of threads."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import FeatureError
from setwise_engine.matching._blocks import ROW_BITS, Block, Blocks
from setwise_engine.matching._paths import Path
from setwise_engine.matching._ranking import Ranked, Ranking, Stages
from setwise_engine.matching._types import Half, Kernel

__all__ = ["NativeRanker"]

_READINGS = (Kernel.COSINE, Kernel.INNER_PRODUCT, Kernel.RBF, Kernel.CONTAINMENT)  # as engine/kernel/rule.hpp


class NativeRanker:
    """See `Ranker`."""

    def __init__(
        self,
        path: Path,
        query: Half,
        *,
        square: float,
        k: int,
        kernel: Kernel,
        sigma: float,
        score: Callable[[float, float], float],
        slack: Callable[[float], float],
        least: float,
        threads: int,
        prune: bool,
        proofs: bool,
    ) -> None:
        assert path.kernel is not None
        self._module, self._k, self._score, self._slack, self._proofs = path.kernel, k, score, slack, proofs
        reading = _READINGS.index(kernel)
        try:
            self._ranker = path.kernel.Ranker(
                np.ascontiguousarray(query),
                square=square,
                reading=reading,
                sigma=sigma,
                k=k,
                least=least,
                threads=threads,
                prune=prune,
                proofs=proofs,
                **path.options,
            )
        except ValueError as error:
            raise FeatureError(f"{error}; every number must be finite", field="tokens") from error

    def add(self, blocks: Blocks, keys: NDArray[np.int64], check: Callable[[], None]) -> None:
        check()
        numbers, places = np.unique(keys >> ROW_BITS, return_inverse=True)
        native = [_native_block(self._module, blocks[number]) for number in numbers.tolist()]
        try:
            self._ranker.add(native, np.ascontiguousarray(keys), places.astype(np.int64).reshape(-1), check)
        except ValueError as error:
            raise FeatureError(str(error), field="tokens") from error

    def result(self) -> Ranking:
        keys, sums, squares, columns, row_prices, column_prices, stages, bound, read = self._ranker.result()
        scores = [self._score(*one) for one in zip(sums.tolist(), squares.tolist(), strict=True)]
        kth = sorted(scores, reverse=True)[: self._k][-1] if scores else None
        finalists = [
            Ranked(key, value, matched_sum, pairs, u, v, self._gap(matched_sum, u, v))
            for key, value, matched_sum, pairs, u, v in zip(
                keys.tolist(), scores, sums.tolist(), columns, row_prices, column_prices, strict=True
            )
            if kth is None or value >= kth
        ]
        finalists.sort(key=lambda one: -one.score)
        highest = self._slack(bound) if bound > -math.inf else None
        return Ranking(finalists, Stages(*stages), kth, highest, read)

    def _gap(self, matched_sum: float, row_prices: Any, column_prices: Any) -> float:
        if not self._proofs:
            return 0.0
        return math.fsum([*row_prices.tolist(), *column_prices.tolist(), -matched_sum])


def _native_block(module: Any, block: Block) -> Any:
    """The kernel's view of a block, made once."""
    native = block.native.get("block")
    if native is None:
        native = module.Block(block.tokens, block.offsets, block.squares)
        if block.gate is not None:
            gate = block.gate
            native.set_gate(gate.codes, gate.scales, gate.errors, gate.norms, gate.sums, gate.means)
        block.native["block"] = native
    return native
