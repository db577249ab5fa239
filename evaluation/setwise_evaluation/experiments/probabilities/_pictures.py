"""What is classified: a folder's images, or composed scenes and the things cut out of them."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, overload

from setwise_engine.errors import InvalidInput, NotFound
from setwise_evaluation.scenes import (
    DEFAULT_BACKGROUNDS,
    DEFAULT_CUTOUTS,
    Scene,
    Split,
    compose,
    find_backgrounds,
    find_cutouts,
    pool,
)

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Scenes", "files_digest", "folder_images"]

_KINDS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
_MARGIN = 0.15


class Scenes(Sequence["Image.Image"]):
    """Composed scenes of the split instance-database, each made when it is asked for.

    Scene i depends on the seed and i only. single: the square around its front-most object, with a margin of 15 % of
    the object's longer side each way, as far as the scene reaches: a picture of one thing, and of parts of others where
    they stand near.
    Raises Unavailable where the pictures that scenes are made of are not installed, and InvalidInput below two scenes.
    """

    def __init__(
        self,
        count: int,
        seed: int,
        *,
        single: bool = False,
        cutouts: Path = DEFAULT_CUTOUTS,
        backgrounds: Sequence[Path] = DEFAULT_BACKGROUNDS,
    ) -> None:
        """cutouts, backgrounds: folders as `find_cutouts` and `find_backgrounds` take them."""
        if count < 2:
            raise InvalidInput(f"count is {count}; pairs need at least 2 images", field="--count")
        self._count, self._seed, self._single = count, seed, single
        self._pool = pool(Split.INSTANCE_DATABASE, find_cutouts(cutouts), find_backgrounds(backgrounds))
        self._digests: dict[int, bytes] = {}

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Image.Image: ...
    @overload
    def __getitem__(self, index: slice) -> list[Image.Image]: ...
    def __getitem__(self, index: int | slice) -> Image.Image | list[Image.Image]:
        """The picture, (640, 480) pixels RGB or what `single` leaves of it."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(self._count))]
        if not 0 <= index < self._count:
            raise IndexError(index)
        scene = compose(self._pool, f"setwise scenes 1/{Split.INSTANCE_DATABASE}/{self._seed}/{index}")
        picture = _front(scene) if self._single else scene.image
        self._digests[index] = hashlib.sha256(f"{picture.size}".encode() + picture.tobytes()).digest()
        return picture

    def digest(self) -> str:
        """SHA-256 over the pixels of all scenes, in order; those that were not asked for are made."""
        digests = [self._digests[index] if index in self._digests else self._made(index) for index in range(len(self))]
        return hashlib.sha256(b"".join(digests)).hexdigest()

    def _made(self, index: int) -> bytes:
        _ = self[index]
        return self._digests[index]


def _front(scene: Scene) -> Image.Image:
    left, top, right, bottom = scene.objects[-1].box
    reach = round((0.5 + _MARGIN) * max(right - left, bottom - top))
    across, down = (left + right) // 2, (top + bottom) // 2
    width, height = scene.image.size
    return scene.image.crop(
        (max(0, across - reach), max(0, down - reach), min(width, across + reach), min(height, down + reach))
    )


def folder_images(folder: Path, count: int, seed: int) -> list[Path]:
    """At most `count` images of the folder and all below it, drawn by `seed`, in the order of their names.

    Raises NotFound for a folder without two images.
    """
    if not folder.is_dir():
        raise NotFound(f"there is no folder {folder}; give one with at least 2 images", field="--images")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _KINDS and path.is_file())
    if len(paths) < 2:
        raise NotFound(f"{folder} holds {len(paths)} images; give a folder with at least 2", field="--images")
    if len(paths) > count:
        paths = sorted(random.Random(f"setwise probabilities/{seed}").sample(paths, max(count, 2)))
    return paths


def files_digest(paths: Sequence[Path]) -> str:
    """SHA-256 over the contents of all files, in order."""
    total = hashlib.sha256()
    for path in paths:
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()
