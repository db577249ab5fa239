"""Fit the encoder that is shipped for the default model: `python scripts/make_default_encoder.py`.

Its sample is composed at run time from pictures of three Debian packages, which the benchmarks' scenes do not use:

    apt-get install tuxpaint-stamps-default mate-backgrounds plasma-workspace-wallpapers

No picture is kept; only means, directions and one width are written. docs/decisions/0010-default-encoder.md has the
reasons and the measurements.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from setwise_engine.encoder import Encoder, fit_encoder
from setwise_engine.features import Extractor, load_extractor, prepare_image
from setwise_evaluation.scenes import DEFAULT_BACKGROUNDS, Split, compose, find_backgrounds, find_cutouts, pool

SEED = 20240
SCENES = 800
WINDOWS = 5
"""Plain windows cut from each picture."""
SIZE = (640, 480)
JPEG_QUALITY = 92
BATCH = 16

ENCODERS = Path(__file__).parent.parent / "engine" / "setwise_engine" / "encoder"


def main() -> int:
    """Fit and write the file; prints what it was fitted to."""
    parser = argparse.ArgumentParser(description="Fit the shipped encoder of the default model.")
    parser.add_argument("--out", type=Path, help="default: the shipped file, beside the encoder's code")
    parser.add_argument("--scenes", type=int, default=SCENES, help=f"composed scenes (default {SCENES})")
    args = parser.parse_args()
    extractor = load_extractor(device="cpu")
    info = extractor.info
    sample = list(_tokens(extractor, args.scenes))
    encoder = fit_encoder(sample, model=info.fingerprint, seed=SEED)
    out = args.out or ENCODERS / f"{info.name}-{info.image_size}.safetensors"
    encoder.save(out)
    print(f"{out}: {_described(encoder)}, fitted to {len(sample)} images of {info.fingerprint}")
    return 0


def _tokens(extractor: Extractor, scenes: int) -> Iterator[np.ndarray]:
    batch: list[np.ndarray] = []
    for image in _images(scenes):
        batch.append(prepare_image(_jpeg(image), extractor.info.image_size).pixels)
        if len(batch) == BATCH:
            yield from extractor.extract(np.stack(batch))
            batch.clear()
    if batch:
        yield from extractor.extract(np.stack(batch))


def _images(scenes: int) -> Iterator[Image.Image]:
    """Composed scenes of the split that is for fitting, then plain windows of pictures no benchmark uses."""
    backgrounds = find_backgrounds()
    usable = pool(Split.FIT, find_cutouts(), backgrounds)
    for index in range(scenes):
        yield compose(usable, f"default encoder/{SEED}/{index}").image
    rng = random.Random(SEED)
    benchmarked = set(backgrounds) - set(usable.backgrounds)
    for path in _other_pictures(benchmarked):
        with Image.open(path) as picture:
            rgb = picture.convert("RGB")
        for _ in range(WINDOWS):
            yield _window(rgb, rng)


def _other_pictures(benchmarked: set[Path]) -> list[Path]:
    """One file of every picture of the packages that no benchmark uses, ordered by name."""
    taken = {_name(path) for path in benchmarked}
    files = [path for folder in DEFAULT_BACKGROUNDS for path in sorted(folder.rglob("*"))]
    pictures = {_name(path): path for path in files if path.suffix in {".jpg", ".png"}}
    return [path for name, path in sorted(pictures.items()) if name not in taken]


def _name(path: Path) -> str:
    """A wallpaper is a folder with files of several sizes and a screenshot; a background is a single file."""
    for folder in DEFAULT_BACKGROUNDS:
        if folder.name == "wallpapers" and path.is_relative_to(folder):
            return path.relative_to(folder).parts[0]
    return path.stem


def _window(picture: Image.Image, rng: random.Random) -> Image.Image:
    share = rng.uniform(0.3, 1.0)
    width, height = round(picture.width * share), round(picture.height * share)
    left, top = rng.randint(0, picture.width - width), rng.randint(0, picture.height - height)
    return picture.resize(SIZE, Image.Resampling.BICUBIC, box=(left, top, left + width, top + height))


def _jpeg(image: Image.Image) -> bytes:
    out = BytesIO()
    image.save(out, "JPEG", quality=JPEG_QUALITY)
    return out.getvalue()


def _described(encoder: Encoder) -> str:
    return f"{encoder.dims_in} to {encoder.dims} numbers a token, sigma {encoder.sigma:.4g}, {encoder.fingerprint}"


if __name__ == "__main__":
    sys.exit(main())
