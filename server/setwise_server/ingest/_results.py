"""What became of changes, as it travels."""

from __future__ import annotations

from collections.abc import Sequence

from setwise_engine.collection import Change, Mode, Outcome
from setwise_engine.errors import InvalidInput
from setwise_proto.v1 import images_pb2 as pb
from setwise_server._status import item_error
from setwise_server.ingest._intake import Taken

__all__ = ["mode_from_proto", "result_to_proto", "split"]

MODES = {
    pb.UPSERT_MODE_UNSPECIFIED: Mode.UPSERT,
    pb.UPSERT_MODE_UPSERT: Mode.UPSERT,
    pb.UPSERT_MODE_INSERT: Mode.INSERT,
    pb.UPSERT_MODE_UPDATE: Mode.UPDATE,
}
OUTCOMES = {
    Outcome.INSERTED: pb.OUTCOME_INSERTED,
    Outcome.REPLACED: pb.OUTCOME_REPLACED,
    Outcome.UNCHANGED: pb.OUTCOME_UNCHANGED,
    Outcome.UPDATED: pb.OUTCOME_UPDATED,
    Outcome.REMOVED: pb.OUTCOME_REMOVED,
    Outcome.MISSING: pb.OUTCOME_MISSING,
}


def mode_from_proto(mode: int) -> Mode:
    """The mode of that number. Raises InvalidInput."""
    for number, known in MODES.items():
        if number == mode:
            return known
    raise InvalidInput(f"mode {mode} is unknown; send one that UpsertMode names", field="mode")


def result_to_proto(number: int, id: str, result: Outcome | Exception, path: str = "") -> pb.ImageResult:
    """What became of one image. path: its place in the request, which the error's field is put below."""
    if isinstance(result, Outcome):
        return pb.ImageResult(number=number, id=id, done=OUTCOMES[result])
    error = item_error(result)
    if path:
        error.field = f"{path}.{error.field}" if error.field else path
    return pb.ImageResult(number=number, id=id, error=error)


def split(taken: Sequence[Taken]) -> tuple[dict[int, Change], dict[int, Exception]]:
    """The changes to be written, and the faults of the others, each by its place."""
    changes: dict[int, Change] = {}
    faults: dict[int, Exception] = {}
    for place, each in enumerate(taken):
        if isinstance(each, Exception):
            faults[place] = each
        else:
            changes[place] = each
    return changes, faults
