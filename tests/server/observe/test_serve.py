"""The real `setwise serve`, told to tell everything: by flags, to its streams, until it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from setwise_proto.v1 import search_pb2, search_pb2_grpc
from setwise_proto.v1 import types_pb2 as types

START = "import sys; from setwise._cli import main; sys.exit(main())"
FLAGS = ("--log-format", "json", "--log-level", "debug", "--metrics-port", "0", "--slow-ms", "0")
AWAY = ("--traces", "127.0.0.1:1")


@pytest.mark.slow
def test_every_line_of_its_log_is_an_object_also_those_of_libraries(sets_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", START, "serve", str(sets_path), "--port", "0", *FLAGS, *AWAY]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip().rpartition(" ")[2]
        with grpc.insecure_channel(address) as channel:
            search = search_pb2_grpc.SearchServiceStub(channel).Search
            for id in ("set-03", "no\nsuch image"):
                try:
                    search(search_pb2.SearchRequest(query=types.Query(id=id)))
                except grpc.RpcError as error:
                    assert error.code() is grpc.StatusCode.NOT_FOUND
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()

    told = [json.loads(line) for line in errors.splitlines()]
    assert process.returncode == 0
    assert any(line["message"].startswith("metrics on http://127.0.0.1:") for line in told)
    assert [line["code"] for line in told if line["logger"] == "setwise.slow"] == ["OK", "NOT_FOUND"]
    assert any(line["logger"].startswith("opentelemetry.") for line in told)
