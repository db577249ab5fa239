"""What the clients of a load test ask for: requests as bytes, made from a seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image

from setwise_proto.v1 import images_pb2, search_pb2
from setwise_proto.v1 import types_pb2 as pb

__all__ = ["OPERATIONS", "Asked", "Mix", "Requests", "pictures"]

OPERATIONS = ("id", "image", "compare", "upsert", "delete", "stream")
"""Search by id and by image, compare two stored images, store one image, delete one, stream eight ready-made sets."""

_PATHS = {
    "id": "/setwise.v1.SearchService/Search",
    "image": "/setwise.v1.SearchService/Search",
    "compare": "/setwise.v1.SearchService/Compare",
    "upsert": "/setwise.v1.ImageService/UpsertImages",
    "delete": "/setwise.v1.ImageService/DeleteImages",
    "stream": "/setwise.v1.ImageService/Upsert",
}
_OWN_IDS = 64
"""Ids that one client writes to, over and over, so that a long run does not grow the collection."""
_STREAMED = 8
_HOT = 20


@dataclass(frozen=True, slots=True)
class Mix:
    """Shares of the operations, which sum to 1."""

    shares: tuple[float, ...]

    @classmethod
    def parse(cls, text: str) -> Mix:
        """From `id=50,image=20`: any positive weights. Raises ValueError naming what is none."""
        weights = dict.fromkeys(OPERATIONS, 0.0)
        for part in text.split(","):
            name, _, weight = part.partition("=")
            if name not in weights or not weight.replace(".", "", 1).isdecimal():
                raise ValueError(f'"{part}" is not OPERATION=WEIGHT with one of {", ".join(OPERATIONS)}')
            weights[name] = float(weight)
        return cls(tuple(np.array(list(weights.values())) / sum(weights.values())))

    def __str__(self) -> str:
        return ", ".join(
            f"{100 * share:.0f} % {name}" for name, share in zip(OPERATIONS, self.shares, strict=True) if share
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """operation: its number. messages: serialised, more than one for a stream."""

    operation: int
    path: str
    messages: tuple[bytes, ...]


class Requests:
    """Endless requests of one client in one run. stored: ids of the collection that stay. repeated: share of the
    searches by image that ask with one of a few images that all clients share; all others ask with bytes that no run
    has sent before."""

    def __init__(
        self,
        run: int,
        client: int,
        mix: Mix,
        stored: Sequence[str],
        *,
        images: Sequence[bytes],
        sets: pb.FeatureSet,
        repeated: float,
    ) -> None:
        self._run, self._client, self._mix = run, client, mix
        self._stored, self._images = stored, images
        self._sets, self._repeated = sets, repeated
        self._rng = np.random.default_rng([11, run, client])
        self._count = 0

    def __iter__(self) -> Iterator[Asked]:
        while True:
            number = int(self._rng.choice(len(OPERATIONS), p=self._mix.shares))
            name = OPERATIONS[number]
            messages = getattr(self, f"_{name}")()
            yield Asked(number, _PATHS[name], tuple(message.SerializeToString() for message in messages))

    def _id(self) -> tuple[search_pb2.SearchRequest]:
        return (search_pb2.SearchRequest(query=self._some()),)

    def _image(self) -> tuple[search_pb2.SearchRequest]:
        hot = self._rng.random() < self._repeated
        image = self._images[int(self._rng.integers(_HOT))] if hot else self._fresh()
        return (search_pb2.SearchRequest(query=pb.Query(image=image)),)

    def _compare(self) -> tuple[search_pb2.CompareRequest]:
        return (search_pb2.CompareRequest(a=self._some(), b=self._some(), include_matches=True),)

    def _upsert(self) -> tuple[images_pb2.UpsertImagesRequest]:
        image = images_pb2.ImageInput(id=self._own(), image=self._fresh())
        return (images_pb2.UpsertImagesRequest(images=[image]),)

    def _delete(self) -> tuple[images_pb2.DeleteImagesRequest]:
        return (images_pb2.DeleteImagesRequest(ids=[self._own()]),)

    def _stream(self) -> tuple[images_pb2.UpsertRequest, ...]:
        items = [images_pb2.ImageInput(id=self._own(), features=self._sets) for _ in range(_STREAMED)]
        start = images_pb2.UpsertRequest(start=images_pb2.UpsertStart())
        return start, images_pb2.UpsertRequest(data=images_pb2.UpsertData(images=items))

    def _some(self) -> pb.Query:
        return pb.Query(id=self._stored[int(self._rng.integers(len(self._stored)))])

    def _own(self) -> str:
        return f"load-{self._client:04d}-{int(self._rng.integers(_OWN_IDS)):02d}"

    def _fresh(self) -> bytes:
        """A picture whose bytes are new: decoders pass over what follows its end."""
        self._count += 1
        picture = self._images[int(self._rng.integers(len(self._images)))]
        return picture + f"{self._run}-{self._client}-{self._count}".encode()


def pictures(work: Path, count: int = 200) -> list[bytes]:
    """JPEG files of 640 x 480 pixels, crops of the demo photos; made only if they are not there yet."""
    folder = work / f"load-pictures-{count}"
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        partial.mkdir(parents=True, exist_ok=True)
        photos = sorted((Path(str(resources.files("setwise"))) / "_demo" / "photos").glob("*.jpg"))
        rng = np.random.default_rng(3)
        for number in range(count):
            with Image.open(photos[number % len(photos)]) as photo:
                _crop(photo.convert("RGB"), rng).save(partial / f"{number:04d}.jpg", quality=88)
        partial.rename(folder)
    return [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]


def _crop(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    width, height = (int(side * rng.uniform(0.4, 1.0)) for side in photo.size)
    left, top = int(rng.integers(photo.width - width + 1)), int(rng.integers(photo.height - height + 1))
    return photo.crop((left, top, left + width, top + height)).resize((640, 480))
