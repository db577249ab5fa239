"""What a fuzz target is: bytes go in, and only two ways lead out: a normal end, or a refusal of our own."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fuzz_grammar import Grammar

from setwise import SetwiseError
from setwise_engine.errors import EngineError

__all__ = ["REFUSALS", "Counts", "Finding", "Ready", "Target", "mutations", "tried"]

REFUSALS = (EngineError, SetwiseError)
"""What a target may raise: sentences for whoever sent the bytes."""

_PLACES = 12  # frames of ours that tell one finding from another


@dataclass(frozen=True, slots=True)
class Ready:
    """A target at work. run: raises one of REFUSALS, or anything else when it has found something. seeds: real inputs.
    grammar: changes of a case that keep it well formed, where there are any. close: ends it."""

    run: Callable[[bytes], object]
    seeds: list[bytes]
    grammar: Grammar | None = None
    close: Callable[[], object] = lambda: None


@dataclass(frozen=True, slots=True)
class Target:
    """One place where bytes of strangers come in.

    prepare: makes it ready, with a folder of its own to write to. short: cases of the tests that always run. most:
    bytes of a case.
    """

    name: str
    prepare: Callable[[Path], Ready]
    short: int = 150
    most: int = 4096


@dataclass(slots=True)
class Counts:
    """What came of the cases: accepted, refused, or something else."""

    accepted: int = 0
    refused: int = 0
    findings: int = 0
    refusals: dict[str, int] = field(default_factory=dict)

    @property
    def cases(self) -> int:
        """All of them."""
        return self.accepted + self.refused + self.findings


@dataclass(frozen=True, slots=True)
class Finding:
    """An input that was neither accepted nor refused. place: where, the same for findings of one cause."""

    error: Exception
    place: str


def tried(ready: Ready, data: bytes, counts: Counts) -> Finding | None:
    """Runs one case and counts it."""
    try:
        ready.run(data)
    except REFUSALS as error:
        counts.refused += 1
        name = type(error).__name__
        counts.refusals[name] = counts.refusals.get(name, 0) + 1
        return None
    except Exception as error:
        counts.findings += 1
        return Finding(error, _place(error))
    counts.accepted += 1
    return None


def mutations(ready: Ready, rng: random.Random, most: int) -> Iterator[bytes]:
    """Changed copies of the seeds without end: bits, bytes, numbers of 1 to 8 bytes, cuts, repeats and splices. Half of
    them are well formed where there is a grammar."""
    seeds = ready.seeds
    while True:
        data = bytearray(rng.choice(seeds))
        if ready.grammar is not None and rng.random() < 0.5:
            yield ready.grammar(bytes(data), rng)[:most]
            continue
        for _ in range(1 if rng.random() < 0.5 else rng.randrange(1, 8)):
            _change(data, seeds, rng)
        yield bytes(data[:most])


def _change(data: bytearray, seeds: list[bytes], rng: random.Random) -> None:
    at = rng.randrange(len(data) + 1)
    match rng.randrange(7):
        case 0 if data:
            data[at % len(data)] ^= 1 << rng.randrange(8)
        case 1:
            data[at : at + 1] = rng.randbytes(1)
        case 2:
            size = rng.choice((1, 2, 4, 8))
            number = rng.choice((0, 1, -1, (1 << (8 * size - 1)) - 1, -(1 << (8 * size - 1)), 127, 255, 65536))
            data[at : at + size] = (number % (1 << 8 * size)).to_bytes(size, rng.choice(("little", "big")))
        case 3:
            del data[at : at + rng.randrange(1, 64)]
        case 4:
            data[at:at] = data[at : at + rng.randrange(1, 64)] * rng.choice((1, 2, 20))
        case 5:
            other = rng.choice(seeds)
            begin = rng.randrange(len(other) + 1)
            data[at : at + rng.randrange(64)] = other[begin : begin + rng.randrange(64)]
        case _:
            data[at:at] = rng.randbytes(rng.randrange(1, 9))


def _place(error: BaseException) -> str:
    trace, frames = error.__traceback__, []
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{Path(code.co_filename).name}:{code.co_name}")
        trace = trace.tb_next
    return f"{type(error).__name__} {' '.join(frames[-_PLACES:])}"
