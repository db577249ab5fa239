"""Does decoding keep the network busy: images/s of decoding alone, of the network alone, and of the whole pipeline.

    python benchmarks/pipeline.py

All three run on the same cores. With D and F images/s alone, the work of both fits into 1 / (1/D + 1/F) images/s; the
share is the pipeline's rate divided by that. The pipeline also hashes, pools coarse vectors and commits. The photos of
2 and 12 megapixels are the shipped ones, laid out with mirrored neighbours at their own sharpness, never noise.
The three take turns, because other programs may share the machine; medians over the rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import torch
from _shared import machine, say, table
from PIL import Image, ImageOps

from setwise_engine.collection import Collection, Settings
from setwise_engine.encoder import default_encoder, fit_encoder
from setwise_engine.features import DecodeLimits, load_extractor, prepare_image
from setwise_indexer import Request
from setwise_indexer._committer import Committer
from setwise_indexer._crew import crew_for
from setwise_indexer._items import Item
from setwise_indexer._pipeline import Crew, Done, run_pipeline
from setwise_indexer._plan import Job
from setwise_indexer._readers import EncodeImages, Prepared, record_of

PHOTOS = Path(__file__).parents[1] / "client/setwise/_demo/photos"
SIZES = {"2 MP": (1640, 1220), "12 MP": (4000, 3000)}


def write_photos(folder: Path, size: tuple[int, int], count: int) -> list[Job]:
    """`count` photos of `size`: a shipped photo at 1.5 times its scale, mirrored until it fills the frame."""
    folder.mkdir()
    sources = sorted(PHOTOS.glob("*.jpg"))
    jobs = []
    for number in range(count):
        with Image.open(sources[number % len(sources)]) as opened:
            tile = ImageOps.scale(opened.convert("RGB"), 1.5, Image.Resampling.LANCZOS)
        path = folder / f"{number:03}.jpg"
        _mirrored(tile, size, number).save(path, quality=90)
        jobs.append(Job(Item(path.name, str(path))))
    return jobs


def _mirrored(tile: Image.Image, size: tuple[int, int], number: int) -> Image.Image:
    frame = Image.new("RGB", size)
    for row, top in enumerate(range(0, size[1], tile.height)):
        for column, left in enumerate(range(0, size[0], tile.width)):
            one = ImageOps.mirror(tile) if (column + number) % 2 else tile
            frame.paste(ImageOps.flip(one) if row % 2 else one, (left, top))
    return frame


class Rates:
    """Wall and processor seconds per image of one stage, one entry a round."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []

    def time(self, work: Callable[[], object], count: int) -> None:
        wall, cpu = perf_counter(), process_time()
        work()
        self.wall.append((perf_counter() - wall) / count)
        self.cpu.append((process_time() - cpu) / count)

    def __str__(self) -> str:
        return f"{1 / statistics.median(self.wall):.1f}"


def decode(reader: EncodeImages, jobs: Sequence[Job], threads: int) -> list[Prepared]:
    """Read, hash, decode and make thumbnails, with as many threads as there are cores."""
    with ThreadPoolExecutor(threads) as pool:
        return [one for one in pool.map(reader.prepare, jobs) if isinstance(one, Prepared)]


def forward(reader: EncodeImages, prepared: Sequence[Prepared], crew: Crew) -> None:
    """Network and encoder on what is decoded already, as the pipeline runs them."""
    batches = [prepared[start : start + crew.batch] for start in range(0, len(prepared), crew.batch)]
    with ThreadPoolExecutor(crew.forwarders) as pool:
        list(pool.map(reader.encode, batches))


def forward_team(reader: EncodeImages, prepared: Sequence[Prepared]) -> None:
    """The same with one batch of 8 at a time on all of torch's threads: what a loop without a pipeline would do."""
    before = torch.get_num_threads()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    for start in range(0, len(prepared), 8):
        reader.encode(prepared[start : start + 8])
    torch.set_num_threads(before)


def whole(reader: EncodeImages, jobs: Sequence[Job], crew: Crew, collection: Collection) -> None:
    """Everything between the list of files and the last commit."""
    with Committer(collection, seconds=10) as committer, closing(run_pipeline(jobs, reader, crew)) as results:
        for result in results:
            if not isinstance(result, Done):
                raise RuntimeError(f"unexpected {result}")
            committer.add(record_of(result.prepared, result.features))


STAGES = ("decode", "forward", "team", "pipeline")


class Bench:
    """The network and what the photos of one size are put through."""

    def __init__(self, work: Path, crew: Crew) -> None:
        self._work, self._crew = work, crew
        extractor = load_extractor(device="cpu")
        info = extractor.info
        squares = np.stack([prepare_image(path, info.image_size).pixels for path in sorted(PHOTOS.glob("*.jpg"))])
        self._encoder = default_encoder(info) or fit_encoder(list(extractor.extract(squares)), model=info.fingerprint)
        self._settings = Settings(
            info.name, info.image_size, info.fingerprint, self._encoder.dims, self._encoder.fingerprint
        )
        self._reader = EncodeImages(extractor, self._encoder, DecodeLimits(), thumbnails=True)

    def measure(self, name: str, count: int, rounds: int) -> list[object]:
        """A row of the table; the first round warms up and is not counted."""
        say(f"writing {count} photos of {name}")
        jobs = write_photos(self._work / name, SIZES[name], count)
        self._round(jobs, {stage: Rates() for stage in STAGES})
        stages = {stage: Rates() for stage in STAGES}
        for turn in range(rounds):
            self._round(jobs, stages)
            say(f"{name} round {turn}: " + ", ".join(f"{stage} {rates}/s" for stage, rates in stages.items()))
        return [name, *stages.values(), *shares(stages)]

    def _round(self, jobs: Sequence[Job], stages: dict[str, Rates]) -> None:
        reader, crew, count = self._reader, self._crew, len(jobs)
        prepared: list[Prepared] = []
        stages["decode"].time(lambda: prepared.extend(decode(reader, jobs, crew.decoders)), count)
        stages["forward"].time(lambda: forward(reader, prepared, crew), count)
        stages["team"].time(lambda: forward_team(reader, prepared), count)
        with (
            tempfile.TemporaryDirectory(dir=self._work) as folder,
            Collection.create(Path(folder) / "x.setwise", self._settings, self._encoder) as collection,
        ):
            stages["pipeline"].time(lambda: whole(reader, jobs, crew, collection), count)


def shares(stages: dict[str, Rates]) -> list[str]:
    """Share of the ideal rate by wall time (median over rounds, and the range), and by processor time."""
    alone = zip(stages["decode"].wall, stages["forward"].wall, stages["pipeline"].wall, strict=True)
    wall = [(decoding + network) / pipeline for decoding, network, pipeline in alone]
    cpu = [sum(stages[stage].cpu) for stage in ("decode", "forward", "pipeline")]
    ideal = 1 / (statistics.median(stages["decode"].wall) + statistics.median(stages["forward"].wall))
    spread = f"{statistics.median(wall):.1%} ({min(wall):.1%} to {max(wall):.1%})"
    return [f"{ideal:.1f}", spread, f"{(cpu[0] + cpu[1]) / cpu[2]:.1%}"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--workers", type=int)
    args = parser.parse_args()
    request = Request(into=Path(), sources=(".",), device="cpu", batch_size=args.batch_size, workers=args.workers)
    header = ["photos", "decode alone", "network alone", "network alone, one team", "pipeline", "ideal"]
    with tempfile.TemporaryDirectory(prefix="setwise-pipeline-") as work, crew_for(request) as crew:
        bench = Bench(Path(work), crew)
        rows = [bench.measure(name, args.images, args.rounds) for name in SIZES]
    print(f"{machine()}\n{crew}; images/s, medians of {args.rounds} rounds of {args.images} images\n")
    print(table([*header, "pipeline / ideal (range)", "by processor time"], rows))


if __name__ == "__main__":
    main()
