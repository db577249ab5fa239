"""The images that are cropped: a folder's, or composed scenes."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageOps

from setwise_engine.errors import ImageError, NotFound
from setwise_evaluation.scenes import DEFAULT_BACKGROUNDS, DEFAULT_CUTOUTS, Split

__all__ = ["compose_scenes", "digest", "read_folder"]

_KINDS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


def read_folder(folder: Path, count: int, seed: int) -> list[Image.Image]:
    """At most `count` images of the folder and all below it, drawn by `seed`, as RGB in the order of their names.

    Raises NotFound for a folder without two images, and ImageError naming every file that cannot be read.
    """
    if not folder.is_dir():
        raise NotFound(f"there is no folder {folder}; give one with at least 2 images", field="--images")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _KINDS and path.is_file())
    if len(paths) < 2:
        raise NotFound(f"{folder} holds {len(paths)} images; give a folder with at least 2", field="--images")
    if len(paths) > count:
        paths = sorted(random.Random(f"setwise translation/{seed}").sample(paths, count))
    images, broken = [], []
    for path in paths:
        try:
            images.append(_read(path))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            broken.append(f"{path} is no image that can be read ({error})")
    if broken:
        raise ImageError(f"{'; '.join(broken)}: remove or repair what is broken", field="--images")
    return images


def compose_scenes(
    count: int, seed: int, *, cutouts: Path = DEFAULT_CUTOUTS, backgrounds: Sequence[Path] = DEFAULT_BACKGROUNDS
) -> list[Image.Image]:
    """`count` scenes of the split instance-database, the same for the same seed and Pillow.

    Raises Unavailable where the pictures that they are made of are not installed, and says which packages bring them.
    """
    from setwise_evaluation.scenes import compose, find_backgrounds, find_cutouts, pool

    split = Split.INSTANCE_DATABASE
    usable = pool(split, find_cutouts(cutouts), find_backgrounds(backgrounds))
    return [compose(usable, f"setwise scenes 1/{split}/{seed}/{index}").image for index in range(count)]


def digest(images: Sequence[Image.Image]) -> str:
    """SHA-256 over the sizes and the RGB pixels of all images, in order."""
    total = hashlib.sha256()
    for image in images:
        total.update(f"{image.width}x{image.height}\n".encode())
        total.update(image.tobytes())
    return total.hexdigest()


def _read(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image).convert("RGB")
