"""The model checker: what each image may be at each version of a collection, from what was asked and acknowledged.

A change takes effect at one version after the newest that was seen before it was asked for, and not after the version
that its acknowledgement names. Without an acknowledgement it may take effect at any later version, or never; a crash
ends that doubt, because nothing is under way any more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Change", "Ledger", "State"]

NEVER = 1 << 62


class State(NamedTuple):
    """What an image is: the seed of its tokens and its metadata as sorted text."""

    seed: int
    metadata: str


@dataclass(slots=True)
class Change:
    """The image becomes `after` (None: it is gone) at one of the versions first..last; perhaps never, if `open`."""

    after: State | None
    first: int
    last: int = NEVER
    open: bool = True


@dataclass
class Ledger:
    """Changes by id. Whoever changes an id waits for the answer before it changes the same id again."""

    changes: dict[str, list[Change]] = field(default_factory=dict)
    newest: int = 0
    acknowledged: int = 0
    searches: int = 0
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def now(self, id: str) -> State | None:
        """What the image is once all that was asked has been done."""
        changes = self.changes.get(id)
        return changes[-1].after if changes else None

    @contextmanager
    def asking(self, after: Mapping[str, State | None]) -> Iterator[Callable[[int], None]]:
        """Around a call that changes these images; it is to be told the version that the answer names."""
        with self._lock:
            made = {id: Change(state, self.newest + 1) for id, state in after.items()}
            for id, change in made.items():
                self.changes.setdefault(id, []).append(change)

        def answered(version: int) -> None:
            with self._lock:
                for change in made.values():
                    change.last, change.open = version, False
                self.newest = max(self.newest, version)
                self.acknowledged += len(made)

        yield answered

    def seen(self, version: int) -> None:
        """Some answer named this version."""
        with self._lock:
            self.newest = max(self.newest, version)

    def possible(self, id: str, version: int) -> set[State | None]:
        """What the image may be at a version."""
        states: set[State | None] = {None}
        for change in self.changes.get(id, ()):
            if change.last <= version and not change.open:
                states = {change.after}
            elif change.first <= version:
                states.add(change.after)
        return states

    def search(self, hits: Iterable[tuple[str, float]], version: int, score: Callable[[State], float | None]) -> None:
        """Holds a ranking of all images against the model.

        score: the definition's, by which it must be ordered; None for an image that does not pass the filter.
        """
        self.searches += 1
        self.seen(version)
        found = dict(ranking := list(hits))
        if ranking != sorted(ranking, key=lambda hit: (-hit[1], hit[0].encode())) or len(found) != len(ranking):
            self.wrong.append(f"version {version}: not in order, or an id twice")
        for id in self.changes.keys() | found.keys():
            states = self.possible(id, version)
            right = {None if state is None else score(state) for state in states}
            if found.get(id) not in right:
                self.wrong.append(f"version {version}: {id} has {found.get(id)}, right would be {right} ({states})")

    def after_a_crash(self, content: Mapping[str, State], version: int) -> None:
        """Holds everything that a crash left against the model, and settles what had not been acknowledged."""
        if version < self.newest:
            self.lost.append(f"version {version} is there, {self.newest} was seen before the crash")
        for id in self.changes.keys() | content.keys():
            state, states = content.get(id), self.possible(id, NEVER)
            if state not in states:
                text = f"{id} is {state} after the crash; it should be one of {states}"
                (self.lost if len(states) == 1 else self.wrong).append(text)
            self.changes[id] = [] if state is None else [Change(state, 0, 0, open=False)]
        self.changes = {id: changes for id, changes in self.changes.items() if changes}
        self.newest = version
