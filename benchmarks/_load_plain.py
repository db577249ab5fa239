"""What a server is compared with: the same requests, one after another, answered by the engine in this process."""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from _load_client import CALL
from _load_mix import OPERATIONS, Mix, Requests, pictures
from _load_report import latencies
from _shared import table

from setwise_proto.v1 import search_pb2
from setwise_proto.v1 import types_pb2 as pb
from setwise_server.local import LocalServer, open_local

__all__ = ["plain"]

_MESSAGES = {
    "/setwise.v1.SearchService/Search": search_pb2.SearchRequest,
    "/setwise.v1.SearchService/Compare": search_pb2.CompareRequest,
}
_WARM = 20


def plain(collection: Path, work: Path, mix: str, seconds: float, *, stored: int, repeated: float) -> str:
    """A row for all and one for each operation. Writes are left out of the mix: they wait for the disk, where other
    calls could go on."""
    reading = ("id", "image", "compare")
    read_only = Mix.parse(",".join(part for part in mix.split(",") if part.split("=")[0] in reading))
    ids = [f"{i:06d}" for i in range(stored)]
    requests = iter(Requests(0, 0, read_only, ids, images=pictures(work), sets=pb.FeatureSet(), repeated=repeated))
    with open_local(str(collection)) as server:
        for asked in islice(requests, _WARM):
            _call(server, asked.path, asked.messages[0])
        calls, began = [], time.perf_counter()
        for asked in requests:
            at = time.perf_counter() - began
            if at >= seconds:
                break
            _call(server, asked.path, asked.messages[0])
            calls.append((asked.operation, 0, at, time.perf_counter() - began - at))
    done = np.array(calls, CALL)
    rows = [_row("all", done, len(done) / seconds)]
    for number, name in enumerate(OPERATIONS):
        some = done[done["operation"] == number]
        if len(some):
            rows.append(_row(name, some, len(some) / float(some["seconds"].sum())))
    return f"{read_only}, {seconds:.0f} s:\n\n" + table(
        ["in a plain loop", "answered/s", "p50 / p95 / p99 in ms"], rows
    )


def _call(server: LocalServer, path: str, data: bytes) -> None:
    status, reply = server.call(path, _MESSAGES[path].FromString(data))
    if reply is None:
        raise RuntimeError(status.message)
    reply.SerializeToString()


def _row(name: str, calls: Any, rate: float) -> list[str]:
    return [name, f"{rate:.1f}", latencies(calls)]
