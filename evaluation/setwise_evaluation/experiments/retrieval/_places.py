"""Anyone's data: collections or folders of images, and the labels that came with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from setwise_engine.collection import Collection
from setwise_engine.errors import ImageError, Incompatible, InvalidInput, NotFound
from setwise_engine.features import Extractor, load_extractor
from setwise_engine.featurizer import Featurizer
from setwise_evaluation.activations import activations
from setwise_evaluation.experiments.retrieval._types import Case, Side
from setwise_evaluation.labels import IMAGE_SUFFIXES, Labelled

__all__ = ["Asked", "is_collection", "place_case"]

Progress = Callable[[str, int, int], None]
_Item = TypeVar("_Item")
_BATCH = 16


@dataclass(frozen=True, slots=True)
class Asked:
    """What to take. count, query_count: images at most, None for all; drawn by `seed`. counted: numbers matter."""

    count: int | None
    query_count: int | None
    seed: int
    counted: bool
    weights: str | None
    progress: Progress


def is_collection(place: Path) -> bool:
    """Whether a folder is a collection and not a folder of images."""
    return (place / "catalog.sqlite").is_file()


def place_case(
    stack: ExitStack,
    places: tuple[Path, Path | None],
    labels: tuple[Labelled, Labelled],
    asked: Asked,
    extractor: Extractor | None,
) -> Case:
    """A database and queries to it, of those two places, and their labels.

    places: None for the queries takes images of the database, each of which is not to find itself.
    stack: keeps collections open for as long as it is. labels: of the database and of the queries. extractor: for
    folders of images; None where the database is a collection, whose own network and encoder take queries from folders.
    Images without a record among the labels are left out, and so are queries without a label; `said` tells how many.
    Raises InvalidInput where nothing is left, NotFound for a place that is not there, and Incompatible for queries
    that cannot be compared with the database.
    """
    database, queries = places
    said: list[str] = []
    broken = [reason for one in {id(one): one for one in labels}.values() for reason in one.left_out]
    names = _Stored(stack, database) if is_collection(database) else _Folder(database, extractor, None)
    found = _labelled(names, labels[0], said, "images")
    found = _drawn(found, asked.count, asked.seed)
    side = _side(names, found, asked, broken)
    if queries is None:
        chosen = _drawn([place for place, counts in enumerate(side.labels) if counts], asked.query_count, asked.seed)
        ask = _part(side, chosen)
    else:
        others = _queries(stack, queries, names, extractor, asked)
        some = [(place, counts) for place, counts in _labelled(others, labels[1], said, "queries") if counts]
        ask = _side(others, _drawn(some, asked.query_count, asked.seed), asked, broken)
    if not ask.ids or not side.ids:
        raise InvalidInput(f"no query or no image of {database.name} has a label; do names agree?", field="labels")
    if broken:
        said.append(f"{len(broken)} files could not be read and are left out.")
    said.insert(0, f"{len(side.ids)} images of {database.name}, {len(ask.ids)} queries; labels are {labels[0].kind}.")
    key = f"{database.name}-{len(side.ids)}-{queries.name if queries else 'own'}-{len(ask.ids)}-seed{asked.seed}"
    model = names.model.replace(":", "-").replace("/", "-")
    return Case(
        name=database.name,
        queries=ask,
        database=side,
        kind=labels[0].kind,
        counted=asked.counted,
        leave_one_out=queries is None,
        said=(*said, *_lower_bounds(labels, asked.counted)),
        left_out=tuple(broken),
        key=f"{key}-{model}",
    )


def _lower_bounds(labels: Sequence[Labelled], counted: bool) -> list[str]:
    """A sentence where numbers matter and some are lower bounds."""
    loose = sum(bool(names) for one in {id(one): one for one in labels}.values() for names in one.at_least.values())
    return [f"Of {loose} images some numbers are lower bounds, taken as they are."] if counted and loose else []


class _Folder:
    """Images below a folder, by their paths relative to it."""

    def __init__(self, folder: Path, extractor: Extractor | None, featurizer: Featurizer | None) -> None:
        """featurizer: of the collection that is asked; None for raw tokens. Raises NotFound when nothing is there."""
        if not folder.is_dir():
            raise NotFound(f"{folder} is neither a folder of images nor a collection", field="database")
        self._folder, self._extractor, self._featurizer = folder, extractor, featurizer
        paths = (path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
        self.names = sorted(path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts))
        self.model = extractor.info.fingerprint if extractor else ""

    def tokens(self, places: Sequence[int], progress: Progress) -> tuple[Any, list[int], list[str]]:
        """Tokens of the images at these places of `names`, which of them could be decoded, and why others not."""
        paths = [self._folder / self.names[place] for place in places]
        told = lambda done, total: progress(f"images of {self._folder.name}", done, total)  # noqa: E731
        if self._featurizer is not None:
            return self._encoded(paths, places, told)
        assert self._extractor is not None
        found = activations(paths, model=self._extractor, on_error="leave-out", progress=told)
        return found.tokens, [places[row] for row in found.kept], [one.reason for one in found.left_out]

    def _encoded(
        self, paths: Sequence[Path], places: Sequence[int], told: Callable[[int, int], None]
    ) -> tuple[Any, list[int], list[str]]:
        assert self._featurizer is not None
        tokens, kept, reasons = [], [], []
        for first in range(0, len(paths), _BATCH):
            batch = []
            for place, path in list(zip(places, paths, strict=True))[first : first + _BATCH]:
                try:
                    batch.append(self._featurizer.prepare(path))
                    kept.append(place)
                except ImageError as error:
                    reasons.append(str(error))
            tokens += [features.tokens for features in self._featurizer.encode(batch)]
            told(min(first + _BATCH, len(paths)), len(paths))
        return tokens, kept, reasons


class _Stored:
    """Images of a collection, by their ids."""

    def __init__(self, stack: ExitStack, path: Path) -> None:
        self.collection = stack.enter_context(Collection.open(path, read_only=True))
        self._snapshot = stack.enter_context(self.collection.snapshot())
        self.names = sorted(self._snapshot.ids(self._snapshot.live_keys().tolist()), key=str.encode)
        self.model = self.collection.settings.encoder_fingerprint

    def tokens(self, places: Sequence[int], progress: Progress) -> tuple[Any, list[int], list[str]]:
        """Encoded tokens of the images at these places of `names`, read by memory map."""
        keys = self._snapshot.keys([self.names[place] for place in places])
        return [self._snapshot.tokens(key) for key in keys if key is not None], list(places), []


def _queries(
    stack: ExitStack, place: Path, database: _Folder | _Stored, extractor: Extractor | None, asked: Asked
) -> _Folder | _Stored:
    """Where queries come from, comparable with the database. Raises Incompatible when they cannot be."""
    if is_collection(place):
        others = _Stored(stack, place)
        if others.model != database.model:
            raise Incompatible(
                f"{place.name} was not made with the encoder of the database; index it with --encoder-from",
                field="queries",
            )
        return others
    if isinstance(database, _Folder):
        return _Folder(place, extractor, None)
    settings = database.collection.settings
    if not settings.model:
        raise Incompatible(
            "the database holds ready-made sets; ask with a collection, or leave --queries out", field="queries"
        )
    network = load_extractor(settings.model, image_size=settings.image_size, weights=asked.weights)
    return _Folder(place, network, Featurizer(network, database.collection.encoder))


def _labelled(names: _Folder | _Stored, labels: Labelled, said: list[str], what: str) -> list[tuple[int, Counter[str]]]:
    """Places of the images that have a record among the labels, with what it counts."""
    ids = [labels.id_of(name) for name in names.names]
    found = [(place, labels.counts[id]) for place, id in enumerate(ids) if id is not None]
    if len(found) < len(ids):
        said.append(f"{len(ids) - len(found)} of {len(ids)} {what} have no labels and are left out.")
    return found


def _drawn(items: Sequence[_Item], count: int | None, seed: int) -> list[_Item]:
    """At most so many, drawn without replacement, in their order."""
    if count is None or len(items) <= count:
        return list(items)
    chosen = np.random.default_rng(seed).choice(len(items), count, replace=False)
    return [items[place] for place in sorted(chosen.tolist())]


def _side(names: _Folder | _Stored, found: Sequence[tuple[int, Counter[str]]], asked: Asked, broken: list[str]) -> Side:
    """Tokens and labels of the images at these places; what cannot be decoded is left out and joins the broken ones."""
    counts = dict(found)
    tokens, kept, reasons = names.tokens(list(counts), asked.progress)
    broken += reasons
    return Side(tuple(names.names[place] for place in kept), tokens, tuple(counts[place] for place in kept))


def _part(side: Side, places: Sequence[int]) -> Side:
    """Some of a side's images."""
    chosen = [side.tokens[place] for place in places]
    tokens = np.stack(chosen) if hasattr(side.tokens, "ndim") and chosen else chosen
    return Side(tuple(side.ids[place] for place in places), tokens, tuple(side.labels[place] for place in places))
