"""How to rank and what to return: the arguments that every search shares, checked once."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import numpy as np

from setwise._errors import InvalidArgumentError
from setwise._where_text import Where, where_message
from setwise_proto.v1 import search_pb2, types_pb2

__all__ = ["Kernel", "MetadataLike", "Options", "check_timeout", "kernel_number", "whole"]

MetadataLike: TypeAlias = bool | Sequence[str]


class Kernel(StrEnum):
    """Which reading of the optimal matching ranks the answers."""

    COSINE = "cosine"
    INNER_PRODUCT = "inner_product"
    RBF = "rbf"
    CONTAINMENT = "containment"


_KERNELS = {
    Kernel.COSINE: types_pb2.KERNEL_COSINE,
    Kernel.INNER_PRODUCT: types_pb2.KERNEL_INNER_PRODUCT,
    Kernel.RBF: types_pb2.KERNEL_RBF,
    Kernel.CONTAINMENT: types_pb2.KERNEL_CONTAINMENT,
}


@dataclass(frozen=True, slots=True)
class Options:
    """The arguments of a search, as `Client.search` documents them."""

    k: int | None = 10
    candidates: int | None = None
    kernel: str | None = None
    min_score: float | None = None
    metadata: MetadataLike = True
    scores: bool = False
    matches: bool = False
    thumbnails: bool = False
    exhaustive: bool | None = None
    proof: bool = False
    where: Where | None = None
    group_by: str | None = None
    group_size: int | None = None
    partial: bool = False

    def message(self) -> search_pb2.SearchOptions:
        """The options as they travel. Raises InvalidArgumentError naming the argument at fault."""
        return search_pb2.SearchOptions(
            k=None if self.k is None else whole(self.k, "k"),
            candidates=None if self.candidates is None else whole(self.candidates, "candidates"),
            kernel=kernel_number(self.kernel),
            min_score=None if self.min_score is None else _number(self.min_score, "min_score"),
            metadata=_selector(self.metadata),
            include_scores=bool(self.scores),
            include_matches=bool(self.matches),
            include_thumbnail=bool(self.thumbnails),
            exhaustive=None if self.exhaustive is None else _flag(self.exhaustive, "exhaustive"),
            include_proof=_flag(self.proof, "proof"),
            where=where_message(self.where),
            group_by=_group(self.group_by, self.group_size),
            group_size=None if self.group_size is None else whole(self.group_size, "group_size"),
            allow_partial=_flag(self.partial, "partial"),
        )


def _group(field: str | None, size: int | None) -> str:
    if field is None and size is not None:
        raise InvalidArgumentError(f"group_size is {size!r} without group_by; name a field", field="group_size")
    if field is not None and (not isinstance(field, str) or not field):
        raise InvalidArgumentError(f"group_by is {field!r}; give the name of a metadata field", field="group_by")
    return field or ""


def _flag(value: bool, name: str) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise InvalidArgumentError(f"{name} is {value!r}; give True or False", field=name)
    return bool(value)


def whole(value: int, name: str) -> int:
    """A count of at least 1 that 32 bits hold. Raises InvalidArgumentError naming the argument."""
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if isinstance(value, bool) or not 1 <= number < 2**32:
        raise InvalidArgumentError(f"{name} is {value!r}; give a whole number of at least 1", field=name)
    return number


def check_timeout(timeout: float | None) -> float | None:
    """Seconds, or None for no limit. Raises InvalidArgumentError for anything that is no positive number."""
    if timeout is None:
        return None
    seconds = _number(timeout, "timeout")
    if seconds <= 0:
        raise InvalidArgumentError(
            f"timeout is {timeout!r}; give seconds above 0, or None for no limit", field="timeout"
        )
    return seconds if math.isfinite(seconds) else None


def _number(value: float, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if math.isnan(number):
        raise InvalidArgumentError(f"{name} is {value!r}; give a number", field=name)
    return number


def kernel_number(kernel: str | None) -> types_pb2.Kernel.ValueType:
    """The kernel as it travels; None leaves it to the server. Raises InvalidArgumentError for an unknown one."""
    if kernel is None:
        return types_pb2.KERNEL_UNSPECIFIED
    try:
        return _KERNELS[Kernel(kernel)]
    except ValueError:
        known = ", ".join(repr(str(known)) for known in Kernel)
        raise InvalidArgumentError(f"kernel is {kernel!r}; give one of {known}", field="kernel") from None


def _selector(metadata: MetadataLike) -> types_pb2.MetadataSelector:
    if isinstance(metadata, bool):
        return types_pb2.MetadataSelector(all=metadata)
    if isinstance(metadata, str) or not all(isinstance(field, str) for field in metadata):
        raise InvalidArgumentError(f"metadata is {metadata!r}; give True, False or a list of names", field="metadata")
    return types_pb2.MetadataSelector(fields=list(metadata))
