"""What `setwise rsm` compares: a collection or a file as it is, a folder of images through a network."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from setwise_engine.features import Extractor

__all__ = ["Pictures", "is_folder_of_images", "pictures_in"]


@dataclass(frozen=True, slots=True)
class Pictures:
    """source, ids: as `setwise_evaluation.rsm.rsm` takes them, ids None where the source brings its own or has none.

    left_out: ids of files that could not be read.
    """

    source: Any
    ids: tuple[str, ...] | None = None
    left_out: tuple[str, ...] = ()


def is_folder_of_images(source: Path) -> bool:
    """Whether it is a folder and no collection."""
    return source.is_dir() and not (source / "catalog.sqlite").exists()


def pictures_in(source: Path, extractor: Extractor | None, progress: Callable[[int, int], None]) -> Pictures:
    """The images of a source; those of a folder by their paths in it, in the order of their bytes.

    Files that cannot be read are named on stderr and left out. Raises InvalidInput where no image is left.
    """
    if extractor is None or not is_folder_of_images(source):
        return Pictures(source)
    from setwise_engine.errors import InvalidInput
    from setwise_evaluation.activations import activations
    from setwise_evaluation.labels import IMAGE_SUFFIXES

    found = {path.relative_to(source).as_posix(): path for path in source.rglob("*")}
    ids = sorted((id for id in found if found[id].suffix.lower() in IMAGE_SUFFIXES), key=str.encode)
    if not ids:
        raise InvalidInput(f"{source} is no collection and holds no images; give a folder that does", field="SOURCE")
    made = activations([found[id] for id in ids], model=extractor, on_error="leave-out", progress=progress)
    for one in made.left_out:
        print(f"left out: {one.reason}", file=sys.stderr)
    if not made.kept:
        raise InvalidInput(f"none of the {len(ids)} images in {source} can be read; see above why", field="SOURCE")
    return Pictures(made, tuple(ids[place] for place in made.kept), tuple(ids[one.index] for one in made.left_out))
