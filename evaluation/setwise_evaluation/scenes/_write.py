"""Scenes into a folder, with labels that double as a manifest for `setwise index`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from setwise_engine.errors import InvalidInput
from setwise_evaluation.scenes._assets import Cutout
from setwise_evaluation.scenes._compose import Scene, compose, compose_counting
from setwise_evaluation.scenes._splits import Pool, Split, pool

__all__ = ["write_scenes"]

LABELS = "labels.jsonl"
_JPEG_QUALITY = 92


def write_scenes(
    out: Path, split: Split, count: int, seed: int, *, cutouts: Sequence[Cutout], backgrounds: Sequence[Path]
) -> Path:
    """Compose `count` scenes into `out` as JPEG files and return the path of `out/labels.jsonl`.

    Scene i depends on the split, the seed and i only, so that a larger count keeps the scenes of a smaller one. One
    label line a scene: path (relative to the file), id, split, instances and categories (one entry an object, so that
    counting scenes name a kind as often as it stands there), boxes (four numbers an object: left, top, right, bottom,
    in pixels), background. Raises InvalidInput when count is not positive.
    """
    if count < 1:
        raise InvalidInput(f"count is {count}; ask for at least one scene", field="--count")
    usable = pool(split, cutouts, backgrounds)
    out.mkdir(parents=True, exist_ok=True)
    lines = []
    for index in range(count):
        name = f"{split}-{seed}-{index:05d}"
        scene = _scene(usable, split, seed, index)
        scene.image.save(out / f"{name}.jpg", quality=_JPEG_QUALITY)
        lines.append(json.dumps({"path": f"{name}.jpg", "id": name, "split": str(split), **_labels(scene)}))
    labels = out / LABELS
    labels.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return labels


def _scene(usable: Pool, split: Split, seed: int, index: int) -> Scene:
    name = f"setwise scenes 1/{split}/{seed}/{index}"
    return compose_counting(usable, index, name) if split.counting else compose(usable, name)


def _labels(scene: Scene) -> dict[str, str | list[str] | list[int]]:
    return {
        "instances": [placed.cutout.instance for placed in scene.objects],
        "categories": [placed.cutout.category for placed in scene.objects],
        "boxes": [edge for placed in scene.objects for edge in placed.box],
        "background": scene.background,
    }
