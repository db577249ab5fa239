"""Where cut-outs and backgrounds come from, and which of them look like photographs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from setwise_engine.errors import Unavailable

__all__ = [
    "DEFAULT_BACKGROUNDS",
    "DEFAULT_CUTOUTS",
    "PHOTOGRAPHS",
    "Cutout",
    "find_backgrounds",
    "find_cutouts",
    "load_background",
    "load_cutout",
    "picture_name",
]

DEFAULT_CUTOUTS = Path("/usr/share/tuxpaint/stamps")
DEFAULT_BACKGROUNDS = (Path("/usr/share/backgrounds"), Path("/usr/share/wallpapers"))

# The photographs among the pictures of mate-backgrounds (file names) and plasma-workspace-wallpapers (folder
# names), chosen by eye; the rest is drawn or rendered.
# fmt: off
PHOTOGRAPHS = frozenset({
    "Aqua", "Blinds", "BytheWater", "ColdRipple", "ColorfulCups", "DarkestHour", "Dune", "EveningGlow", "FallenLeaf",
    "FreshFlower", "Garden", "GreenMeadow", "Grey", "Kite", "LadyBird", "OneStandsOut", "Path", "RainDrops", "Storm",
    "TwoWings", "Wood", "YellowFlower", "summer_1am",
})
# fmt: on

# A photograph has many colours and few runs of equal pixels. Of tuxpaint's 430 stamps 308 pass; those near the
# border were looked at.
_MIN_COLOURS = 100
_MAX_FLAT = 0.15
_MIN_SIDE = 40
_OPAQUE = 200


@dataclass(frozen=True, slots=True, order=True)
class Cutout:
    """A picture with alpha: `instance` is its path below the folder without suffix, `category` its folder."""

    instance: str
    category: str
    path: Path


def find_cutouts(folder: Path = DEFAULT_CUTOUTS) -> list[Cutout]:
    """Photographed cut-outs below `folder`, ordered by name.

    Left out: symbols/, cartoon/ and mirrored copies, and whatever looks drawn. Categories are folders, at most two
    deep.
    Raises Unavailable when there is none, and says which package brings some.
    """
    found = [_cutout(path, folder) for path in sorted(folder.rglob("*.png")) if _wanted(path.relative_to(folder))]
    cutouts = [cutout for cutout in found if _photographed(cutout.path)]
    if not cutouts:
        raise Unavailable(
            f"no photographed cut-outs with alpha lie in {folder}; run `apt-get install tuxpaint-stamps-default`, "
            "or give a folder of PNG files with --cutouts",
            field="--cutouts",
        )
    return sorted(cutouts)


def find_backgrounds(folders: Iterable[Path] = DEFAULT_BACKGROUNDS) -> list[Path]:
    """Photographs below `folders` to stand behind the cut-outs, ordered by name; one file for each picture.

    In the folders of the two known packages only the photographs are taken, elsewhere every JPEG and PNG.
    Raises Unavailable when there is none, and says which packages bring some.
    """
    folders = list(folders)
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.suffix in {".jpg", ".png"}]
    known = _largest_of_each(path for path in files if picture_name(path) in PHOTOGRAPHS)
    if not known and not files:
        places = " and ".join(map(str, folders))
        raise Unavailable(
            f"no pictures lie in {places}; run `apt-get install mate-backgrounds plasma-workspace-wallpapers`, "
            "or give folders of photographs with --backgrounds",
            field="--backgrounds",
        )
    return known or files


@lru_cache(maxsize=512)
def load_cutout(path: Path) -> Image.Image:
    """The cut-out as RGBA, cropped to what is not transparent."""
    with Image.open(path) as image:
        rgba = image.convert("RGBA")
    return rgba.crop(rgba.getchannel("A").getbbox())


@lru_cache(maxsize=64)
def load_background(path: Path, height: int = 960) -> Image.Image:
    """The background as RGB, no higher than `height`."""
    with Image.open(path) as image:
        rgb = image.convert("RGB")
    if rgb.height <= height:
        return rgb
    return rgb.resize((rgb.width * height // rgb.height, height), Image.Resampling.BOX)


def _wanted(name: Path) -> bool:
    return not {"symbols", "cartoon"} & set(name.parts) and "mirror" not in name.name


def _cutout(path: Path, folder: Path) -> Cutout:
    name = path.relative_to(folder).with_suffix("")
    return Cutout(name.as_posix(), "/".join(name.parent.parts[:2]), path)


def _photographed(path: Path) -> bool:
    """Whether the file has alpha, is not tiny, and its opaque pixels vary as a photograph's do."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGBA"))
    opaque = pixels[..., 3] > _OPAQUE
    if opaque.all() or min(pixels.shape[:2]) < _MIN_SIDE:
        return False
    red, green, blue = (pixels[opaque][:, :3] >> 3).astype(np.int32).T
    colours = np.unique(red << 10 | green << 5 | blue)
    pairs = opaque[:, 1:] & opaque[:, :-1]
    equal = (pixels[:, 1:, :3] == pixels[:, :-1, :3]).all(axis=-1) & pairs
    return len(colours) >= _MIN_COLOURS and bool(equal.sum() <= _MAX_FLAT * pairs.sum())


def picture_name(path: Path) -> str:
    """A wallpaper's files are named by their sizes, NAME/contents/images/2560x1600.jpg: the folder is its name."""
    return path.parents[2].name if path.parent.name == "images" else path.stem


def _largest_of_each(paths: Iterable[Path]) -> list[Path]:
    """One landscape file for each picture, the largest, ordered by the picture's name."""
    best: dict[str, tuple[int, Path]] = {}
    for path in paths:
        with Image.open(path) as image:
            width, height = image.size
        area = width * height if width > height else 0
        if area > best.get(picture_name(path), (0, path))[0]:
            best[picture_name(path)] = (area, path)
    return [best[name][1] for name in sorted(best)]
