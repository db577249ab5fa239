"""What a run was asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from setwise_engine.errors import InvalidInput

__all__ = ["Request"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The options of `setwise index`; None means the default, or what an existing collection was made with.

    into: the collection's folder. sources: folders, files and globs, or manifest: a CSV or JSONL file, or stored: the
    folder of a collection to build anew from the files that its images came from; one of the three.
    features: the files are ready-made sets. dims: "none" keeps tokens as they are.
    fit: fit the encoder of a new collection to its own images even where one is shipped.
    commit_seconds: at most so much work is lost when the machine stops. index_factory: kind of the FAISS index, as
    `Collection.build_index` takes it.
    Raises InvalidInput when options contradict each other.
    """

    into: Path
    sources: tuple[str, ...] = ()
    manifest: str | None = None
    stored: Path | None = None
    features: bool = False
    model: str | None = None
    image_size: int | None = None
    weights: str | None = None
    dims: int | Literal["none"] | None = None
    encoder_from: Path | None = None
    fit: bool = False
    device: str = "auto"
    bf16: bool = False
    coarse: str | None = None
    thumbnails: bool | None = None
    gate: bool | None = None
    workers: int | None = None
    batch_size: int | None = None
    commit_seconds: float = 10.0
    prune: bool = False
    report: Path | None = None
    index_factory: str | None = None

    def __post_init__(self) -> None:
        if bool(self.sources) + bool(self.manifest) + bool(self.stored) != 1:
            raise InvalidInput("give either sources (folders, files, globs) or --manifest FILE", field="source")
        if self.features and (self.model or self.image_size or self.weights):
            raise InvalidInput("--features takes no --model, --image-size or --weights: the sets are ready-made")
        if self.encoder_from and self.dims is not None:
            raise InvalidInput("--encoder-from brings its own dimensions; leave out --dims", field="dims")
        if self.fit and (self.encoder_from or self.dims == "none"):
            raise InvalidInput("--fit makes an encoder; leave out --encoder-from and --dims none", field="fit")
        for name, value in (("--workers", self.workers), ("--batch-size", self.batch_size), ("--dims", self.dims)):
            if isinstance(value, int) and value < 1:
                raise InvalidInput(f"{name} {value} is not positive; give at least 1")
