"""The real commands, as a user runs them: `setwise index` and `setwise serve`."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from _shared import say

__all__ = ["indexed", "served"]

_SETWISE = (sys.executable, "-m", "setwise")


def indexed(into: Path, *sources: str | Path) -> Path:
    """`setwise index SOURCES --into DIR`; skips what is already there. Raises CalledProcessError when it fails."""
    say(f"setwise index {' '.join(map(str, sources))} --into {into}")
    subprocess.run([*_SETWISE, "index", *map(str, sources), "--into", str(into)], check=True, stdout=sys.stderr)
    return into


@contextmanager
def served(*directories: Path) -> Iterator[str]:
    """`setwise serve DIR...` on a free port: yields its address once it answers, and stops it at the end."""
    command = [*_SETWISE, "serve", *map(str, directories), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()  # "serving 2 collections on 127.0.0.1:41234", when the model is warm
            if not line:
                raise RuntimeError("`setwise serve` ended before it was ready; its reason stands above")
            yield line.split()[-1]
        finally:
            process.send_signal(signal.SIGTERM)
