"""The ranking: the same answers, to the bit, whatever path, threads, order, chunks or bounds; and what it proves."""

from __future__ import annotations

import math
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from setwise_engine import matching
from setwise_engine.errors import FeatureError, InvalidInput
from setwise_engine.matching import Block, Kernel, Ranker, Ranking, block_of, gate, key_of, verify
from setwise_engine.matching._paths import available, use

SIGMA = 6.0
KERNELS = list(Kernel)
NATIVE = [name for name in available() if name not in ("reference", "numpy")]


def sets(rng: np.random.Generator, sizes: list[int], dims: int, scale: float = 1.0) -> list[np.ndarray]:
    """Sets with a common mean and some structure, so that bounds differ and hubs exist."""
    mean, directions = rng.standard_normal(dims), rng.standard_normal((3, dims))
    made = [rng.standard_normal((n, 3)) @ directions + 0.7 * rng.standard_normal((n, dims)) + mean for n in sizes]
    return [(scale * one).astype(np.float16) for one in made]


def gated(block: Block) -> Block:
    return Block(block.tokens, block.offsets, block.squares, gate(block.tokens, block.offsets))


def all_keys(block: Block) -> np.ndarray:
    return np.arange(key_of(0, 0), key_of(0, len(block.squares)), dtype=np.int64)


def ranking(query: np.ndarray, block: Block, keys: np.ndarray | None = None, **options: object) -> Ranking:
    ranker = Ranker(query, **{"k": 5, "sigma": SIGMA} | options)
    ranker.add({0: block}, all_keys(block) if keys is None else keys)
    return ranker.result()


def answer(result: Ranking) -> list[tuple[int, float, float]]:
    return sorted((one.key, one.score, one.matched_sum) for one in result.finalists)


@pytest.fixture(scope="module")
def collection() -> tuple[np.ndarray, Block]:
    rng = np.random.default_rng(5)
    made = sets(rng, [25] * 241, 48)
    return made[0], gated(block_of(made[1:], 48))


@pytest.mark.parametrize("path", available())
@pytest.mark.parametrize("kernel", KERNELS)
def test_every_path_gives_the_answers_of_the_definition(path: str, kernel: Kernel) -> None:
    rng = np.random.default_rng(3)
    made = sets(rng, [9, *rng.integers(0, 20, 60).tolist()], 12)
    block = gated(block_of(made[1:], 12))
    with use("reference"):
        wanted = ranking(made[0], block, kernel=kernel)
    with use(path):
        found = ranking(made[0], block, kernel=kernel)
    assert answer(found) == answer(wanted)
    assert found.kth_score == wanted.kth_score


@pytest.mark.parametrize("path", available())
@given(
    seed=st.integers(0, 2**32 - 1), n=st.integers(0, 40), dims=st.integers(1, 40), scale=st.sampled_from([1e-4, 1, 60])
)
@settings(max_examples=25, deadline=None)
def test_sets_of_any_sizes_and_scales_score_as_the_definition_says(
    path: str, seed: int, n: int, dims: int, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    made = sets(rng, [n, *rng.integers(0, 40, 6).tolist()], dims, scale)
    block = gated(block_of(made[1:], dims))
    for kernel in (Kernel.INNER_PRODUCT, Kernel.CONTAINMENT):
        with use("reference"):
            wanted = answer(ranking(made[0], block, kernel=kernel, k=2))
        with use(path):
            assert answer(ranking(made[0], block, kernel=kernel, k=2)) == wanted


@pytest.mark.parametrize("path", NATIVE)
@pytest.mark.parametrize("kernel", KERNELS)
def test_pruning_threads_order_and_chunks_change_nothing(
    path: str, kernel: Kernel, collection: tuple[np.ndarray, Block]
) -> None:
    query, block = collection
    keys = all_keys(block)
    bare = Block(block.tokens, block.offsets, block.squares)
    with use(path):
        wanted = answer(ranking(query, block, kernel=kernel, prune=False))
        for threads in (1, 2, 5):
            for order in (keys, keys[::-1].copy(), np.random.default_rng(threads).permutation(keys)):
                assert answer(ranking(query, block, order, kernel=kernel, threads=threads)) == wanted
                assert answer(ranking(query, bare, order, kernel=kernel, threads=threads)) == wanted
        ranker = Ranker(query, k=5, kernel=kernel, sigma=SIGMA)
        for chunk in np.array_split(keys, 7):
            ranker.add({0: block}, chunk)
        assert answer(ranker.result()) == wanted


@pytest.mark.parametrize("path", NATIVE)
@pytest.mark.parametrize("kernel", KERNELS)
def test_what_was_ruled_out_scores_no_more_than_the_certificate_says(
    path: str, kernel: Kernel, collection: tuple[np.ndarray, Block]
) -> None:
    query, block = collection
    with use(path):
        everything = {
            one.key: one.score for one in ranking(query, block, kernel=kernel, k=len(block.squares)).finalists
        }
        found = ranking(query, block, kernel=kernel, k=3)
    hits = {one.key for one in found.finalists}
    assert found.stages.solved < len(everything), "nothing was ruled out, so nothing was tried"
    assert found.kth_score is not None and found.highest_pruned_bound is not None
    assert found.highest_pruned_bound < found.kth_score or math.isclose(found.highest_pruned_bound, found.kth_score)
    rest = [score for key, score in everything.items() if key not in hits]
    assert max(rest) < found.kth_score
    assert sum(counts_of(found)) == len(everything)


def counts_of(found: Ranking) -> list[int]:
    stages = found.stages
    return [stages.gate, stages.gate_dual, stages.bound, stages.dual, stages.solved]


@pytest.mark.parametrize("path", available())
def test_finalists_bring_proofs_that_verify(path: str, collection: tuple[np.ndarray, Block]) -> None:
    query, block = collection
    with use(path):
        best = ranking(query, block, all_keys(block)[:40]).finalists
    for one in best:
        row = one.key
        A = matching.affinity(query, block.tokens[block.offsets[row] : block.offsets[row + 1]])
        rows = np.flatnonzero(one.columns >= 0)
        pairs = one.columns[rows].astype(np.intp)
        assert one.matched_sum == math.fsum(A[rows, pairs])
        verify(A, matching.Assignment(rows, pairs, one.matched_sum, one.row_prices, one.column_prices, one.gap))
        assert abs(one.gap) <= 1e-9 * abs(one.matched_sum)


@pytest.mark.parametrize("path", available())
def test_equal_candidates_are_all_finalists(path: str) -> None:
    rng = np.random.default_rng(8)
    query, other, same = sets(rng, [6, 6, 6], 5)
    block = gated(block_of([other, same, other, same, same[::-1].copy()], 5))
    with use(path):
        found = ranking(query, block, k=1)
    scores = {one.score for one in found.finalists}
    assert len(scores) == 1
    assert {one.key for one in found.finalists} in ({0, 2}, {1, 3, 4})


@pytest.mark.parametrize("path", available())
def test_least_leaves_out_what_cannot_reach_it(path: str, collection: tuple[np.ndarray, Block]) -> None:
    query, block = collection
    keys = all_keys(block)[:60]
    with use(path):
        scores = sorted((one.score for one in ranking(query, block, keys, k=60).finalists), reverse=True)
        found = ranking(query, block, keys, k=60, least=scores[3])
    assert [one.score for one in found.finalists][:4] == scores[:4]


@pytest.mark.parametrize("path", available())
def test_largest_and_smallest_tokens_are_ranked_exactly(path: str) -> None:
    rng = np.random.default_rng(2)
    tokens = rng.integers(0, 1 << 16, (6, 7, 9)).astype(np.uint16).view(np.float16)
    tokens[~np.isfinite(tokens)] = 65504
    block = gated(block_of(list(tokens[1:]), 9))
    with use("reference"):
        wanted = answer(ranking(tokens[0], block, k=2))
    with use(path):
        assert answer(ranking(tokens[0], block, k=2)) == wanted


@pytest.mark.parametrize("path", available())
def test_damaged_tokens_and_wrong_dimensions_are_refused(path: str) -> None:
    rng = np.random.default_rng(4)
    query, x = sets(rng, [4, 4], 6)
    bad = x.copy()
    bad[2, 3] = np.nan
    with use(path):
        with pytest.raises(FeatureError, match="NaN or infinity"):
            ranking(query, Block(bad, np.array([0, 4]), np.ones(1)))
        with pytest.raises(FeatureError):
            ranking(query, block_of([x[:, :5].copy()], 5))
        with pytest.raises(FeatureError, match="float16"):
            Ranker(query.astype(np.float32), k=1)
        with pytest.raises(InvalidInput, match="k is 0"):
            Ranker(query, k=0)
        with pytest.raises(InvalidInput, match="threads is 1025"):
            Ranker(query, k=1, threads=1025)


class GaveUpError(Exception):
    """The caller no longer waits."""


@pytest.mark.parametrize("path", available())
@pytest.mark.parametrize("threads", [1, 3])
def test_the_check_ends_a_ranking_soon(path: str, threads: int) -> None:
    made = sets(np.random.default_rng(6), [64] * 400, 64)
    block = block_of(made[1:], 64)
    ends = time.monotonic() + 0.02
    stopped: list[float] = []

    def check() -> None:
        if time.monotonic() > ends:
            stopped.append(time.monotonic())
            raise GaveUpError

    with use(path), pytest.raises(GaveUpError):
        ranker = Ranker(made[0], k=5, prune=False, threads=threads)
        for _ in range(500):
            ranker.add({0: block}, all_keys(block), check)
    assert len(stopped) == 1


@pytest.mark.parametrize("path", NATIVE)
def test_many_python_threads_rank_at_once(path: str, collection: tuple[np.ndarray, Block]) -> None:
    query, block = collection
    with use(path):
        wanted = answer(ranking(query, block))
        found: list[bool] = []
        workers = [
            threading.Thread(target=lambda: found.append(answer(ranking(query, block, threads=2)) == wanted))
            for _ in range(8)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert found == [True] * 8


@pytest.mark.parametrize("path", available())
def test_a_set_contains_itself_with_score_one_at_most(path: str) -> None:
    """Rounded shares of a whole may add up to a hair more (found by a random test)."""
    same = np.ones((6, 1), np.float16)
    with use(path):
        [one] = ranking(same, gated(block_of([same], 1)), kernel=Kernel.CONTAINMENT).finalists
    assert one.score == 1.0
    assert one.matched_sum == pytest.approx(1.0, abs=1e-14)


@pytest.mark.parametrize("path", available())
def test_blocks_and_keys_that_make_no_sense_are_refused_alike(path: str) -> None:
    tokens = sets(np.random.default_rng(1), [6], 4)[0]
    squares = np.ones(2)
    for offsets in ([0, 100, 6], [0, 4, 2], [1, 2, 6], [0, 6]):
        with pytest.raises(InvalidInput, match="offsets"):
            Block(tokens, np.array(offsets), squares)
    with pytest.raises(InvalidInput, match="gate"):
        Block(tokens, np.array([0, 3, 6]), squares, gate(tokens[:3], np.array([0, 3])))
    with pytest.raises(InvalidInput, match="set 0"):
        block_of([tokens], 5)
    block = block_of([tokens], 4)
    with use(path):
        for keys in (np.array([key_of(0, 7)]), np.array([key_of(3, 0)]), np.array([0.0]), [0]):
            with pytest.raises(InvalidInput, match="key"):
                ranking(tokens, block, keys)
        with pytest.raises(InvalidInput, match="kernel"):
            ranking(tokens, block, kernel="x")
