"""Every target, by its name."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "faults")]

import fuzz_files
import fuzz_images
import fuzz_root
import fuzz_security
import fuzz_texts
import fuzz_wire

__all__ = ["TARGETS"]

TARGETS = {
    target.name: target
    for room in (fuzz_wire, fuzz_texts, fuzz_files, fuzz_images, fuzz_security, fuzz_root)
    for target in room.TARGETS  # type: ignore[attr-defined]
}

if __name__ == "__main__":
    print(*TARGETS, sep="\n")
