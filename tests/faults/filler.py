"""Writes to a collection until that fails: a process of its own, so that its limits are its own.

    python filler.py DIR FILE_BYTES WRITES

Prints a line of JSON for each write: its number and what it came to. The write after the first that failed is the last.
FILE_BYTES: no file of this process may grow beyond it (0: no limit); a write over it fails as on a full disk.
"""

from __future__ import annotations

import json
import resource
import signal
import sys

from workload import record

from setwise_engine.collection import Collection
from setwise_engine.errors import EngineError


def main(folder: str, file_bytes: int, writes: int) -> None:
    """Put image after image, with larger and larger metadata so that every file grows."""
    with Collection.open(folder) as collection:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        if file_bytes:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
        failed = False
        for number in range(writes):
            try:
                collection.append([record(f"image-{number:03}", number, {"text": "x" * 40 * number})])
                said = "done"
            except EngineError as error:
                said = f"{type(error).__name__}: {error}"
            print(json.dumps([number, said]), flush=True)
            if failed:
                return
            failed = said != "done"


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
