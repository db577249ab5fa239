"""Matched sums of all pairs: on every path the definition's, with a gap that covers whatever is left open."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest
from families import PHOTOS, SETS
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from setwise_engine.errors import FeatureError, InvalidInput
from setwise_engine.feature_set import FeatureSet
from setwise_engine.matching import MatchedSums, TokenSets, matched_sums, reference
from setwise_engine.matching._paths import available, use

every_path = pytest.mark.parametrize("path", available())
Tokens = np.ndarray

SIZES = [(1, 1), (2, 2), (5, 5), (4, 9), (9, 4), (16, 16), (17, 17), (20, 33), (49, 49)]


def exact(q: Tokens, x: Tokens) -> float:
    """The oracle, independent of `reference`: scipy on products summed in extended precision, the pairs by fsum."""
    A = q.astype(np.longdouble) @ x.astype(np.longdouble).T
    rows, columns = linear_sum_assignment(A.astype(np.float64), maximize=True)
    return math.fsum(A[rows, columns].astype(np.float64))


def size(q: Tokens, x: Tokens) -> float:
    """|Q| |X|, in units of which values and gaps are judged."""
    return float(np.linalg.norm(q.astype(np.float64)) * np.linalg.norm(x.astype(np.float64)))


def check(found: MatchedSums, a: list[Tokens], b: list[Tokens]) -> None:
    """No value above the optimum, none below it by more than its gap, and no gap larger than promised."""
    for i, q in enumerate(a):
        for j, x in enumerate(b):
            best, unit = exact(q, x), size(q, x)
            value, gap = found.values[i, j], found.gaps[i, j]
            assert value <= best + 3e-7 * unit, (i, j)
            assert best <= value + gap * (1 + 1e-9), (i, j)
            assert 0.0 <= gap <= 2e-6 * unit, (i, j)
            assert abs(value - best) <= 1e-8 * unit + gap, (i, j)


def hidden(rng: np.random.Generator, n: int, m: int) -> tuple[Tokens, Tokens]:
    """Best partners told apart by less than a byte can hold, under numbers a thousand times larger that all share."""
    shared = rng.standard_normal((1, 64)) * 100
    q = shared + rng.standard_normal((n, 64)) * 0.1
    x = shared + rng.standard_normal((m, 64)) * 0.1
    return q.astype(np.float32), x.astype(np.float32)


def spikes(rng: np.random.Generator, n: int, m: int) -> tuple[Tokens, Tokens]:
    """One large number a token: bytes of such tokens keep nothing else, unless they are turned first."""
    q, x = (rng.standard_normal((k, 70)).astype(np.float32) for k in (n, m))
    q[np.arange(n), rng.integers(70, size=n)] += 50
    x[np.arange(m), rng.integers(70, size=m)] += 50
    return q, x


def machol_wien(rng: np.random.Generator, n: int, m: int) -> tuple[Tokens, Tokens]:
    """Products i j: the classic hard case, of rank one, and nearly tied everywhere."""
    rest = rng.standard_normal((n + m, 40)) * 1e-4
    q = np.concatenate([np.arange(1.0, n + 1)[:, None], rest[:n]], axis=1)
    x = np.concatenate([-np.arange(1.0, m + 1)[:, None], rest[n:]], axis=1)
    return q.astype(np.float32), x.astype(np.float32)


def low_rank(rng: np.random.Generator, n: int, m: int) -> tuple[Tokens, Tokens]:
    basis = rng.standard_normal((3, 200))
    return tuple((rng.standard_normal((k, 3)) @ basis).astype(np.float32) for k in (n, m))  # type: ignore[return-value]


def decades(rng: np.random.Generator, n: int, m: int) -> tuple[Tokens, Tokens]:
    """Norms from 1e-12 to 1e12 in one set."""
    q, x = (rng.standard_normal((k, 33)) * 10 ** rng.uniform(-12, 12, (k, 1)) for k in (n, m))
    return q.astype(np.float32), x.astype(np.float32)


def alike(rng: np.random.Generator, n: int, m: int) -> tuple[Tokens, Tokens]:
    """One token, many times: nothing is left of it when it is centred."""
    one = rng.standard_normal((1, 20)).astype(np.float32)
    return np.repeat(one, n, axis=0), np.repeat(one, m, axis=0)


def relu(rng: np.random.Generator, n: int, m: int) -> tuple[Tokens, Tokens]:
    """Mostly zeros, the rest positive, as activations are."""
    q, x = (np.maximum(0.0, rng.standard_normal((k, 130)) - 1.0) for k in (n, m))
    return q.astype(np.float32), x.astype(np.float32)


FAMILIES = SETS | {f.__name__: f for f in (hidden, spikes, machol_wien, low_rank, decades, alike, relu)}


@every_path
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_on_every_path_is_proven(path: str, family: str) -> None:
    for n, m in SIZES:
        q, x = FAMILIES[family](np.random.default_rng([n, m]), n, m)
        with use(path):
            check(matched_sums([q], [x]), [q], [x])


@every_path
@pytest.mark.parametrize("sizes", [[60] * 6, [49, 49, 0, 49, 30, 49, 49, 49, 1], [100] * 3, [130, 130], [300, 280]])
def test_many_sets_of_many_sizes(path: str, sizes: list[int]) -> None:
    rng = np.random.default_rng(5)
    a = [PHOTOS[i % 10][rng.integers(100, size=n)].astype(np.float32) for i, n in enumerate(sizes)]
    a = [one + rng.standard_normal(one.shape).astype(np.float32) * 0.1 for one in a]
    with use(path):
        found = matched_sums(a)
        check(found, a, a)
        assert found.values.tolist() == found.values.T.tolist()
        assert found.gaps.tolist() == found.gaps.T.tolist()
        check(matched_sums(a[:2], a[::-1]), a[:2], a[::-1])


@given(
    st.sampled_from(sorted(FAMILIES)),
    st.tuples(st.integers(0, 40), st.integers(0, 40) | st.none()),
    st.tuples(st.integers(-30, 30), st.integers(-30, 30)),
    st.integers(0, 99),
)
@settings(deadline=None, max_examples=60)
def test_any_sizes_and_scales_agree_with_the_definition(
    family: str, shape: tuple[int, int | None], scales: tuple[int, int], seed: int
) -> None:
    n, m = shape
    up, down = (0, 0) if family in ("decades", "extremes") else scales
    q, x = FAMILIES[family](np.random.default_rng(seed), n, n if m is None else m)
    largest = max(1.0, float(np.abs(q).max(initial=0.0)), float(np.abs(x).max(initial=0.0)))
    q, x = (q.astype(np.float64) / largest * 10.0**up, x.astype(np.float64) / largest * 10.0**down)
    sets = TokenSets([q, x])
    value, gap = reference.matched_sum(sets[0], sets[1])
    unit = math.sqrt(sets.squares[0]) * math.sqrt(sets.squares[1])
    for path in available()[2:]:
        with use(path):
            found = matched_sums(TokenSets([q]), TokenSets([x]))
        assert abs(found.values[0, 0] - value) <= 1e-8 * unit + found.gaps[0, 0] + gap
        assert value <= found.values[0, 0] + found.gaps[0, 0] + gap


@every_path
def test_threads_neighbours_and_company_change_nothing(path: str) -> None:
    a = [PHOTOS[i % 10][: n % 41 + 2].astype(np.float32) for i, n in enumerate(range(0, 300, 15))]
    a += [PHOTOS[i][:49].astype(np.float32) for i in range(6)]
    with use(path):
        one = matched_sums(a)
        for threads in (2, 5):
            again = matched_sums(a, threads=threads)
            assert again.values.tolist() == one.values.tolist()
            assert again.gaps.tolist() == one.gaps.tolist()
        assert matched_sums(a[:3], a[20:]).values.tolist() == one.values[:3, 20:].tolist()
        assert matched_sums([a[22]], [a[24]]).values[0, 0] == one.values[22, 24]


@every_path
def test_a_set_with_itself_has_its_own_square(path: str) -> None:
    a = TokenSets(PHOTOS[:4, :50])
    with use(path):
        assert np.diag(matched_sums(a).values) == pytest.approx(a.squares, rel=1e-8)


@every_path
def test_empty_sets_zero_tokens_and_nothing_at_all(path: str) -> None:
    zeros = np.zeros((20, 8), np.float32)
    with use(path):
        found = matched_sums([zeros, zeros[:0], zeros[:3], PHOTOS[0][:20, :8]])
        assert not found.values[:3, :].any()
        assert not found.gaps[:3, :].any()
        assert matched_sums([]).values.shape == (0, 0)
        assert matched_sums([], [zeros]).values.shape == (0, 1)
        assert matched_sums([zeros], []).gaps.shape == (1, 0)
        assert matched_sums([np.zeros((4, 0), np.float32)]).values.tolist() == [[0.0]]


@every_path
def test_check_is_asked_and_what_it_raises_ends_the_call(path: str) -> None:
    a = TokenSets(np.random.default_rng(1).standard_normal((40, 60, 64)).astype(np.float32))
    seen: list[int] = []

    def impatient() -> None:
        seen.append(threading.get_ident())
        if len(seen) == 3:
            raise TimeoutError

    with use(path), pytest.raises(TimeoutError):
        for _ in range(50):
            matched_sums(a, threads=2, check=impatient)
    assert set(seen) == {threading.get_ident()}
    with use(path):
        assert matched_sums(a[0][None]).values[0, 0] == pytest.approx(a.squares[0])


def test_token_sets_lie_together_in_float32() -> None:
    a = TokenSets([PHOTOS[0][:3], PHOTOS[1][:0].astype(np.float64), FeatureSet(PHOTOS[2][:2])])
    assert (len(a), a.tokens.dtype, a.tokens.shape, a.offsets.tolist()) == (3, np.float32, (5, 32), [0, 3, 3, 5])
    assert a.tokens.flags.c_contiguous
    assert a[2].tolist() == PHOTOS[2][:2].tolist()
    assert [len(one) for one in a] == [3, 0, 2]
    assert a.squares == pytest.approx([reference.square(PHOTOS[0][:3]), 0.0, reference.square(PHOTOS[2][:2])])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: matched_sums([PHOTOS[0], PHOTOS[1][:, :5]]), FeatureError, r"a\[1\] has tokens of 5 numbers, a\[0\]"),
        (lambda: matched_sums([PHOTOS[0]], [PHOTOS[1][:, :5]]), FeatureError, "b has tokens of 5 numbers, the others"),
        (lambda: matched_sums([PHOTOS[0], np.full((2, 32), np.nan)]), FeatureError, r"a\[1\] holds NaN"),
        (lambda: matched_sums([PHOTOS[0]], [np.full((2, 32), np.inf)]), FeatureError, r"b\[0\] holds NaN, infinity"),
        (lambda: matched_sums([np.full((2, 3), 1e60)]), FeatureError, r"a\[0\] .* beyond float32"),
        (lambda: matched_sums([PHOTOS[0], np.zeros(3)]), FeatureError, r"a\[1\] is float64 of shape \(3,\)"),
        (lambda: matched_sums([np.zeros((2, 3), np.int64)]), FeatureError, r"a\[0\] is int64"),
        (lambda: matched_sums([PHOTOS[0]], threads=0), InvalidInput, "threads is 0"),
    ],
)
def test_refuses_what_makes_no_sense(call, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_many_pairs_of_every_family_on_every_native_path(family: str) -> None:
    for seed in range(60):
        rng = np.random.default_rng(seed)
        n, m = rng.integers(1, 70, 2)
        q, x = FAMILIES[family](rng, int(n), int(n if seed % 2 else m))
        for path in available()[2:]:
            with use(path):
                check(matched_sums([q], [x]), [q], [x])
