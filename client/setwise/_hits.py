"""Answers: a ranked list of hits, and everything about one pair. Both can be drawn."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias, overload

from PIL import Image as PILImage

from setwise._errors import NotRequestedError
from setwise._features import FeatureSet, ImageSize
from setwise._metadata import Metadata, Scalar
from setwise._pictures import Picture
from setwise._proof import Proof, TokensLike, check_proof
from setwise._query import Query
from setwise._table import printable, table
from setwise._values import Certificate, Matches, Scores, Timings, load_thumbnail

__all__ = ["Comparison", "Hit", "Hits"]

Originals: TypeAlias = str | os.PathLike[str] | Mapping[str, Picture]


@dataclass(frozen=True, slots=True)
class Hit:
    """One image of an answer.

    scores, matches and thumbnail are there when the search asked for them (`scores=True`, `matches=True`,
    `thumbnails=True`), likewise proof (`proof=True`), metadata as selected. image_size: (width, height) of the original
    in pixels, None when unknown. group: the value that it was grouped by; None without `group_by` and for images that
    lack the field.
    """

    id: str
    score: float
    metadata: Metadata = field(default_factory=dict)
    scores: Scores | None = None
    matches: Matches | None = None
    image_size: ImageSize | None = None
    thumbnail_bytes: bytes = field(default=b"", repr=False)
    proof: Proof | None = field(default=None, repr=False)
    group: Scalar | list[Scalar] = None
    query: Query = field(default=Query(""), repr=False, compare=False)
    query_features: FeatureSet | None = field(default=None, repr=False, compare=False)

    @property
    def thumbnail(self) -> PILImage.Image | None:
        """The stored thumbnail (long side 256 pixels); None when it was not asked for or not stored."""
        return load_thumbnail(self.thumbnail_bytes)

    def draw_matches(
        self, query: Picture | None = None, top: int = 12, *, original: Picture | None = None
    ) -> PILImage.Image:
        """Which patch of the query was matched with which of this hit: the `top` strongest pairs, numbered.

        query: the picture that was asked with, when the search did not have it (an id or a feature set).
        original: the hit's picture, sharper than its thumbnail. Raises NotRequestedError saying how to ask for what
        is missing.
        """
        from setwise._draw import draw_hit

        return draw_hit(self, query, top, original)

    def verify(self, hit_tokens: TokensLike, query_tokens: TokensLike | None = None) -> float:
        """Check with numpy alone that no matching with this hit is better than the one that was scored.

            hits = client.search("photo.jpg", proof=True)
            hits[0].verify(client.get(hits[0].id, features=True).features)

        hit_tokens, query_tokens: the encoded sets, as FeatureSet or (n, d) array; the query's came with the answer.
        Gives the most by which another matching could be worth more: rounding, no more. Raises ProofError when the
        proof does not hold, NotRequestedError when the search did not ask for it.
        """
        query = self.query_features if query_tokens is None else query_tokens
        if self.proof is None or query is None:
            raise NotRequestedError(f"hit {self.id!r} carries no proof; ask with proof=True")
        return check_proof(self.proof, self.score, query, hit_tokens)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the thumbnail, as values that JSON knows."""
        return {
            "id": self.id,
            "score": self.score,
            "metadata": dict(self.metadata),
            "scores": self.scores and self.scores.to_dict(),
            "matches": None if self.matches is None else self.matches.to_dict(),
            "image_size": None if self.image_size is None else list(self.image_size),
            "proof": self.proof and self.proof.to_dict(),
            "group": self.group,
        }


@dataclass(frozen=True, slots=True, repr=False)
class Hits(Sequence[Hit]):
    """The answer to one query: hits, best first, and what was proven about them.

        for hit in hits:
            print(hit.score, hit.id)
        hits.save("answer.png")

    kernel: what ranked. version: the collection's version that was searched. missing: ids given to `rerank` that the
    collection does not hold. query: what was asked with; query_features: its encoded set, with `proof=True`.
    warnings: what the answer may lack. Equality ignores timings and query.
    """

    hits: tuple[Hit, ...]
    certificate: Certificate
    timings: Timings = field(compare=False)
    kernel: str
    version: int
    missing: tuple[str, ...] = ()
    query: Query = field(default=Query(""), compare=False)
    query_features: FeatureSet | None = field(default=None, compare=False)
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Number of hits."""
        return len(self.hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> Hits: ...
    def __getitem__(self, index: int | slice) -> Hit | Hits:
        if isinstance(index, slice):
            return replace(self, hits=self.hits[index])
        return self.hits[index]

    @property
    def partial(self) -> bool:
        """Whether the time ran out before all candidates were examined; only when the search allowed it."""
        return self.certificate.scope == "partial"

    def summary(self) -> str:
        """One line for people: the kernel, what was proven, how long it took."""
        proven = self.certificate
        scope = "exact over all" if proven.scope == "collection" else f"exact among {proven.examined:,} of"
        if self.partial:
            scope = f"partial, {scope}"
        return f"{self.kernel}, {scope} {proven.images()}, {self.timings.total_ms:.0f} ms"

    def __repr__(self) -> str:
        head = f"<Hits {len(self)} for {self.query.label}: {self.summary()}>"
        rows = [[str(rank), f"{hit.score:.4f}", hit.id] for rank, hit in enumerate(self.hits[:20], start=1)]
        lines = table(["", "score", "id"], rows, right={0, 1}) if rows else []
        more = [f"... and {len(self) - 20} more"] if len(self) > 20 else []
        return "\n".join([printable(head), *lines, *more])

    def sheet(self, columns: int = 5, *, originals: Originals | None = None) -> PILImage.Image:
        """A contact sheet: the query, and each hit with rank, score and id.

        originals: a folder or mapping that holds the hits' pictures by id, sharper than the thumbnails. Without it the
        search must have asked for `thumbnails=True`, otherwise NotRequestedError is raised.
        """
        from setwise._sheet import draw_sheet

        return draw_sheet(self, columns, originals)

    def show(self, columns: int = 5, *, originals: Originals | None = None) -> None:
        """Open the contact sheet in the system's picture viewer."""
        self.sheet(columns, originals=originals).show()

    def save(self, path: str | os.PathLike[str], columns: int = 5, *, originals: Originals | None = None) -> None:
        """Write the contact sheet to a file; its ending names the format."""
        self.sheet(columns, originals=originals).save(Path(path))

    def to_dict(self) -> dict[str, Any]:
        """Everything but pictures, as values that JSON knows."""
        return {
            "query": self.query.label,
            "kernel": self.kernel,
            "version": self.version,
            "hits": [hit.to_dict() for hit in self.hits],
            "missing": list(self.missing),
            "warnings": list(self.warnings),
            "certificate": self.certificate.to_dict(),
            "timings": self.timings.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything about one pair: every score, and which patch of a was matched with which of b."""

    scores: Scores
    matches: Matches | None
    timings: Timings = field(compare=False, repr=False)
    a: Query = field(default=Query(""), compare=False)
    b: Query = field(default=Query(""), compare=False)

    def draw_matches(self, a: Picture | None = None, b: Picture | None = None, top: int = 12) -> PILImage.Image:
        """The `top` strongest pairs, numbered; a and b: the pictures, when ids or feature sets were compared.

        Raises NotRequestedError saying how to ask for what is missing.
        """
        from setwise._draw import draw_comparison

        return draw_comparison(self, a, b, top)

    def to_dict(self) -> dict[str, Any]:
        """Everything but pictures, as values that JSON knows."""
        return {
            "a": self.a.label,
            "b": self.b.label,
            "scores": self.scores.to_dict(),
            "matches": None if self.matches is None else self.matches.to_dict(),
            "timings": self.timings.to_dict(),
        }
