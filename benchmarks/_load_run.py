"""One measurement: client processes against a running server."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from _live_data import records
from _load_client import Plan
from _load_mix import pictures
from _load_report import Calls
from _load_server import Running
from _shared import say

from setwise_server._tensors import features_to_proto

__all__ = ["Outcome", "Run"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the calls. began: as `Sample.at`. Cores: processor seconds a second; memory: anonymous bytes of
    the server at the end."""

    calls: Calls
    began: float
    seconds: float
    server_cores: float
    client_cores: float
    memory: int

    @property
    def well(self) -> Calls:
        """The calls that were answered."""
        return self.calls[self.calls["code"] == 0]

    @property
    def rate(self) -> float:
        """Answers a second; those that came after the end are not counted."""
        well = self.well
        return float(np.sum(well["at"] + well["seconds"] <= self.seconds)) / self.seconds


class Run:
    """Client processes against one server. work: where the pictures are. folder: for what the processes write.

    stored: how many images of the collection are asked with. deadline: seconds of a call. repeated: share of the images
    that were sent before. ca: PEM file that the server's certificate is signed with, "" for no TLS; key: of the API, ""
    for none.
    """

    def __init__(
        self,
        server: Running,
        work: Path,
        folder: Path,
        processes: int,
        *,
        stored: int,
        deadline: float = 10.0,
        repeated: float = 0.0,
        ca: str = "",
        key: str = "",
    ) -> None:
        pictures(work)
        sets = folder / "streamed.pb"
        sets.write_bytes(features_to_proto(next(records(work, 1, seed=77))[0].features).SerializeToString())
        self._server, self._processes, self._folder = server, processes, folder
        self._runs = 0
        self._usual = Plan(
            address=server.address,
            work=str(work),
            stored=[f"{i:06d}" for i in range(stored)],
            sets=str(sets),
            deadline=deadline,
            repeated=repeated,
            ca=ca,
            key=key,
        )

    def __call__(self, clients: int, mix: str, seconds: float, *, rate: float = 0.0) -> Outcome:
        """So many clients for so long: one call at a time each, or `rate` calls a second together."""
        say(f"{clients} clients, {mix}, {seconds:.0f} s" + (f", {rate:.0f} calls/s" if rate else ""))
        self._runs += 1
        count = min(self._processes, clients)
        shares = [clients // count + (i < clients % count) for i in range(count)]
        plans = [
            replace(
                self._usual,
                run=self._runs,
                first=sum(shares[:i]),
                clients=share,
                rate=rate * share / clients,
                mix=mix,
                seconds=seconds,
                out=str(self._folder / f"calls-{i}.npz"),
            )
            for i, share in enumerate(shares)
        ]
        with ExitStack() as stack:
            processes = [stack.enter_context(_Process(plan)) for plan in plans]
            return self._measure(processes, seconds)

    def _measure(self, processes: Sequence[_Process], seconds: float) -> Outcome:
        for process in processes:
            process.ready()
        started = self._server.look()
        for process in processes:
            process.go()
        time.sleep(seconds)
        ended = self._server.look()
        found = [process.result() for process in processes]
        return Outcome(
            calls=np.concatenate([calls for calls, _ in found]),
            began=started.at,
            seconds=seconds,
            server_cores=(ended.cpu - started.cpu) / seconds,
            client_cores=sum(cpu for _, cpu in found) / seconds,
            memory=ended.anonymous,
        )


class _Process:
    """A process of clients. A context manager, which ends it in any case."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        client = Path(__file__).with_name("_load_client.py")
        self._process = subprocess.Popen(
            [sys.executable, str(client)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self._tell(plan.to_json())

    def ready(self) -> None:
        """Wait until it is connected."""
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise RuntimeError("a client process ended before it was connected; its reason stands above")

    def go(self) -> None:
        """Let it call."""
        self._tell("go")

    def result(self) -> tuple[Calls, float]:
        """What became of its calls, and its processor seconds. Waits for the calls that are open."""
        if self._process.wait(timeout=60 + self._plan.deadline):
            raise RuntimeError(f"a client process ended with {self._process.returncode}; its reason stands above")
        with np.load(self._plan.out) as saved:
            return saved["calls"], float(saved["cpu"])

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
