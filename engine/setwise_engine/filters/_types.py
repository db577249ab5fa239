"""What can be asked of an image's metadata."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from setwise_engine.errors import InvalidInput
from setwise_engine.filters._kinds import Scalar, kind_of

__all__ = ["MAX_DEPTH", "And", "AnyOf", "Contains", "Equals", "Exists", "Filter", "Not", "Or", "Range"]

MAX_DEPTH = 64
"""How deep filters may stand in each other; beyond it they are a mistake, and Python's own stack is not far."""


@dataclass(frozen=True, slots=True)
class Equals:
    """The field's value is `value`, or is a list with an element that is. True is not 1; 1 is 1.0."""

    field: str
    value: Scalar
    kind: int = dataclasses.field(
        init=False, repr=False
    )  # Python takes True for 1: what must differ has to be compared
    depth: ClassVar[int] = 1

    def __post_init__(self) -> None:
        _check_field(self.field)
        _check_value(self.field, self.value)
        object.__setattr__(self, "kind", kind_of(self.value))


@dataclass(frozen=True, slots=True)
class AnyOf:
    """As `Equals` for at least one of the values; of none, nothing passes."""

    field: str
    values: tuple[Scalar, ...]
    kinds: tuple[int, ...] = dataclasses.field(init=False, repr=False)
    depth: ClassVar[int] = 1

    def __post_init__(self) -> None:
        _check_field(self.field)
        for value in self.values:
            _check_value(self.field, value)
        object.__setattr__(self, "values", tuple(self.values))
        object.__setattr__(self, "kinds", tuple(map(kind_of, self.values)))


@dataclass(frozen=True, slots=True)
class Range:
    """The field's value, or one element of its list, lies within all bounds given: numbers, or texts by UTF-8 bytes.

    Values of another kind lie outside. Raises InvalidInput without a bound, or with bounds of two kinds.
    """

    field: str
    gt: int | float | str | None = None
    ge: int | float | str | None = None
    lt: int | float | str | None = None
    le: int | float | str | None = None
    depth: ClassVar[int] = 1

    def __post_init__(self) -> None:
        _check_field(self.field)
        bounds = [bound for bound in (self.gt, self.ge, self.lt, self.le) if bound is not None]
        if not bounds:
            raise _wrong(f"the range of {self.field!r} has no bound; give gt, ge, lt or le")
        for bound in bounds:
            _check_value(self.field, bound)
        if any(isinstance(bound, bool) for bound in bounds) or len({kind_of(bound) for bound in bounds}) > 1:
            raise _wrong(f"the bounds of {self.field!r} are {bounds}; give numbers only, or texts only")


@dataclass(frozen=True, slots=True)
class Exists:
    """The image has the field, whatever its value; null and the empty list count."""

    field: str
    depth: ClassVar[int] = 1

    def __post_init__(self) -> None:
        _check_field(self.field)


@dataclass(frozen=True, slots=True)
class Contains:
    """The field's value is a list that has the element `value`."""

    field: str
    value: Scalar
    kind: int = dataclasses.field(init=False, repr=False)
    depth: ClassVar[int] = 1

    def __post_init__(self) -> None:
        _check_field(self.field)
        _check_value(self.field, self.value)
        object.__setattr__(self, "kind", kind_of(self.value))


@dataclass(frozen=True, slots=True)
class And:
    """All parts pass; of none, everything does."""

    parts: tuple[Filter, ...]
    depth: int = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))
        object.__setattr__(self, "depth", _depth(self.parts))


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part passes; of none, nothing does."""

    parts: tuple[Filter, ...]
    depth: int = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))
        object.__setattr__(self, "depth", _depth(self.parts))


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not pass, also because the image lacks the field."""

    part: Filter
    depth: int = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", _depth((self.part,)))


Filter: TypeAlias = Equals | AnyOf | Range | Exists | Contains | And | Or | Not
"""Frozen and hashable, so that answers can be kept for it. Faults are InvalidInput with the field `where`."""


def _check_field(name: object) -> None:
    if not isinstance(name, str) or not name or not _is_unicode(name):
        raise _wrong(f"a filter names the field {name!r}; give the name of a metadata field, text that is not empty")


def _check_value(name: str, value: object) -> None:
    match value:
        case None | bool():
            return
        case int() if -(1 << 63) <= value < 1 << 63:
            return
        case float() if math.isfinite(value):
            return
        case str() if _is_unicode(value):
            return
    advice = "give null, a boolean, a 64-bit integer, a finite number, or text"
    raise _wrong(f"the filter of {name!r} compares with {value!r}; {advice}")


def _depth(parts: tuple[Filter, ...]) -> int:
    depth = 1 + max((part.depth for part in parts), default=0)
    if depth > MAX_DEPTH:
        raise _wrong(f"the filter is more than {MAX_DEPTH} levels deep; write it flatter")
    return depth


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _wrong(message: str) -> InvalidInput:
    return InvalidInput(message, field="where")
