"""Reflection: told to those who may read, under both of its names, or to nobody. What it tells: test_health.py."""

from __future__ import annotations

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2

from setwise_server._reflection import REFLECTION_PATHS

LIST = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()


@pytest.mark.parametrize("path", sorted(REFLECTION_PATHS))
def test_only_those_who_may_read_are_told(serve, asking, keys, path: str) -> None:
    with serve(keys=keys.path) as address, asking(address) as ask:
        assert ask.code(path, None, LIST) is grpc.StatusCode.UNAUTHENTICATED
        assert ask.code(path, keys.of("read"), LIST) is grpc.StatusCode.OK


@pytest.mark.parametrize("path", sorted(REFLECTION_PATHS))
def test_it_can_be_left_out(serve, asking, path: str) -> None:
    with serve(reflection=False) as address, asking(address) as ask:
        assert ask.code(path, None, LIST) is grpc.StatusCode.UNIMPLEMENTED


def test_bytes_that_are_no_request_are_refused(serve, asking) -> None:
    with serve() as address, asking(address) as ask:
        assert ask.code(min(REFLECTION_PATHS), None, b"\xff") is grpc.StatusCode.INVALID_ARGUMENT
