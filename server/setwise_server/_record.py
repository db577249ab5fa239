"""What one call came to, for logs, metrics and traces: filled in as it goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from setwise_engine.search import Answer, Scope
from setwise_server._asked import Asked

__all__ = ["BOUNDS", "COUNTS", "STAGES", "Record"]

STAGES = ("queue", "decode", "extract", "encode", "recall", "rerank", "fetch")
"""The stages of a search, in the order in which they run."""
BOUNDS = ("gate", "gate_dual", "bound", "dual")
"""The stages that rule candidates out, in the order in which they run."""
COUNTS = ("searches", "proven", "partial", "recalled", *BOUNDS, "solved", "unexamined")
"""What a Record counts."""


@dataclass(slots=True, eq=False)
class Record:
    """One call. The handler's thread writes; whoever reports reads once the call has ended.

    stages: seconds by stage, summed over the queries of the call. asked: what a unary call asks for, fit for a log.
    searches: rankings made; proven: those proven for the whole collection; partial: those cut short by the deadline.
    recalled: candidates, of which gate, gate_dual, bound and dual were ruled out by the stage of that name (see
    Stages), solved were solved and unexamined were left when the time ran out.
    """

    stages: dict[str, float] = field(default_factory=dict)
    asked: Asked = field(default_factory=dict)
    searches: int = 0
    proven: int = 0
    partial: int = 0
    recalled: int = 0
    gate: int = 0
    gate_dual: int = 0
    bound: int = 0
    dual: int = 0
    solved: int = 0
    unexamined: int = 0

    def add(self, stage: str, seconds: float) -> None:
        """So many seconds went into this stage; none for one that did not run."""
        if seconds:
            self.stages[stage] = self.stages.get(stage, 0.0) + seconds

    def counts(self) -> dict[str, int]:
        """What was counted, by name."""
        return {name: getattr(self, name) for name in COUNTS}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """What runs inside is this stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - started)

    def searched(self, answer: Answer) -> None:
        """One ranking was made."""
        self.searches += 1
        self.proven += answer.scope is Scope.COLLECTION
        self.partial += answer.scope is Scope.PARTIAL
        self.recalled += answer.recalled
        stages = answer.stages
        self.gate += stages.gate
        self.gate_dual += stages.gate_dual
        self.bound += stages.bound
        self.dual += stages.dual
        self.solved += stages.solved
        self.unexamined += answer.unexamined
        self.add("recall", answer.recall_s)
        self.add("rerank", answer.rerank_s)
        self.add("fetch", answer.fetch_s)
