"""One target under atheris for a while: python fuzz_child.py TARGET FOLDER SECONDS (of CPU). Started by fuzz_run.

Findings do not end it: they are kept as files, one a cause, the shortest input of each. What ends the process (a signal
from native code, too much memory) libFuzzer keeps itself, under crashes/.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import signal
import sys
import time
import traceback
from importlib.machinery import PathFinder
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = ("proto", "client", "engine", "indexer", "server")
sys.path[:0] = [str(HERE), str(HERE.parent / "faults"), *(str(HERE.parent.parent / name) for name in SOURCES)]
# The finder of an editable install would come first, and what it loads atheris cannot instrument.
sys.meta_path.sort(key=lambda finder: finder is not PathFinder)

import atheris  # type: ignore[import-not-found]  # noqa: E402

SLOW_S = 4.0  # CPU seconds of one case, instrumented, on a busy machine
TELL_S = 1.0
MEMORY_MB = 3072
BOTH = ("setwise_engine", "setwise_server")
ALSO = {"where_texts": "setwise", "image_manifests": "setwise_indexer", "set_files": "setwise_indexer", "images": "PIL"}


class Child:
    """Runs cases, counts them, keeps findings."""

    def __init__(self, name: str, folder: Path, seconds: float) -> None:
        self._name, self._folder, self._seconds = name, folder, seconds
        self._told = self._started = time.monotonic()
        self._stop = False
        signal.signal(signal.SIGTERM, self._end)

    def main(self) -> None:
        """Does not come back."""
        scratch = self._folder / "scratch" / self._name
        scratch.mkdir(parents=True, exist_ok=True)
        also = [package for prefix, package in ALSO.items() if self._name.startswith(prefix)]
        with atheris.instrument_imports(include=[*BOTH, *also]):
            from fuzz_all import TARGETS
            from fuzz_target import Counts, tried

            target = TARGETS[self._name]
            self._ready = target.prepare(scratch)
        self._tried, self._counts = tried, Counts()
        self._until = time.process_time() + self._seconds
        atheris.Setup(self._arguments(target.most), self._case, custom_mutator=self._mutate)
        atheris.Fuzz()

    def _arguments(self, most: int) -> list[str]:
        corpus = self._folder / "corpus" / self._name
        corpus.mkdir(parents=True, exist_ok=True)
        for seed in self._ready.seeds:
            (corpus / f"seed-{hashlib.sha1(seed).hexdigest()}").write_bytes(seed)
        crashes = self._folder / "crashes"
        crashes.mkdir(exist_ok=True)
        return [
            sys.argv[0],
            str(corpus),
            f"-max_len={most}",
            f"-rss_limit_mb={MEMORY_MB}",
            f"-artifact_prefix={crashes}/{self._name}-",
            "-timeout=86400",  # ours is by CPU time: the whole run may be told to stand still
            "-report_slow_units=86400",
            "-handle_term=0",
            "-handle_int=0",
        ]

    def _case(self, data: bytes) -> None:
        begun = time.thread_time()
        found = self._tried(self._ready, data, self._counts)
        if found is not None:
            self._keep(found.place, data, "".join(traceback.format_exception(found.error)))
        took = time.thread_time() - begun
        if took > SLOW_S:
            self._counts.findings += 1
            self._keep("slow", data, f"the case took {took:.1f} s of CPU\n")
        if (now := time.monotonic()) - self._told > TELL_S or self._stop:
            self._told = now
            self._tell(now)
            if self._stop or time.process_time() > self._until:
                os._exit(0)

    def _mutate(self, data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if self._ready.grammar is not None and rng.random() < 0.6:
            changed = self._ready.grammar(data, rng)
            if changed != data and len(changed) <= most:
                return changed
        return bytes(atheris.Mutate(data, most))

    def _keep(self, place: str, data: bytes, text: str) -> None:
        folder = self._folder / "findings"
        folder.mkdir(exist_ok=True)
        path = folder / f"{self._name}-{hashlib.sha1(place.encode()).hexdigest()[:10]}"
        if not path.exists() or path.stat().st_size > len(data):
            path.write_bytes(data)
            path.with_name(f"{path.name}.txt").write_text(f"{place}\n{text}")

    def _tell(self, now: float) -> None:
        counts = self._counts
        used = resource.getrusage(resource.RUSAGE_SELF)
        said = {
            "target": self._name,
            "accepted": counts.accepted,
            "refused": counts.refused,
            "findings": counts.findings,
            "refusals": counts.refusals,
            "seconds": round(now - self._started, 1),
            "cpu": round(used.ru_utime + used.ru_stime, 1),
        }
        path = self._folder / "running.json"
        path.with_suffix(".new").write_text(json.dumps(said))
        path.with_suffix(".new").rename(path)

    def _end(self, *_: object) -> None:
        self._stop = True


if __name__ == "__main__":
    Child(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])).main()
