"""Filters: which images of a collection a call is about, by their metadata.

F("year") >= 2020                        (F("year") >= 2020) & (F("camera") == "front")
F("camera").in_(["front", "rear"])       F("tags").contains("sea") | ~F("tags").exists()

The same as text, for `where="..."` and for `--where` on the command line, is read by `setwise._where_text`; a filter's
`str` is that text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

from setwise._errors import InvalidArgumentError
from setwise._metadata import Scalar, plain_scalar, scalar_message
from setwise_proto.v1 import filters_pb2 as pb

__all__ = ["COMPARISONS", "DEEPEST", "KEYWORDS", "NAME", "F", "Filter"]

COMPARISONS = {">": "gt", ">=": "ge", "<": "lt", "<=": "le"}
"""The comparisons by order, and what the wire calls them."""
KEYWORDS = frozenset({"and", "or", "not", "in", "contains", "exists", "between", "null", "true", "false"})
NAME = re.compile(r"[^\W\d][\w.:-]*")
"""A field that needs no quotes in text, unless it is a keyword."""
_NEGATED = {"==": "!=", "in": "not in", "contains": "not contains", "between": "not between"}
DEEPEST = 30
"""Levels of a filter. Protobuf reads messages at most 100 deep, and a level takes two or three of them."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Filter:
    """A condition on the metadata of images, made from `setwise.F` or from text; `&`, `|` and `~` join and negate.

        where = (setwise.F("year") >= 2020) & setwise.F("tags").contains("sea")
        client.search("photo.jpg", where=where)

    op: "==", "in", ">", ">=", "<", "<=", "between", "exists", "contains", "and", "or" or "not". field: for all but the
    last three, which have parts. values: what is compared with. Filters are equal when their texts are.
    """

    op: str
    field: str = ""
    values: tuple[Scalar, ...] = ()
    parts: tuple[Filter, ...] = ()

    def __and__(self, other: Filter) -> Filter:
        return self._join("and", other)

    def __or__(self, other: Filter) -> Filter:
        return self._join("or", other)

    __rand__, __ror__ = __and__, __or__  # for what is no filter, and is told so: `2020 & F("tags").contains("sea")`
    __array_ufunc__: ClassVar[None] = None  # numpy's numbers on the left side too

    def __invert__(self) -> Filter:
        return self.parts[0] if self.op == "not" else Filter("not", parts=(self,))

    def __bool__(self) -> bool:
        what = "a filter is neither true nor false here: write & for and, | for or, ~ for not, each comparison in "
        chained = 'parentheses: (F("year") >= 2020) & (F("year") < 2023); chained comparisons and `in` cannot be used'
        raise InvalidArgumentError(what + chained, field="where")

    def __eq__(self, other: object) -> bool:
        # By text, because Python takes True for 1.
        return str(self) == str(other) if isinstance(other, Filter) else NotImplemented

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        match self.op:
            case "and" | "or" if not self.parts:
                return "true" if self.op == "and" else "false"
            case "and" | "or":
                return f" {self.op} ".join(part._inside(self.op) for part in self.parts)
            case "not" if self.parts[0].op in _NEGATED:
                return self.parts[0]._text(_NEGATED[self.parts[0].op])
            case "not":
                return f"not {self.parts[0]._inside('not')}"
            case _:
                return self._text(self.op)

    def _text(self, op: str) -> str:
        values = (", " if self.op == "in" else " and ").join(map(_literal, self.values))
        return " ".join([_quoted(self.field), op, f"[{values}]" if self.op == "in" else values]).rstrip()

    def __repr__(self) -> str:
        return f"<Filter {self}>"

    def message(self, depth: int = 1) -> pb.Filter:
        """The filter as it travels. Raises InvalidArgumentError when it is too deep."""
        if depth > DEEPEST:
            what = f"the filter is more than {DEEPEST} levels deep; write it flatter"
            raise InvalidArgumentError(what, field="where")
        parts = [part.message(depth + 1) for part in self.parts]
        match self.op:
            case "and":
                return pb.Filter(every=pb.FilterList(filters=parts))
            case "or":
                return pb.Filter(some=pb.FilterList(filters=parts))
            case "not":
                return pb.Filter(negation=parts[0])
            case _:
                return self._test()

    def _test(self) -> pb.Filter:
        values = [scalar_message(value) for value in self.values]
        match self.op:
            case "exists":
                return pb.Filter(exists=pb.Exists(field=self.field))
            case "in":
                return pb.Filter(any_of=pb.AnyOf(field=self.field, values=values))
            case "contains":
                return pb.Filter(contains=pb.Contains(field=self.field, value=values[0]))
            case "==":
                return pb.Filter(equals=pb.Equals(field=self.field, value=values[0]))
            case "between":
                return pb.Filter(range=pb.Range(field=self.field, ge=values[0], le=values[1]))
            case _:
                bounds = pb.Range(field=self.field)
                getattr(bounds, COMPARISONS[self.op]).CopyFrom(values[0])
                return pb.Filter(range=bounds)

    def _join(self, op: str, other: object) -> Filter:
        if isinstance(other, F):
            raise other._alone()
        if not isinstance(other, Filter):
            shown = f"{other!r} stands beside a filter"
            raise InvalidArgumentError(f"{shown}; put each comparison in parentheses", field="where")
        # One level for a long chain: (a & b) & c is no deeper than a & b.
        parts = [part for side in (self, other) for part in (side.parts if side.op == op else (side,))]
        return parts[0] if len(parts) == 1 else Filter(op, parts=tuple(parts))

    def _inside(self, op: str) -> str:
        """The text as a part of another: in parentheses unless it binds more strongly."""
        loose = self.op in ("and", "or") and bool(self.parts) and (op == "not" or len(self.parts) > 1)
        return f"({self})" if loose else str(self)


class F:
    """A metadata field, to be compared: the beginning of every filter.

        F("year") >= 2020                  # also >, <, <=, == and !=; .between(2020, 2022) takes both ends in
        F("camera").in_(["front", "rear"])
        F("tags").contains("sea")          # the field is a list with this element
        F("gps").exists()                  # the image has the field; null counts

    Where the field is a list, a comparison holds when it holds for one of its elements. True is not 1, 1 equals 1.0,
    texts are ordered by their UTF-8 bytes. A comparison with a field that an image lacks is false, so that `!=`, which
    is `~ ==`, holds for it. Values are None, bool, int, float and text; `F("x") == None` asks for a stored null.
    """

    __slots__ = ("_name",)
    # Comparing makes filters, so that a field cannot be found in a set or a dict.
    __hash__: ClassVar[None] = None  # type: ignore[assignment]
    __array_ufunc__ = None  # numpy's numbers on the left side leave the comparison to the field

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            raise InvalidArgumentError(f"F({name!r}) names no field; give text that is not empty", field="where")
        self._name = str(plain_scalar(name, "the field of a filter", "where"))

    def __eq__(self, value: Scalar) -> Filter:  # type: ignore[override]
        return self._compare("==", value)

    def __ne__(self, value: Scalar) -> Filter:  # type: ignore[override]
        return ~self._compare("==", value)

    def __gt__(self, value: float | str) -> Filter:
        return self._compare(">", value)

    def __ge__(self, value: float | str) -> Filter:
        return self._compare(">=", value)

    def __lt__(self, value: float | str) -> Filter:
        return self._compare("<", value)

    def __le__(self, value: float | str) -> Filter:
        return self._compare("<=", value)

    def between(self, low: float | str, high: float | str) -> Filter:
        """One value lies between the two, both included: both of them numbers, or both of them text."""
        return self._compare("between", low, high)

    def in_(self, values: Iterable[Scalar]) -> Filter:
        """The value is one of these; of none, nothing passes."""
        if isinstance(values, str | bytes) or not isinstance(values, Iterable):
            what = f"in_ takes a list of values, not {values!r}; for one value write =="
            raise InvalidArgumentError(what, field="where")
        return self._compare("in", *values)

    def contains(self, value: Scalar) -> Filter:
        """The value is a list that has this element."""
        return self._compare("contains", value)

    def exists(self) -> Filter:
        """The image has the field, whatever its value."""
        return Filter("exists", self._name)

    def __repr__(self) -> str:
        return f"F({self._name!r})"

    def __contains__(self, value: object) -> NoReturn:
        what = f"`{value!r} in {self!r}` cannot be asked; write {self!r}.contains({value!r})"
        raise InvalidArgumentError(what, field="where")

    def __bool__(self) -> bool:
        raise self._alone()

    def _refuse(self, *_: object) -> NoReturn:
        raise self._alone()

    __and__ = __rand__ = __or__ = __ror__ = __invert__ = _refuse

    def _alone(self) -> InvalidArgumentError:
        advice = f"compare it, each comparison in parentheses: ({self!r} == ...) & (...), or ask {self!r}.exists()"
        return InvalidArgumentError(f"{self!r} alone is no condition; {advice}", field="where")

    def _compare(self, op: str, *values: Any) -> Filter:
        for value in values:
            if isinstance(value, F):
                raise InvalidArgumentError(f"{self!r} is compared with {value!r}; give a value", field="where")
        plain = tuple(plain_scalar(value, f"the value of {self!r} {op}", "where") for value in values)
        if op in COMPARISONS or op == "between":
            texts = {isinstance(value, str) for value in plain}
            if len(texts) > 1 or any(value is None or isinstance(value, bool) for value in plain):
                given = " and ".join(map(repr, plain))
                advice = "order is for numbers, or for texts"
                raise InvalidArgumentError(f"{self!r} {op} {given} cannot be asked; {advice}", field="where")
        return Filter(op, self._name, plain)


def _quoted(name: str) -> str:
    return name if NAME.fullmatch(name) and name.lower() not in KEYWORDS else _literal(name)


def _literal(value: Scalar) -> str:
    return json.dumps(value, ensure_ascii=False)
