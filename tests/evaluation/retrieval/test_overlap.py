"""Label overlap of rankings, of one query and of many, with and without numbers; chance."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from setwise_engine.errors import InvalidInput
from setwise_evaluation.retrieval import count_f1, f1_at, label_f1, overlaps, random_f1

LABELS = st.frozensets(st.sampled_from("abcdef"), max_size=4)
COUNTS = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 4), max_size=3).map(Counter)


def test_f1_is_twice_what_is_shared_over_what_both_hold() -> None:
    assert label_f1({"cat", "cup"}, {"cat", "cup"}) == 1
    assert label_f1({"cat", "cup"}, {"cat"}) == pytest.approx(2 / 3)
    assert label_f1({"cat"}, {"dog"}) == 0
    assert label_f1(set(), set()) == 0


def test_counted_labels_share_the_smaller_number_of_each() -> None:
    assert count_f1(Counter(cat=3, cup=1), Counter(cat=3, cup=1)) == 1
    assert count_f1(Counter(cat=3, cup=1), Counter(cat=2, cup=2)) == pytest.approx(3 / 4)
    assert count_f1(Counter(cat=3, cup=1), Counter(cat=1, cup=3)) == pytest.approx(2 / 4)
    assert count_f1(Counter(cat=3), Counter(dog=3)) == 0
    assert count_f1(Counter(), Counter()) == 0


def test_f1_at_k_averages_the_first_hits_and_counts_missing_ones_as_0() -> None:
    hits = [{"cat"}, {"dog"}, {"cat"}]
    assert f1_at({"cat"}, hits, 1) == 1
    assert f1_at({"cat"}, hits, 2) == 0.5
    assert f1_at({"cat"}, hits, 6) == pytest.approx(2 / 6)
    with pytest.raises(InvalidInput, match="k is 0"):
        f1_at({"cat"}, hits, 0)


def test_chance_is_the_mean_over_all_pairs() -> None:
    assert random_f1([{"cat"}, {"dog"}], [{"cat"}, {"cup"}]) == 0.25


@given(st.lists(LABELS, min_size=1, max_size=5), st.lists(LABELS, min_size=1, max_size=5))
def test_overlaps_are_the_f1_of_every_pair(queries: list[frozenset[str]], database: list[frozenset[str]]) -> None:
    expected = [[label_f1(query, image) for image in database] for query in queries]
    np.testing.assert_allclose(overlaps(queries, database), expected, rtol=1e-15)


@given(st.lists(COUNTS, min_size=1, max_size=5), st.lists(COUNTS, min_size=1, max_size=5))
def test_overlaps_of_counts_are_the_counted_f1_of_every_pair(
    queries: list[Counter[str]], database: list[Counter[str]]
) -> None:
    expected = [[count_f1(query, image) for image in database] for query in queries]
    np.testing.assert_allclose(overlaps(queries, database), expected, rtol=1e-15)


@given(LABELS, LABELS)
def test_counts_of_one_are_labels(query: frozenset[str], image: frozenset[str]) -> None:
    assert count_f1(Counter(query), Counter(image)) == label_f1(query, image)
