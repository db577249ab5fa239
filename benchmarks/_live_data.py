"""Large collections of sets with the statistics of real ones, and metadata to filter by; made once and kept."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import numpy as np
from _shared import Sets, resampled, say, shipped_encoder
from PIL import Image

from setwise_engine.collection import Collection, ImageRecord, Settings
from setwise_engine.feature_set import FeatureSet, Stage
from setwise_engine.features import load_extractor, prepare_image

__all__ = ["CHUNK", "large", "metadata", "real_sets", "records"]

CHUNK = 500
_CROPS = 30


def real_sets(work: Path) -> Sets:
    """Encoded sets of 300 crops of the ten demo photos by the default model, (300, 100, 256)."""
    store = work / "live-donors.npy"
    if not store.exists():
        extractor, encoder = load_extractor(device="cpu"), shipped_encoder()
        photos = sorted((Path(str(resources.files("setwise"))) / "_demo" / "photos").glob("*.jpg"))
        rng, found = np.random.default_rng(0), []
        for photo in photos:
            with Image.open(photo) as picture:
                crops = [_crop(picture.convert("RGB"), rng) for _ in range(_CROPS)]
            for crop in crops:
                crop.save(work / "crop.jpg", quality=95)
                pixels = prepare_image(work / "crop.jpg", extractor.info.image_size).pixels
                found.append(extractor.extract(pixels[None])[0])
            say(f"{photo.name}: {len(found)} sets")
        (work / "crop.jpg").unlink()
        np.save(store, encoder.encode(np.stack(found)))
    sets: Sets = np.load(store)
    return sets


def _crop(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    width, height = picture.size
    w, h = (int(side * rng.uniform(0.4, 1.0)) for side in (width, height))
    left, top = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
    return picture.crop((left, top, left + w, top + h))


def metadata(number: int) -> dict[str, str | int | float | list[str]]:
    """Fields of known selectivity: half 50 %, twentieth 5 %, batch 0.5 %; and some that filters pass over."""
    draw = np.random.default_rng([7, number])
    return {
        "half": int(draw.integers(2)),
        "twentieth": int(draw.integers(20)),
        "batch": f"batch {int(draw.integers(200)):03d}",
        "taken": float(draw.uniform(0, 1e9)),
        "tags": [f"tag {int(tag)}" for tag in draw.integers(0, 50, 3)],
    }


def records(work: Path, images: int, seed: int, *, prefix: str = "") -> Iterator[list[ImageRecord]]:
    """So many made-up images of the default model and encoder, CHUNK at a time, ids from `000000` on."""
    info, encoder = load_extractor(device="cpu").info, shipped_encoder()
    number = 0
    for chunk in resampled(real_sets(work), images, seed=seed, chunk=CHUNK):
        made = []
        for one in chunk:
            features = FeatureSet(one, Stage.ENCODED, info.fingerprint, encoder.fingerprint, info.grid)
            made.append(ImageRecord(f"{prefix}{number:06d}", features, metadata(number)))
            number += 1
        yield made


def large(work: Path, images: int) -> Path:
    """A collection of so many images with an index, made only if it is not there yet."""
    path = work / f"live-{images}.setwise"
    if path.exists():
        return path
    info, encoder = load_extractor(device="cpu").info, shipped_encoder()
    settings = Settings(info.name, info.image_size, info.fingerprint, encoder.dims, encoder.fingerprint)
    partial = path.with_suffix(".partial")
    with Collection.create(partial, settings, encoder) as collection:
        for part in records(work, images, seed=images):
            collection.append(part)
            done = int(part[-1].id) + 1
            if done % 5000 == 0:
                say(f"{path.name}: {done} images")
        collection.build_index()
    return partial.rename(path)
