"""Bounds on what a model can reach."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
import scipy.stats
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput
from setwise_evaluation.compare import Method, correlate, noise_ceiling

Matrix = NDArray[np.float64]
Rsms = list[Matrix]


@pytest.fixture
def subjects(linear: Callable[..., Matrix]) -> Rsms:
    return [linear(0) + 0.7 * linear(seed) for seed in (1, 2, 3, 4)]


def pooled(rsms: Rsms, method: Method) -> Matrix:
    """The slow twin's mean: of z-scores, or of ranks."""
    above = np.triu_indices(len(rsms[0]), 1)
    kind = scipy.stats.zscore if method == "pearson" else scipy.stats.rankdata
    mean = np.zeros_like(rsms[0])
    mean[above] = np.mean([kind(rsm[above]) for rsm in rsms], axis=0)
    return mean + mean.T


@pytest.mark.parametrize("method", get_args(Method))
def test_leave_one_out_and_all(subjects: Rsms, method: Method) -> None:
    found = noise_ceiling(subjects, method=method)
    others = [[rsm for rsm in subjects if rsm is not left] for left in subjects]
    lower = [correlate(one, pooled(rest, method), method=method) for one, rest in zip(subjects, others, strict=True)]
    upper = [correlate(one, pooled(subjects, method), method=method) for one in subjects]
    assert (found.lower, found.upper) == pytest.approx((np.mean(lower), np.mean(upper)))
    assert found.lower < found.upper
    assert str(found).endswith("(4 RSMs)")


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_no_rsm_does_better_than_the_upper_bound(subjects: Rsms, linear: Callable[..., Matrix], method: Method) -> None:
    upper = noise_ceiling(subjects, method=method).upper
    models = [linear(0), *subjects, *(linear(0) + 0.3 * linear(seed) for seed in range(10, 30))]
    assert all(np.mean([correlate(model, rsm, method=method) for rsm in subjects]) <= upper for model in models)


def test_what_has_no_ceiling_is_named(subjects: Rsms) -> None:
    with pytest.raises(InvalidInput, match="1 RSMs have no noise ceiling"):
        noise_ceiling(subjects[:1])
    with pytest.raises(InvalidInput, match="the mean of all is constant"):
        noise_ceiling([subjects[0], -subjects[0]])
    with pytest.raises(InvalidInput, match=r"rsms\[2\] is over 11 images"):
        noise_ceiling([*subjects[:2], subjects[2][:11, :11]])
