"""Scenes composed of photographed cut-outs on photographed backgrounds, with labels, from installed packages.

No package holds natural pictures of several labelled things, so that scenes are composed: two to five cut-outs with
alpha at random places, sizes and flips. The same seed gives the same pixels (for one version of Pillow).

    python -m setwise_evaluation.scenes --out scenes --split instance-database --count 1000 --seed 1
    setwise index --manifest scenes/labels.jsonl --into scenes.setwise
"""

from setwise_evaluation.scenes._assets import (
    DEFAULT_BACKGROUNDS,
    DEFAULT_CUTOUTS,
    Cutout,
    find_backgrounds,
    find_cutouts,
)
from setwise_evaluation.scenes._compose import COUNTS, Placed, Scene, compose, compose_counting
from setwise_evaluation.scenes._splits import Pool, Split, pool
from setwise_evaluation.scenes._write import write_scenes

__all__ = [
    "COUNTS",
    "DEFAULT_BACKGROUNDS",
    "DEFAULT_CUTOUTS",
    "Cutout",
    "Placed",
    "Pool",
    "Scene",
    "Split",
    "compose",
    "compose_counting",
    "find_backgrounds",
    "find_cutouts",
    "pool",
    "write_scenes",
]
