"""The real `setwise serve` under load: started with options, watched from outside through /proc."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Running", "Sample", "serving"]

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Sample:
    """at: seconds since the server was first watched. anonymous, resident: bytes, without and with mapped files. cpu:
    seconds of processor time so far."""

    at: float
    anonymous: int
    resident: int
    cpu: float
    threads: int


@dataclass
class Running:
    """A server that answers. samples: its memory, once a second while it is watched."""

    address: str
    pid: int
    samples: list[Sample] = field(default_factory=list)
    _started: float = field(default_factory=time.perf_counter)

    def look(self) -> Sample:
        """What /proc tells of the process now."""
        status = dict(line.split(":", 1) for line in Path(f"/proc/{self.pid}/status").read_text().splitlines())
        times = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return Sample(
            at=time.perf_counter() - self._started,
            anonymous=int(status["RssAnon"].split()[0]) * 1024,
            resident=int(status["VmRSS"].split()[0]) * 1024,
            cpu=(int(times[11]) + int(times[12])) / _TICKS,
            threads=int(status["Threads"]),
        )

    @contextmanager
    def watched(self, every: float = 1.0) -> Iterator[None]:
        """While inside, samples are taken."""
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(every):
                self.samples.append(self.look())

        thread = threading.Thread(target=watch)
        self.samples.append(self.look())
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            self.samples.append(self.look())


@contextmanager
def serving(
    directory: Path,
    options: Sequence[str] = (),
    *,
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> Iterator[Running]:
    """`setwise serve DIR` on a free port, until the end. Its log goes to `log`, or to stderr.

    Raises RuntimeError when it ends before it is ready or does not end well.
    """
    command = [sys.executable, "-m", "setwise", "serve", str(directory), "--port", "0", *options]
    with (log or Path(os.devnull)).open("w") as logged:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=logged if log else None,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        with process:
            try:
                assert process.stdout is not None
                line = process.stdout.readline()  # "serving 1 collection on 127.0.0.1:41234", once it is warm
                if not line:
                    raise RuntimeError(f"`{' '.join(command)}` ended before it was ready; its reason stands above")
                yield Running(line.split()[-1], process.pid)
            finally:
                process.send_signal(signal.SIGTERM)
        if process.returncode:
            raise RuntimeError(f"`setwise serve` ended with {process.returncode}")
