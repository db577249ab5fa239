"""The demo's tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from setwise import Hits, InternalError, Query
from setwise._demo.collages import Question
from setwise._demo.table import RANKINGS, score_table, tally
from setwise._parse import parse_hits
from setwise_proto.v1 import search_pb2, types_pb2


def _answer(**cosines: float) -> Hits:
    """An answer as the wire brings it, whose pooled scores rank the other way round."""
    hits = [
        search_pb2.Hit(
            id=f"{name.replace('_', '-')}.jpg",
            score=cosine,
            scores=types_pb2.Scores(cosine=cosine, pooled=-cosine, maxsim_query=cosine, spatio_semantic=0.0),
        )
        for name, cosine in cosines.items()
    ]
    return parse_hits(search_pb2.SearchResponse(hits=hits), Query("query"))


@pytest.fixture
def question() -> Question:
    return Question(Path("b-a.jpg"), frozenset("ab"), "a-b.jpg")


def test_each_ranking_is_judged_by_its_own_order(question: Question) -> None:
    lines = tally([(_answer(a_b=0.9, a_c=0.5, c_d=0.1), question)])
    found = {line.split()[0]: line for line in lines[1:]}
    assert set(found) == set(RANKINGS)
    assert "1 of 1" in found["semantic"] and "1 of 1" in found["MaxSim"]
    assert "0 of 1" in found["pooled"]
    assert all("0.500" in line for line in lines[1:]), "F1 of the three hits: 1, 1/2 and 0"


def test_the_picture_that_was_looked_for_is_marked(question: Question) -> None:
    lines = score_table(_answer(a_b=0.9, a_c=0.5), question.answer)
    assert lines[1].endswith("<- the same photos") and not lines[2].endswith("<- the same photos")


def test_an_answer_without_scores_is_refused(question: Question) -> None:
    response = search_pb2.SearchResponse(hits=[search_pb2.Hit(id="a-b.jpg")])
    with pytest.raises(InternalError, match="without the scores"):
        score_table(parse_hits(response, Query("query")), question.answer)
