"""Compaction of a whole collection, step by step (docs/decisions/0091-compaction.md)."""

from __future__ import annotations

import time
from collections.abc import Callable

from setwise_engine.collection._compact import Step, compact_segments
from setwise_engine.collection._compact_plan import due_steps, every_step, pieces
from setwise_engine.collection._merge import Damaged, Pace
from setwise_engine.collection._types import Compaction
from setwise_engine.collection._view import View
from setwise_engine.collection._writer import Writer

__all__ = ["Compactor"]

_ROUNDS = 16
"""How often what was merged is looked at again; more is left to the next time, since others may go on writing."""


class Compactor:
    """Compacts one collection; remembers which segments it found to be damaged, and leaves these alone."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._damaged: frozenset[int] = frozenset()

    def due(self, view: View) -> bool:
        """Whether there is a step to do."""
        return any(True for _ in due_steps(pieces(view, self._damaged)))

    def run(self, newest: Callable[[], View], pace: Pace, *, everything: bool) -> Compaction:
        """Does what is due, or everything. `newest` gives the newest version."""
        begun = time.monotonic()
        done: list[Step] = []
        problems: list[str] = []
        choose = every_step if everything else due_steps
        with self._writer.compaction_lock.hold():
            self._writer.forget_reserved()
            before = newest()
            for _ in range(_ROUNDS):
                plan = list(choose(pieces(newest(), self._damaged)))
                for numbers in plan:
                    try:
                        done.append(compact_segments(self._writer, newest(), numbers, pace))
                    except Damaged as error:
                        problems.append(str(error))
                        self._damaged |= {error.number}
                if not plan or (everything and not problems):
                    break
        after = newest()
        return Compaction(
            segments_before=len(before.entries),
            segments_after=len(after.entries),
            bytes_before=_bytes(before),
            bytes_after=_bytes(after),
            dropped=sum(step.dropped for step in done),
            bytes_written=sum(step.written for step in done),
            steps=len(done),
            seconds=time.monotonic() - begun,
            problems=tuple(problems),
        )


def _bytes(view: View) -> int:
    return sum(entry.bytes for entry in view.entries.values())
