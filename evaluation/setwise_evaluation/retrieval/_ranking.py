"""Orders of images, best first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput

__all__ = ["ranked", "recall_by_candidates"]


def ranked(scores: NDArray[np.floating], ids: Sequence[str]) -> NDArray[np.int64]:
    """The columns of every row of scores (Q, N), largest first; equal scores go by the UTF-8 bytes of the ids.

    So a ranking does not depend on the order in which the images came. An image that is not to be found gets -inf: it
    comes last. Raises InvalidInput when ids and columns differ in number, or a score is NaN.
    """
    if scores.shape[1] != len(ids):
        raise InvalidInput(f"{scores.shape[1]} columns have {len(ids)} ids; give every image one", field="ids")
    if np.isnan(scores).any():
        raise InvalidInput("scores hold NaN, which has no place in a ranking", field="scores")
    by_id = np.array(sorted(range(len(ids)), key=lambda column: ids[column].encode()), dtype=np.int64)
    order = np.argsort(-scores[:, by_id], axis=1, kind="stable")
    taken: NDArray[np.int64] = by_id[order]
    return taken


def recall_by_candidates(exact: Sequence[str], coarse: Sequence[str], counts: Sequence[int]) -> list[float]:
    """Share of the exact hits that lie among the first n coarse candidates, for every n of `counts`.

    Raises InvalidInput when there are no exact hits.
    """
    if not exact:
        raise InvalidInput("there are no exact hits to recall", field="exact")
    place = {name: rank for rank, name in enumerate(coarse)}
    ranks = np.array([place.get(name, len(coarse) + max(counts)) for name in exact])
    return [float((ranks < count).mean()) for count in counts]
