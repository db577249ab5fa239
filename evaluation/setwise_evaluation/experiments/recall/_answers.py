"""The exact answers of every query, and beside them the answers that a search gives by default."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from setwise_engine.matching import Ranking
from setwise_engine.search import default_candidates
from setwise_evaluation.experiments.recall._case import Case
from setwise_evaluation.experiments.recall._exact import ExactTop, ask, exact_top, found_within, places
from setwise_evaluation.experiments.recall._types import DefaultAnswers, Draws, Progress
from setwise_evaluation.retrieval import bootstrap_rows

__all__ = ["Answers", "answer_all"]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """tops: the exact ones, one a query. exact_ms: median wall time of one."""

    tops: tuple[ExactTop, ...]
    default: DefaultAnswers
    exact_ms: float


@dataclass(frozen=True, slots=True)
class _ByDefault:
    """One default answer beside the exact one."""

    recalled: int
    matching: int
    exact: bool
    found: int
    sound: bool
    solved: int
    rerank_ms: float


def answer_all(case: Case, draws: Draws, progress: Progress) -> Answers:
    """Asks every query both ways."""
    tops, answers, times = [], [], []
    for query in range(len(case.queries)):
        progress("exact answers", query, len(case.queries))
        top, answer, seconds = _answer(case, query)
        tops.append(top)
        answers.append(answer)
        times.append(seconds)
    progress("exact answers", len(case.queries), len(case.queries))
    return Answers(tuple(tops), _summary(answers, case.k, draws), 1e3 * float(np.median(times)))


def _answer(case: Case, query: int) -> tuple[ExactTop, _ByDefault, float]:
    asked, sigma = case.queries[query], case.collection.encoder.sigma
    vector = case.collection.coarse.pool(asked.features.tokens)
    first = case.recalled(vector, default_candidates(case.k), query)
    started = perf_counter()
    ranking = ask(case.snapshot, asked, iter([first]), case.k, kernel=case.kernel, sigma=sigma)
    answered = perf_counter()
    keys = case.others(case.keys, query)
    top = exact_top(case.snapshot, asked, keys, first, case.k, kernel=case.kernel, sigma=sigma, threads=case.threads)
    default = _ByDefault(
        recalled=len(first),
        matching=len(keys),
        exact=np.array_equal(_scores(ranking, case.k), top.best),
        found=int(found_within(top, places(top, first), [len(first)])[0]),
        sound=_is_sound(ranking),
        solved=ranking.stages.solved,
        rerank_ms=1e3 * (answered - started),
    )
    return top, default, perf_counter() - answered


def _scores(ranking: Ranking, k: int) -> NDArray[np.float64]:
    return np.sort([one.score for one in ranking.finalists])[::-1][:k]


def _is_sound(ranking: Ranking) -> bool:
    """Whether what was not solved is bounded below the k-th score."""
    bound, score = ranking.highest_pruned_bound, ranking.kth_score
    return bound is None or (score is not None and bound < score)


def _summary(answers: list[_ByDefault], k: int, draws: Draws) -> DefaultAnswers:
    shares = np.array([[one.exact, one.found / k] for one in answers], np.float64)
    exact, recall = bootstrap_rows(shares.T, seed=draws.seed, resamples=draws.resamples)
    return DefaultAnswers(
        candidates=default_candidates(k),
        certified=float(np.mean([one.recalled == one.matching for one in answers])),
        covered=float(np.mean([one.recalled / one.matching for one in answers])),
        sound=float(np.mean([one.sound for one in answers])),
        exact=exact,
        recall=recall,
        solved=float(np.mean([one.solved for one in answers])),
        rerank_ms=float(np.median([one.rerank_ms for one in answers])),
    )
