"""Search: coarse recall, then exact set matching of everything recalled that can matter."""

from setwise_engine.search._answer import Answer, Check, Hit, Scope
from setwise_engine.search._options import Options, default_candidates
from setwise_engine.search._query import comparable
from setwise_engine.search._rank import rank_stored, with_the_rest
from setwise_engine.search._region import Region
from setwise_engine.search._searcher import Searcher

__all__ = [
    "Answer",
    "Check",
    "Hit",
    "Options",
    "Region",
    "Scope",
    "Searcher",
    "comparable",
    "default_candidates",
    "rank_stored",
    "with_the_rest",
]
