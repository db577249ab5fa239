"""The demo's tables: every score of an answer side by side, and which of them put the right picture first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from statistics import mean

from setwise import Hit, Hits, InternalError, Scores
from setwise._demo.collages import Question, shown

__all__ = ["RANKINGS", "score_table", "tally"]

RANKINGS: dict[str, Callable[[Scores], float]] = {
    "semantic": lambda scores: scores.cosine,
    "spatio-semantic": lambda scores: scores.spatio_semantic or 0.0,
    "pooled": lambda scores: scores.pooled,
    "MaxSim": lambda scores: scores.maxsim_query,
}
"""What images are ranked by: the best one-to-one matching of patches; patches at equal places; the mean patch; and each
patch's best partner, however often that one is taken."""


def score_table(hits: Hits, answer: str, rows: int = 5) -> list[str]:
    """The first rows of an answer with all scores; the picture that was looked for is marked."""
    lines = ["  rank  " + "  ".join(f"{name:>15}" for name in RANKINGS) + "  image"]
    for rank, hit in enumerate(hits[:rows], start=1):
        scores = "  ".join(f"{_score(hit, ranking):15.3f}" for ranking in RANKINGS)
        lines.append(f"  {rank:4}  {scores}  {hit.id}" + ("   <- the same photos" if hit.id == answer else ""))
    return lines


def tally(answers: Sequence[tuple[Hits, Question]]) -> list[str]:
    """For each of RANKINGS: how often the right picture came first, and how well the first five show the same photos.

    F1@5 is the mean, over the first five hits and all queries, of the F1 of the photos that query and hit show.
    """
    lines = [f"  {'ranked by':>15}  {'found first':>11}  {'mean F1@5':>9}"]
    for ranking in RANKINGS:
        orders = [
            (sorted(hits, key=partial(_score, ranking=ranking), reverse=True), question) for hits, question in answers
        ]
        first = sum(order[0].id == question.answer for order, question in orders)
        overlap = mean(_f1(question.shows, shown(hit.id)) for order, question in orders for hit in order[:5])
        lines.append(f"  {ranking:>15}  {f'{first} of {len(orders)}':>11}  {overlap:9.3f}")
    return lines


def _f1(asked: frozenset[str], found: frozenset[str]) -> float:
    return 2 * len(asked & found) / (len(asked) + len(found))


def _score(hit: Hit, ranking: str) -> float:
    if hit.scores is None:
        raise InternalError(f"the server sent {hit.id} without the scores that were asked for")
    return RANKINGS[ranking](hit.scores)
