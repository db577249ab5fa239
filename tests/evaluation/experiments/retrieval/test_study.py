"""From scores and labels to measures, intervals and differences."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from setwise_engine.errors import InvalidInput
from setwise_evaluation.experiments.retrieval import Reading, retrieval
from setwise_evaluation.experiments.retrieval._words import sentences
from setwise_evaluation.retrieval import bootstrap, label_f1, paired_bootstrap

SEMANTIC, POOLED = Reading("semantic", "cosine"), Reading("pooled", "cosine")
SPATIAL = Reading("spatio-semantic", "cosine")


def test_measures_are_those_of_the_ranking() -> None:
    scores = {SEMANTIC: np.array([[0.9, 0.1, 0.5]]), POOLED: np.array([[0.1, 0.9, 0.5]])}
    study = retrieval(scores, [{"cat", "cup"}], [{"cat"}, {"dog"}, {"cat", "cup"}], ks=(1, 2), resamples=20)
    first = label_f1({"cat", "cup"}, {"cat"})
    assert study.estimates[SEMANTIC]["F1@1"].value == pytest.approx(first)
    assert study.estimates[SEMANTIC]["F1@2"].value == pytest.approx((first + 1) / 2)
    assert study.estimates[POOLED]["F1@1"].value == 0
    assert study.first == {SEMANTIC: ("000000000",), POOLED: ("000000001",)}
    assert study.ahead[POOLED]["F1@1"].value == pytest.approx(first)
    assert study.chance["F1@1"] == pytest.approx((first + 0 + 1) / 3)


def test_intervals_are_over_queries_and_differences_are_paired() -> None:
    rng = np.random.default_rng(0)
    labels = [frozenset(rng.choice(list("abcdef"), 2, replace=False).tolist()) for _ in range(30)]
    scores = {SEMANTIC: rng.random((10, 30)), POOLED: rng.random((10, 30))}
    study = retrieval(scores, labels[:10], labels, ks=(1, 5), seed=4, resamples=200)
    values = {reading: study.per_query[reading]["F1@5"] for reading in scores}
    alone = bootstrap(values[POOLED], seed=4, resamples=200)
    paired = paired_bootstrap(values[SEMANTIC], values[POOLED], seed=4, resamples=200)
    for found, expected in ((study.estimates[POOLED]["F1@5"], alone), (study.ahead[POOLED]["F1@5"], paired)):
        assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))


def test_a_query_does_not_find_itself() -> None:
    scores = {SEMANTIC: np.array([[1.0, 0.2, 0.1], [0.2, 1.0, 0.3]])}
    labels = [{"a"}, {"b"}, {"a"}]
    study = retrieval(
        scores,
        labels[:2],
        labels,
        query_ids=["x", "y"],
        database_ids=["x", "y", "z"],
        leave_one_out=True,
        ks=(1, 2, 3),
        resamples=20,
    )
    assert study.first[SEMANTIC] == ("y", "z")
    np.testing.assert_allclose(study.per_query[SEMANTIC]["F1@2"], [0.5, 0.0])
    np.testing.assert_allclose(study.per_query[SEMANTIC]["R@2"], [1.0, np.nan])
    assert study.chance["F1@1"] == pytest.approx(1 / 4)  # of four pairs one shares its label


def test_queries_to_which_nothing_is_relevant_count_for_f1_and_not_for_recall() -> None:
    scores = {SEMANTIC: np.array([[1.0, 0.0], [0.0, 1.0]])}
    study = retrieval(scores, [{"a"}, {"q"}], [{"a"}, {"b"}], ks=(1,), resamples=20)
    assert study.estimates[SEMANTIC]["F1@1"].value == 0.5
    assert study.estimates[SEMANTIC]["AP"].value == 1


def test_numbers_are_told_apart_among_images_of_the_same_kinds() -> None:
    query = [Counter(a=3, b=1)]
    database = [Counter(a=3, b=1), Counter(a=1, b=3), Counter(c=4), Counter(a=2, b=2)]
    right = retrieval({SEMANTIC: np.array([[0.5, 0.4, 0.9, 0.3]])}, query, database, ks=(1,), resamples=20)
    wrong = retrieval({SEMANTIC: np.array([[0.5, 0.6, 0.1, 0.3]])}, query, database, ks=(1,), resamples=20)
    assert (
        right.estimates[SEMANTIC]["told apart"].value == 1
    )  # the first hit is another kind, which is not the question
    assert right.estimates[SEMANTIC]["same@1"].value == 0
    assert wrong.estimates[SEMANTIC]["told apart"].value == 0
    assert wrong.estimates[SEMANTIC]["F1@1"].value == 0.5
    assert right.chance["told apart"] == pytest.approx(1 / 3)


def test_what_all_or_no_kin_hold_cannot_be_told_apart() -> None:
    study = retrieval(
        {SEMANTIC: np.array([[0.5, 0.4]])}, [Counter(a=1)], [Counter(a=1), Counter(a=1)], ks=(1,), resamples=20
    )
    assert "told apart" not in study.estimates[SEMANTIC]


def test_sentences_follow_from_the_numbers() -> None:
    labels = [frozenset({str(number % 5)}) for number in range(40)]
    same = np.array([[a == b for b in labels] for a in labels], dtype=np.float64)
    study = retrieval({SPATIAL: 1 - same, POOLED: same, SEMANTIC: same}, labels, labels, ks=(1, 5), resamples=50)
    first, second = sentences(study)
    assert first.startswith("F1@5: semantic is above spatio-semantic, its interval above 0, in every kernel")
    assert "cosine +1.000 [+1.000, +1.000]" in first
    assert "Not to be told apart from semantic in the same kernel: pooled in cosine." in first
    assert second.startswith("AP: ")
    worse = retrieval({SPATIAL: same, POOLED: same, SEMANTIC: 1 - same}, labels, labels, ks=(1, 5), resamples=50)
    first, _ = sentences(worse)
    assert "its interval above 0, in no kernel" in first
    assert "Better than semantic in the same kernel (semantic minus it): pooled in cosine (-1.000" in first


def test_what_does_not_agree_is_refused() -> None:
    with pytest.raises(InvalidInput, match="2 labelled queries and 2 labelled images"):
        retrieval({SEMANTIC: np.zeros((1, 2))}, [{"a"}, {"b"}], [{"a"}, {"b"}])
    with pytest.raises(InvalidInput, match="there are no queries"):
        retrieval({SEMANTIC: np.zeros((0, 1))}, [], [{"a"}])
