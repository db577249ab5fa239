"""Search: coarse recall, then exact set matching of everything recalled that can matter."""

from setwise_engine.search._answer import Answer, Hit, Scope
from setwise_engine.search._options import Options, default_candidates
from setwise_engine.search._query import comparable
from setwise_engine.search._rank import Check
from setwise_engine.search._searcher import Searcher

__all__ = ["Answer", "Check", "Hit", "Options", "Scope", "Searcher", "comparable", "default_candidates"]
