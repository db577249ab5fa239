"""Outcomes and errors of single images as they travel."""

from __future__ import annotations

import grpc
import pytest

from setwise_engine.collection import Mode, Outcome
from setwise_engine.errors import AlreadyExists, InvalidInput, LockedError
from setwise_proto.v1 import images_pb2 as pb
from setwise_server.ingest import mode_from_proto, result_to_proto


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_its_name_on_the_wire(outcome: Outcome) -> None:
    result = result_to_proto(7, "a", outcome)
    assert (result.number, result.id) == (7, "a")
    assert pb.Outcome.Name(result.done) == f"OUTCOME_{outcome.name}"


def test_an_error_keeps_code_reason_and_place() -> None:
    error = result_to_proto(0, "a", AlreadyExists("there is one", field="id"), "images[0]").error
    assert (error.code, error.reason, error.field) == (6, "ALREADY_EXISTS", "images[0].id")
    locked = result_to_proto(0, "a", LockedError("another writer"), "images[0]").error
    assert (locked.code, locked.field) == (grpc.StatusCode.ABORTED.value[0], "images[0]")


@pytest.mark.parametrize("mode", Mode)
def test_modes_have_their_names_on_the_wire(mode: Mode) -> None:
    assert mode_from_proto(pb.UpsertMode.Value(f"UPSERT_MODE_{mode.name}")) is mode
    assert mode_from_proto(0) is Mode.UPSERT
    with pytest.raises(InvalidInput, match="unknown"):
        mode_from_proto(9)
