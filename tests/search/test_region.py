"""Regions: which tokens a box or a mask chooses, and answers that speak of the whole picture."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from setwise_engine.encoder import Encoder
from setwise_engine.errors import InvalidInput
from setwise_engine.feature_set import FeatureSet, Grid, ImageSize
from setwise_engine.matching import Kernel, containment
from setwise_engine.search import Options, Region, Scope, Searcher
from setwise_engine.search._region import _covered

MakeSearcher = Callable[[dict[str, np.ndarray]], Searcher]
GRID, SIZE = Grid(4, 5), ImageSize(500, 400)  # cells of 100 x 100 pixels


def picture(seed: int = 0, grid: Grid = GRID, size: ImageSize | None = SIZE) -> FeatureSet:
    tokens = np.random.default_rng(seed).standard_normal((grid.rows * grid.columns, 8)).astype(np.float16)
    return FeatureSet(tokens, grid=grid, image_size=size)


def chosen(region: Region, features: FeatureSet | None = None) -> list[int]:
    part = region.of(features or picture())
    assert part.tokens is not None
    assert np.array_equal(part.features.tokens, part.whole.tokens[part.tokens])
    return part.tokens.tolist()


@pytest.mark.parametrize(
    ("box", "tokens"),
    [
        ((0, 0, 500, 400), list(range(20))),
        ((-50, -1e6, 1e6, 1e9), list(range(20))),
        ((100, 100, 200, 200), [6]),
        ((150, 100, 300, 200), [6, 7]),  # half of a cell is enough
        ((151, 100, 300, 200), [7]),
        ((130, 130, 200, 200), [6]),  # 49 of 100, and the largest there is
        ((190, 190, 210, 210), [6, 7, 11, 12]),  # four equal parts of one in a hundred
        ((190, 190, 211, 210), [7, 12]),
        ((0, 350, 500, 400), [15, 16, 17, 18, 19]),
        ((499, 399, 500, 400), [19]),
    ],
)
def test_a_box_chooses_the_tokens_half_of_whose_cells_it_covers(box: tuple[float, ...], tokens: list[int]) -> None:
    assert chosen(Region(box=box)) == tokens  # type: ignore[arg-type]


@given(arrays(np.bool_, (4, 5)).filter(np.any))
def test_a_mask_over_the_grid_chooses_its_own_tokens(mask: np.ndarray) -> None:
    assert chosen(Region(mask=mask)) == np.flatnonzero(mask).tolist()


@given(
    st.lists(st.integers(0, 50), min_size=2, max_size=2, unique=True),
    st.lists(st.integers(0, 40), min_size=2, max_size=2, unique=True),
)
def test_a_mask_of_the_pictures_shape_chooses_as_the_box_that_it_draws(across: list[int], down: list[int]) -> None:
    (left, right), (top, bottom) = sorted(across), sorted(down)
    mask = np.zeros((40, 50), np.bool_)
    mask[top:bottom, left:right] = True
    box = (10.0 * left, 10.0 * top, 10.0 * right, 10.0 * bottom)
    assert chosen(Region(mask=mask)) == chosen(Region(box=box))


def test_a_mask_needs_no_multiple_of_the_grid() -> None:
    mask = np.zeros((37, 46), np.bool_)
    mask[:, :23] = True
    assert chosen(Region(mask=mask)) == [t for t in range(20) if t % 5 < 3]


@pytest.mark.parametrize("shape", [(37, 46), (3, 2), (1, 1), (40, 3), (2, 50)])
def test_a_mask_covers_a_cell_by_its_share_of_the_area(shape: tuple[int, int]) -> None:
    grid, mask = Grid(4, 5), np.random.default_rng(3).random(shape) < 0.5
    # Each entry of the mask as 4 x 5 equal pieces, so that pieces fill cells exactly.
    pieces = np.kron(mask, np.ones((4, 5)))
    expected = pieces.reshape(4, shape[0], 5, shape[1]).mean(axis=(1, 3))
    np.testing.assert_allclose(_covered(mask, grid), expected, atol=1e-12)


def test_a_long_mask_costs_no_more_memory_than_itself() -> None:
    mask, grid = np.ones((1, 10_000_000), np.bool_), Grid(1, 256)
    tracemalloc.start()
    try:
        assert _covered(mask, grid) == pytest.approx(np.ones((1, 256)))
        assert tracemalloc.get_traced_memory()[1] < mask.nbytes
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("make", "features", "field"),
    [
        (Region, None, "region"),
        (lambda: Region(box=(0, 0, 1, 1), mask=np.ones((2, 2), np.bool_)), None, "region"),
        (lambda: Region(box=(5, 0, 5, 9)), None, "box"),
        (lambda: Region(box=(0, 0, float("nan"), 9)), None, "box"),
        (lambda: Region(mask=np.zeros((4, 5), np.bool_)), None, "mask"),
        (lambda: Region(mask=np.ones((4, 5), np.uint8)), None, "mask"),  # type: ignore[arg-type]
        (lambda: Region(mask=np.ones(20, np.bool_)), None, "mask"),
        (lambda: Region(mask=np.ones((50, 40), np.bool_)), picture(), "mask"),  # made before the picture was rotated
        (lambda: Region(box=(500, 0, 600, 400)), picture(), ""),
        (lambda: Region(box=(0, 0, 9, 9)), picture(size=None), "box"),
        (lambda: Region(box=(0, 0, 9, 9)), FeatureSet(np.ones((4, 8), np.float16)), ""),
        (lambda: Region(box=(0, 0, 9, 9)), picture(grid=Grid(0, 5)), ""),
    ],
)
def test_a_region_that_means_nothing_is_refused(make: Callable[[], Region], features: FeatureSet, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        make().of(features)
    assert caught.value.field == field


def placed(seed: int, part: np.ndarray, places: list[int]) -> np.ndarray:
    """A picture that shows other tokens at some of its places."""
    tokens = picture(seed).tokens.copy()
    tokens[places] = part
    return tokens.astype(np.float16)


def test_a_region_finds_where_it_was_moved_and_speaks_of_whole_pictures(make_searcher: MakeSearcher) -> None:
    query = picture(1)
    sets = {str(i): picture(100 + i).tokens for i in range(30)}
    sets["moved"] = placed(7, query.tokens[[6, 7, 11, 12]], [0, 1, 5, 6])
    answer = make_searcher(sets).search(
        query, Options(k=3, matches=True, scores=True, proofs=True), region=Region(box=(100, 100, 300, 300))
    )
    hit = answer.hits[0]
    assert (hit.id, answer.kernel, answer.scope) == ("moved", Kernel.CONTAINMENT, Scope.COLLECTION)
    assert hit.score == pytest.approx(1.0)
    assert hit.match is not None and hit.scores is not None and hit.proof is not None
    pairs = dict(zip(hit.match.rows.tolist(), hit.match.columns.tolist(), strict=True))
    assert pairs == {6: 0, 7: 1, 11: 5, 12: 6}
    assert hit.scores.containment == hit.score
    assert hit.scores.spatio_semantic is None
    assert answer.query_tokens is not None and answer.query_tokens.tolist() == [6, 7, 11, 12]
    assert hit.proof.row_prices.shape == (4,) and hit.proof.column_prices.shape == (20,)


@pytest.mark.parametrize("kernel", [None, Kernel.COSINE, Kernel.CONTAINMENT])
def test_regions_of_large_collections_are_recalled_and_the_answer_says_so(
    make_searcher: MakeSearcher, kernel: Kernel | None
) -> None:
    sets = {str(i): picture(100 + i).tokens for i in range(30)}
    searcher = make_searcher(sets)
    query, region = picture(103), Region(box=(0, 0, 200, 200))
    options = Options(k=1, candidates=12, kernel=kernel)
    recalled = searcher.search(query, options, region=region)
    assert (recalled.scope, recalled.recalled) == (Scope.CANDIDATES, 12)
    assert "30 whole images" in recalled.warnings[0]
    assert searcher.search_id("3", Options(k=1)).warnings == ()
    searcher._region_limit = 29
    assert searcher.search(query, Options(k=1), region=region).recalled == 30  # 1000 candidates of 30
    searcher._region_limit = 30
    exact = searcher.search(query, Options(k=30), region=region)
    assert (exact.scope, exact.warnings) == (Scope.COLLECTION, ())


def test_containment_ranks_as_it_is_defined(
    make_searcher: MakeSearcher, scattered: dict[str, np.ndarray], plain_encoder: Encoder
) -> None:
    searcher = make_searcher(scattered)
    for id in ("001", "010", "022"):
        query = scattered[id][:3]
        answer = searcher.search(FeatureSet(query), Options(k=40, kernel=Kernel.CONTAINMENT, exhaustive=True))
        expected = {name: containment(query, tokens) for name, tokens in scattered.items()}
        assert {hit.id: hit.score for hit in answer.hits} == pytest.approx(expected, abs=1e-14)


def test_compare_takes_regions_of_both_and_containment(make_searcher: MakeSearcher) -> None:
    a = picture(1)
    b = FeatureSet(placed(7, a.tokens[[6, 7, 11, 12]], [0, 1, 5, 6]), grid=GRID, image_size=SIZE)
    searcher = make_searcher({"a": a.tokens})
    inside, corner = Region(box=(100, 100, 300, 300)), Region(mask=np.pad(np.ones((2, 2), np.bool_), ((0, 2), (0, 3))))
    both = searcher.compare(a, b, region_a=inside, region_b=corner)
    assert both.scores.containment == pytest.approx(1.0)
    assert dict(zip(both.rows.tolist(), both.columns.tolist(), strict=True)) == {6: 0, 7: 1, 11: 5, 12: 6}
    assert both.scores.cosine == pytest.approx(1.0)
    assert searcher.compare(a, b).scores.containment is None
    assert searcher.compare(a, b, kernel=Kernel.CONTAINMENT).scores.containment == pytest.approx(
        containment(a.tokens, b.tokens.astype(np.float16)), abs=1e-14
    )
    for name in ("region_a", "region_b"):
        with pytest.raises(InvalidInput) as caught:
            searcher.compare(a, b, **{name: Region(box=(900, 0, 950, 9))})  # type: ignore[arg-type]
        assert caught.value.field == name
