"""Starts `setwise` commands fast: a process that has imported everything forks, so that a kill costs no import.

What is started runs the same `main` as the `setwise` command does, in a process of its own that can be killed.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

__all__ = ["Process", "Zygote"]


class Zygote:
    """Lives until its `with` ends; so do all that it started."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, arguments: Sequence[str], output: Path, *, again: bool = False) -> Process:
        """`setwise ARGUMENTS`, what it prints going to a file. again: it does the same again until it fails."""
        output.write_bytes(b"")
        return Process(self, self._ask({"run": list(arguments), "output": str(output), "again": again}), output)

    def wait(self, pid: int) -> int:
        """Waits for the end of a process; its status, negative for a signal."""
        return self._ask({"wait": pid})

    def __enter__(self) -> Zygote:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _ask(self, question: dict[str, object]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


class Process:
    """A running command."""

    def __init__(self, zygote: Zygote, pid: int, output: Path) -> None:
        self.pid = pid
        self._zygote = zygote
        self._status: int | None = None
        self.output = output

    def kill(self) -> int:
        """kill -9, and what it ended with: -9, or its own status if it was faster."""
        if self._status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        return self.wait()

    def wait(self) -> int:
        """Its status once it has ended."""
        if self._status is None:
            self._status = self._zygote.wait(self.pid)
        return self._status

    def line(self, part: str, timeout: float = 60.0) -> str:
        """The first line of its output that has this part. Raises TimeoutError with all of the output."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for line in self.output.read_text().splitlines():
                if part in line:
                    return line
            time.sleep(0.01)
        raise TimeoutError(f"no line with {part!r} in: {self.output.read_text()[-2000:]}")


def _main() -> None:
    """Be the process that forks."""
    for module in ("commands.compact", "commands.index"):
        importlib.import_module(f"setwise_indexer.{module}")
    for module in ("local", "serve"):
        importlib.import_module(f"setwise_server.{module}")

    running: set[int] = set()
    for line in sys.stdin:
        question = json.loads(line)
        if "wait" in question:
            answer = _status(question["wait"])
            running.discard(question["wait"])
        elif (answer := os.fork()) == 0:
            _run(question["run"], question["output"], again=question["again"])
        else:
            running.add(answer)
        print(answer, flush=True)
    for pid in running:  # whoever asked is gone
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _status(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _run(arguments: list[str], output: str, *, again: bool) -> None:
    """What the child does: it never returns."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    target = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(target, 1)
    os.dup2(target, 2)
    from setwise._cli import main

    status: object = 1
    try:
        sys.argv = ["setwise", *arguments]
        status = main()
        while again and not status:
            status = main()
    except SystemExit as end:
        status = end.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status if isinstance(status, int) else int(status is not None))


if __name__ == "__main__":
    _main()
