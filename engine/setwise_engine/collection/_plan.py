"""What changes come to: worked out from what is stored, without touching it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from setwise_engine.collection._change import Change, Mode, Outcome, Put, Remove, SetMetadata
from setwise_engine.collection._metadata import check_metadata, read_metadata
from setwise_engine.collection._types import Source
from setwise_engine.errors import AlreadyExists, EngineError, NotFound

__all__ = ["Plan", "Ready", "SetSource", "Stored", "change_id", "make_plan"]


@dataclass(frozen=True, slots=True)
class SetSource:
    """Note where an image's file lies now."""

    id: str
    source: Source


@dataclass(frozen=True, slots=True)
class Stored:
    """What the catalog has of an image. metadata: as JSON."""

    key: int
    birth: int
    content_hash: str
    metadata: str
    source: Source | None


@dataclass(frozen=True, slots=True)
class Ready:
    """A change that was found good. metadata: that of a `Put`, as JSON."""

    change: Change | SetSource
    metadata: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """The least that must be written, and what to answer.

    results: one for each change. puts: which changes' records are to be stored, and their metadata, in order.
    gone: images that are replaced or deleted. changed: images that stay where they are, before and after.
    """

    results: tuple[Outcome | EngineError, ...]
    puts: dict[int, str] = field(default_factory=dict)
    gone: list[Stored] = field(default_factory=list)
    changed: list[tuple[Stored, Stored]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.puts or self.gone or self.changed)


@dataclass(frozen=True, slots=True)
class _New:
    """An image that the changes before have put there."""

    change: int
    content_hash: str
    metadata: str
    source: Source | None


_State = Stored | _New | None
_Result = tuple[Outcome, _State]


def make_plan(
    changes: Sequence[Ready | EngineError], stored: Mapping[str, Stored], *, always_store: bool = False
) -> Plan:
    """Applies the changes one by one, in order; an error in the place of a change is its result.

    always_store: store every record of a `Put` anew, also one with the content hash that is stored.
    """
    now: dict[str, _State] = {}
    results: list[Outcome | EngineError] = []
    for number, ready in enumerate(changes):
        if isinstance(ready, EngineError):
            results.append(ready)
            continue
        id = change_id(ready.change)
        state = now.get(id, stored.get(id))
        try:
            match ready.change:
                case Put():
                    outcome, after = _put(number, ready.change, ready.metadata, state, always_store)
                case Remove():
                    outcome, after = Outcome.MISSING if state is None else Outcome.REMOVED, None
                case SetMetadata():
                    outcome, after = _set_metadata(ready.change, state)
                case SetSource():
                    outcome, after = _set_source(ready.change, state)
        except EngineError as error:
            results.append(error)
        else:
            now[id] = after
            results.append(outcome)
    plan = Plan(tuple(results))
    for id, after in now.items():
        if isinstance(after, _New):
            plan.puts[after.change] = after.metadata
        before = stored.get(id)
        if before is not None and not isinstance(after, Stored):
            plan.gone.append(before)
        if before is not None and isinstance(after, Stored) and after != before:
            plan.changed.append((before, after))
    return plan


def change_id(change: Change | SetSource) -> str:
    """Id of the image that the change is about."""
    return change.record.id if isinstance(change, Put) else change.id


def _put(number: int, put: Put, metadata: str, state: _State, always_store: bool) -> _Result:
    record = put.record
    if state is None:
        if put.mode is Mode.UPDATE:
            raise _not_found(record.id)
        return Outcome.INSERTED, _New(number, record.content_hash, metadata, record.source)
    if put.mode is Mode.INSERT:
        raise AlreadyExists(f"there is an image {record.id!r} already; upsert it to replace it", field="id")
    if put.keep_metadata:
        metadata = state.metadata
    if always_store or not record.content_hash or record.content_hash != state.content_hash:
        return Outcome.REPLACED, _New(number, record.content_hash, metadata, record.source)
    source = record.source or state.source
    same = _same(metadata, state.metadata, record.id)
    if same and source == state.source:
        return Outcome.UNCHANGED, state
    return Outcome.UPDATED, replace(state, metadata=state.metadata if same else metadata, source=source)


def _set_metadata(change: SetMetadata, state: _State) -> _Result:
    if state is None:
        raise _not_found(change.id)
    kept = {} if change.replace else read_metadata(state.metadata, change.id)
    kept = {name: value for name, value in kept.items() if name not in change.remove}
    metadata = check_metadata(kept | dict(change.metadata), change.id)
    if _same(metadata, state.metadata, change.id):
        return Outcome.UNCHANGED, state
    return Outcome.UPDATED, replace(state, metadata=metadata)


def _set_source(change: SetSource, state: _State) -> _Result:
    if state is None:
        raise _not_found(change.id)
    outcome = Outcome.UNCHANGED if change.source == state.source else Outcome.UPDATED
    return outcome, replace(state, source=change.source)


def _same(a: str, b: str, id: str) -> bool:
    """Whether two texts say the same of an image; 1, 1.0 and true are different."""
    return a == b or _sorted(a, id) == _sorted(b, id)


def _sorted(text: str, id: str) -> str:
    return json.dumps(read_metadata(text, id), sort_keys=True)


def _not_found(id: str) -> NotFound:
    return NotFound(f"there is no image {id!r} to update; list the images to see their ids", field="id")
