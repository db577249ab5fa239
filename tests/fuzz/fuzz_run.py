"""The long run: every target in turn under atheris, one process at a time, round after round.

    scripts/fuzz --seconds 3600 --folder build/fuzz
    scripts/fuzz --table --folder build/fuzz        # what has been tried so far
    scripts/fuzz --replay --folder build/fuzz       # which findings the code as it is still has

In the folder: corpus/ (inputs that reach new branches, kept for the next run), findings/ (inputs that were neither
accepted nor refused, with their tracebacks), crashes/ (those that ended the process), counts.jsonl.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "faults")]

from fuzz_report import replay, table  # noqa: E402

CHILD = Path(__file__).with_name("fuzz_child.py")
HUNG_S = 60.0  # CPU seconds without a word
START_S = 60.0
POLL_S = 0.25


class Run:
    """Targets in turn. paused: seconds that it stood still, which do not count."""

    def __init__(self, folder: Path, pause: Path | None) -> None:
        self._folder, self._pause = folder, pause
        self.paused = 0.0
        for name in ("logs", "scratch"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def slice(self, name: str, seconds: float) -> None:
        """One target for so many seconds of CPU, and ten times as many of the clock at most."""
        running = self._folder / "running.json"
        running.unlink(missing_ok=True)
        with (self._folder / "logs" / f"{name}.txt").open("wb") as log:
            command = [sys.executable, str(CHILD), name, str(self._folder), str(seconds)]
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=_environment())
            try:
                self._watch(process, seconds, running)
            finally:
                process.kill()  # which may stand still
                process.wait()
        said: dict[str, Any] = {"target": name, "exit": process.returncode}
        if running.exists():
            said |= json.loads(running.read_text())
        with (self._folder / "counts.jsonl").open("a") as counts:
            counts.write(json.dumps(said) + "\n")

    def stand_still(self) -> bool:
        """Whether it has been told to."""
        return self._pause is not None and self._pause.exists()

    def wait(self) -> None:
        """Until it may go on."""
        while self.stand_still():
            time.sleep(POLL_S)
            self.paused += POLL_S

    def _watch(self, process: subprocess.Popen[bytes], seconds: float, running: Path) -> None:
        left, spoke, heard = START_S + 10 * seconds, 0.0, 0.0
        while process.poll() is None:
            if self.stand_still():
                process.send_signal(signal.SIGSTOP)
                self.wait()
                process.send_signal(signal.SIGCONT)
            time.sleep(POLL_S)
            left -= POLL_S
            if left < 0:
                process.terminate()
            changed, used = (running.stat().st_mtime if running.exists() else 0.0), _cpu(process.pid)
            if changed != spoke:
                spoke, heard = changed, used
            elif used - heard > HUNG_S:
                process.send_signal(signal.SIGABRT)  # libFuzzer keeps the input that it hangs on


def _names() -> list[str]:
    """All targets, asked of a process of its own: the code under test may change during a long run."""
    asked = [sys.executable, str(Path(__file__).with_name("fuzz_all.py"))]
    return subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=True).stdout.split()


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


def main() -> int:
    """1 when there are findings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0, help="in all, without the time that it stands still")
    parser.add_argument("--turn", type=float, default=10.0, help="seconds of CPU of one target at a time")
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz"))
    parser.add_argument("--target", action="append", help="only these; all by default")
    parser.add_argument("--pause", type=Path, help="stand still while this file exists")
    parser.add_argument("--table", action="store_true", help="only print what has been tried")
    parser.add_argument("--replay", action="store_true", help="only try the findings again")
    args = parser.parse_args()
    if args.replay:
        return replay(args.folder)
    if not args.table:
        _go(args)
    text, findings = table(args.folder)
    print(text)
    return 1 if findings else 0


def _go(args: argparse.Namespace) -> None:
    os.nice(19 - os.nice(0))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    run, begun = Run(args.folder, args.pause), time.monotonic()
    while True:
        for name in args.target or _names():
            run.wait()
            left = args.seconds - (time.monotonic() - begun - run.paused)
            if left <= 0:
                return
            run.slice(name, min(args.turn, left))


if __name__ == "__main__":
    sys.exit(main())
