"""What answers are made of: small frozen values, each of which turns into plain JSON values with `to_dict()`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage

from setwise._features import FeatureSet, Grid, ImageSize
from setwise._metadata import Metadata

__all__ = [
    "Certificate",
    "CollectionInfo",
    "Image",
    "Limits",
    "Matches",
    "Model",
    "Scores",
    "ServerInfo",
    "Stages",
    "Timings",
    "load_thumbnail",
]


def load_thumbnail(data: bytes) -> PILImage.Image | None:
    """A stored thumbnail as a picture; None when there is none."""
    if not data:
        return None
    picture = PILImage.open(BytesIO(data))
    picture.load()
    return picture


@dataclass(frozen=True, slots=True)
class Scores:
    """Every score of one pair of sets, all from one affinity matrix.

    cosine, inner_product, rbf: three readings of the optimal matching. spatio_semantic: the cosine with every token
    matched to the one at its own position; None when the grids differ. maxsim_query, maxsim_hit: every token of that
    side with its best partner, shared partners allowed. pooled: cosine of the two mean vectors. containment: how much
    of the query is found in the hit, from a matching of its own; None unless it was the kernel.
    """

    cosine: float
    inner_product: float
    rbf: float
    spatio_semantic: float | None
    maxsim_query: float
    maxsim_hit: float
    pooled: float
    containment: float | None = None

    def to_dict(self) -> dict[str, float | None]:
        """Every score by name; containment only where it was computed."""
        every = asdict(self)
        return every if self.containment is not None else {name: every[name] for name in every if name != "containment"}


@dataclass(frozen=True, slots=True)
class Stages:
    """How many candidates each stage ruled out, in the order in which they run.

    gate, gate_dual: row/column bound and dual bound of the int8 affinity. bound, dual: the same of the float affinity,
    the assignment given up on the way included.
    """

    gate: int = 0
    gate_dual: int = 0
    bound: int = 0
    dual: int = 0


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was proven.

    scope: "candidates" (exact among the recalled; the coarse stage may have missed an image), "collection" (exact
    over all images that pass the filter, over all of it without one) or "partial" (the time ran out: exact among those
    examined). matching: images that pass the filter. recalled: candidates = pruned + solved + unexamined. kth_score:
    score of the last place, before min_score. highest_pruned_bound: no pruned candidate can score above it; None when
    none was pruned. stages: which stage pruned how many. largest_gap: the most by which prices exceed the matched sum
    of a hit, 0 but for rounding; None unless proofs were asked for. unexamined: candidates that there was no time for.
    Equality ignores what threads and machines may change: how many were ruled out, and where.
    """

    scope: str
    collection_size: int
    recalled: int
    pruned: int = field(compare=False)
    solved: int = field(compare=False)
    kth_score: float | None = None
    highest_pruned_bound: float | None = field(default=None, compare=False)
    stages: Stages = field(default=Stages(), compare=False)
    largest_gap: float | None = None
    matching: int | None = None
    unexamined: int = 0

    @property
    def examined(self) -> int:
        """Candidates that were ruled out or solved: all that were recalled, unless the time ran out."""
        return self.recalled - self.unexamined

    def images(self) -> str:
        """How many images there were to search, in words."""
        if self.matching is None or self.matching == self.collection_size:
            return f"{self.collection_size:,} images"
        return f"{self.matching:,} images that pass the filter ({self.collection_size:,} in all)"

    def sentence(self) -> str:
        """What was proven, in one line for people."""
        over = "all" if self.scope == "collection" else f"the {self.recalled:,} recalled of"
        if self.scope == "partial":
            over = f"the {self.examined:,} of {self.recalled:,} recalled that there was time for, of"
        parts = [f"exact over {over} {self.images()}", f"{self.solved:,} solved"]
        if self.highest_pruned_bound is not None:
            ruled_out = ", ".join(f"{count:,} by {name}" for name, count in asdict(self.stages).items() if count)
            parts.append(f"{self.pruned:,} ruled out ({ruled_out}), none above {self.highest_pruned_bound:.6f}")
        if self.kth_score is not None:
            parts.append(f"last place {self.kth_score:.6f}")
        if self.largest_gap is not None:
            parts.append(f"largest gap {self.largest_gap:.1e}")
        return "; ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Every fact by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Timings:
    """Wall time of each stage inside the server, in milliseconds; 0 for a stage that did not run."""

    decode_ms: float = 0.0
    extract_ms: float = 0.0
    encode_ms: float = 0.0
    recall_ms: float = 0.0
    rerank_ms: float = 0.0
    fetch_ms: float = 0.0
    total_ms: float = 0.0

    def to_dict(self) -> dict[str, float]:
        """Every time by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Which token of the query was matched with which of the hit, strongest first; p pairs in parallel arrays.

    query_tokens, hit_tokens: (p,) int64, indices of tokens. affinities: (p,) float64, what each pair adds to the
    matched sum. cosines: (p,) float64. query_boxes, hit_boxes: (p, 4) float32, left, top, right, bottom in pixels of
    the EXIF-rotated original; (0, 4) when grid or size are unknown.
    """

    query_tokens: NDArray[np.int64]
    hit_tokens: NDArray[np.int64]
    affinities: NDArray[np.float64]
    cosines: NDArray[np.float64]
    query_grid: Grid | None = None
    hit_grid: Grid | None = None
    query_image_size: ImageSize | None = None
    hit_image_size: ImageSize | None = None
    query_boxes: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    hit_boxes: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 4), np.float32))

    def __len__(self) -> int:
        """Number of pairs, p."""
        return len(self.affinities)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Matches):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((len(self), self.query_grid, self.hit_grid, self.query_tokens.tobytes()))

    def __repr__(self) -> str:
        strongest = f", strongest {self.affinities[0]:.3f}" if len(self) else ""
        return f"<Matches {len(self)} pairs{strongest}>"

    def to_dict(self) -> dict[str, Any]:
        """The arrays as lists, grids and sizes as [rows, columns] and [width, height]."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value


@dataclass(frozen=True, slots=True)
class Image:
    """What a collection stores of one image: id, metadata, size in pixels, token grid and number of tokens."""

    id: str
    metadata: Metadata
    image_size: ImageSize | None
    grid: Grid | None
    tokens: int
    thumbnail_bytes: bytes = field(default=b"", repr=False)
    features: FeatureSet | None = field(default=None, repr=False)

    @property
    def thumbnail(self) -> PILImage.Image | None:
        """The stored thumbnail (long side 256 pixels); None when it was not asked for or not stored."""
        return load_thumbnail(self.thumbnail_bytes)

    def to_dict(self) -> dict[str, Any]:
        """Everything but thumbnail and features."""
        size, grid = _plain(self.image_size), _plain(self.grid)
        return {
            "id": self.id,
            "metadata": dict(self.metadata),
            "image_size": size,
            "grid": grid,
            "tokens": self.tokens,
        }


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """What a collection holds and how it was made; model is empty for ready-made feature sets.

    state: "ready", "waits_for_encoder" (see `Client.fit_encoder`) or "failed", and then problem says why. writable:
    whether this server may write to it. aliases: names that stand for it. dead_images: replaced or deleted, and still
    on disk.
    """

    name: str
    uuid: str
    images: int
    tokens: int
    dims: int
    model: str
    model_fingerprint: str
    image_size: int
    encoder_fingerprint: str
    sigma: float
    coarse: str
    version: int
    indexed: int
    bytes: int
    state: str
    problem: str
    writable: bool
    aliases: tuple[str, ...]
    segments: int
    dead_images: int

    def to_dict(self) -> dict[str, Any]:
        """Every fact by name."""
        return asdict(self) | {"aliases": list(self.aliases)}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one call may ask for at most, and how many calls and streams the server takes at once; 0 for no limit.

    max_streams_per_client, max_calls_per_second: of one caller, who is known by his key or else by his address; the
    calls of one second may come at once. max_page_size: images of one page of a list. max_metadata_bytes: names and
    values of a call's headers, and 32 for each pair.
    """

    max_message_bytes: int = 0
    max_image_bytes: int = 0
    max_image_pixels: int = 0
    max_tokens: int = 0
    max_batch: int = 0
    max_k: int = 0
    max_candidates: int = 0
    default_candidates: int = 0
    max_concurrent: int = 0
    max_queue: int = 0
    max_filter_terms: int = 0
    max_changes: int = 0
    max_streams: int = 0
    max_streams_per_client: int = 0
    max_calls_per_second: float = 0.0
    max_page_size: int = 0
    max_metadata_bytes: int = 0

    def to_dict(self) -> dict[str, float]:
        """Every limit by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Model:
    """A network that the server has loaded: its square input's side in pixels, its grid, the length of a raw token."""

    name: str
    fingerprint: str
    image_size: int
    grid: Grid | None
    dims: int

    def to_dict(self) -> dict[str, Any]:
        """Every fact by name."""
        return asdict(self) | {"grid": _plain(self.grid)}


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """Versions, limits and models of a server.

    writable: whether it takes writes at all. has_root: whether collections can be made and dropped. offered_models:
    networks that new ones may be made with.
    """

    version: str
    api_version: str
    limits: Limits
    models: tuple[Model, ...]
    libraries: Mapping[str, str]
    writable: bool = False
    has_root: bool = False
    offered_models: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Everything by name."""
        models = [model.to_dict() for model in self.models]
        offered = list(self.offered_models)
        return asdict(self) | {"models": models, "libraries": dict(self.libraries), "offered_models": offered}
