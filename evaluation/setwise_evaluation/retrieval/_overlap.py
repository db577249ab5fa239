"""What two images share: F1 over their labels, or over their counted labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["count_f1", "f1_at", "label_f1", "overlaps", "random_f1"]

Labels = AbstractSet[str]
Counts = Mapping[str, int]


def label_f1(query: Labels, hit: Labels) -> float:
    """2 |query and hit| / (|query| + |hit|); 0 when neither has a label."""
    total = len(query) + len(hit)
    return 2 * len(query & hit) / total if total else 0.0


def count_f1(query: Counts, hit: Counts) -> float:
    """2 sum of min(query[l], hit[l]) / (sum of query + sum of hit) over all labels l; 0 when neither has a label.

    1 exactly for equal counts. With counts of 1 throughout it is `label_f1`.
    """
    total = sum(query.values()) + sum(hit.values())
    return 2 * sum(min(count, hit.get(label, 0)) for label, count in query.items()) / total if total else 0.0


def overlaps(queries: Sequence[Labels | Counts], database: Sequence[Labels | Counts]) -> NDArray[np.float64]:
    """`label_f1` of every query with every image, or `count_f1` where labels come with counts: (Q, N) float64.

    A label that is there n times is taken for n labels, (l, 1) to (l, n): sets of those share min(n, m) of them.
    """
    columns: dict[tuple[str, int], int] = {}
    rows, others = ([_indices(image, columns) for image in images] for images in (queries, database))
    a, b = (_indicators(lists, len(columns)) for lists in (rows, others))
    shared: NDArray[np.float64] = (a @ b.T).toarray()
    total = np.array([len(row) for row in rows])[:, None] + np.array([len(row) for row in others])[None, :]
    f1: NDArray[np.float64] = 2.0 * shared / np.maximum(total, 1)
    return f1


def f1_at(query: Labels, hits: Sequence[Labels], k: int) -> float:
    """Mean `label_f1` of the first k hits, best first; a place that no hit fills counts 0.

    Raises InvalidInput when k is below 1.
    """
    if k < 1:
        raise InvalidInput(f"k is {k}; ask for at least the first hit", field="k")
    return sum(label_f1(query, hit) for hit in hits[:k]) / k


def random_f1(queries: Sequence[Labels], database: Sequence[Labels]) -> float:
    """What a ranking by chance expects at every k: the mean F1 over all pairs of query and database image."""
    return float(np.mean([label_f1(query, hit) for query in queries for hit in database]))


def _indices(image: Labels | Counts, columns: dict[tuple[str, int], int]) -> list[int]:
    """The columns of an image's labels; labels not met before get the next ones."""
    counts = image if isinstance(image, Mapping) else dict.fromkeys(image, 1)
    pairs = ((label, nth) for label, count in counts.items() for nth in range(count))
    return [columns.setdefault(pair, len(columns)) for pair in pairs]


def _indicators(rows: Sequence[Sequence[int]], width: int) -> csr_array:
    """Ones at the given columns of every row."""
    from scipy.sparse import csr_array

    ends = np.cumsum([0, *map(len, rows)])
    indices = np.fromiter((column for row in rows for column in row), np.int64, ends[-1])
    return csr_array((np.ones(len(indices)), indices, ends), shape=(len(rows), width))
