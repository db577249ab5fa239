"""An upsert over a real server that is stopped, or killed, and started again: nothing is lost, nothing doubled."""

from __future__ import annotations

import shutil
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import setwise

IMAGES = 3000


def sets() -> Iterator[setwise.Item]:
    random = np.random.default_rng(11)
    for number in range(IMAGES):
        yield setwise.Item(f"set-{number:05}", setwise.FeatureSet(random.normal(size=(6, 8)).astype(np.float32)))


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_an_upsert_goes_on_when_its_server_is_back(
    end: signal.Signals, sets_path: Path, tmp_path: Path, serve: Callable[..., Any]
) -> None:
    path = tmp_path / "sets.setwise"
    shutil.copytree(sets_path, path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    words = [str(path), "--port", port, "--commit-ms", "20"]
    begun = threading.Event()
    answers: list[setwise.UpsertReport | Exception] = []

    def tell(progress: setwise.Progress) -> None:
        if progress.done > 100:
            begun.set()

    def upload(address: str) -> None:
        try:
            with setwise.connect(address, timeout=60, retries=100) as client:
                answers.append(client.upsert(sets(), progress=tell))
        except Exception as error:
            answers.append(error)

    with serve(*words) as (address, server):
        thread = threading.Thread(target=upload, args=[address])
        thread.start()
        assert begun.wait(60)
        server.send_signal(end)
        server.wait()
    with serve(*words) as (address, _):
        thread.join(60)
        (report,) = answers
        assert isinstance(report, setwise.UpsertReport), report
        # What was stored and not answered before the end was found unchanged afterwards.
        assert (report.inserted + report.unchanged, report.replaced, report.failed) == (IMAGES, 0, 0)
        with setwise.connect(address, timeout=60) as client:
            ids = [image.id for image in client.list(where="not number exists", page_size=1000)]
            assert ids == [f"set-{number:05}" for number in range(IMAGES)]
