"""Orders of images that do not depend on the order in which they came; recall by number of candidates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from setwise_engine.errors import InvalidInput
from setwise_evaluation.retrieval import ranked, recall_by_candidates

COLUMNS = st.lists(st.tuples(st.text(max_size=3), st.integers(-2, 2)), unique_by=lambda pair: pair[0], max_size=8)


def test_equal_scores_go_by_the_bytes_of_their_ids() -> None:
    ids = ["é", "b", "a", "z"]
    assert ranked(np.array([[1.0, 1.0, 1.0, 2.0]]), ids).tolist() == [[3, 2, 1, 0]]
    assert ranked(np.array([[0.0, -0.0, -np.inf, 2.0]]), ids).tolist() == [[3, 1, 0, 2]]


@given(COLUMNS, st.randoms())
def test_a_ranking_is_the_sorted_list_whatever_order_the_images_came_in(columns: list[tuple[str, int]], draw) -> None:  # type: ignore[no-untyped-def]
    expected = [id for id, _ in sorted(columns, key=lambda pair: (-pair[1], pair[0].encode()))]
    draw.shuffle(columns)
    ids = [id for id, _ in columns]
    order = ranked(np.array([[float(score) for _, score in columns]]), ids)
    assert [ids[column] for column in order[0]] == expected


def test_what_cannot_be_ranked_is_refused() -> None:
    with pytest.raises(InvalidInput, match="2 columns have 1 ids"):
        ranked(np.zeros((1, 2)), ["a"])
    with pytest.raises(InvalidInput, match="scores hold NaN"):
        ranked(np.array([[np.nan]]), ["a"])


def test_recall_counts_exact_hits_among_the_first_candidates() -> None:
    coarse = ["c", "a", "x", "b"]
    assert recall_by_candidates(["a", "b"], coarse, [1, 2, 4]) == [0, 0.5, 1]
    assert recall_by_candidates(["gone"], coarse, [4, 100]) == [0, 0]
    with pytest.raises(InvalidInput, match="no exact hits"):
        recall_by_candidates([], coarse, [1])
