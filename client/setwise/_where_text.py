"""Filters as text: year >= 2020 and camera == "front".

    filter   = all { "or" all }
    all      = each { "and" each }
    each     = "not" each | "(" filter ")" | "true" | "false" | field test
    test     = ("==" | "=" | "!=" | ">" | ">=" | "<" | "<=") value | ["not"] "in" "[" [ value { "," value } ] "]"
             | ["not"] "contains" value | ["not"] "between" value "and" value | "exists"
    field    = a word of letters, digits and _ . : - that begins with a letter or _, or any name in quotes
    value    = a number, a text in quotes ("..." as in JSON, or '...'), true, false or null

The field stands first, so that a word in quotes is never ambiguous. Keywords may be written in capitals.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TypeAlias

from setwise._errors import InvalidArgumentError
from setwise._metadata import Scalar
from setwise._table import printable
from setwise._where import COMPARISONS, DEEPEST, KEYWORDS, F, Filter
from setwise_proto.v1 import filters_pb2

__all__ = ["Where", "parse_where", "where_message"]

Where: TypeAlias = Filter | str
"""What `where=` takes."""

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?!\w))
      | (?P<word>[^\W\d][\w.:-]*)
      | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<sign>==|!=|>=|<=|=|>|<|\(|\)|\[|\]|,)
    )""",
    re.VERBOSE | re.DOTALL,
)
_WORDS: dict[str, Scalar] = {"true": True, "false": False, "null": None}
_NEAR = {"&": "and", "&&": "and", "|": "or", "||": "or", "!": "not", "~": "not"}
_TESTS = "==, !=, >, >=, <, <=, in, contains, between or exists"
_VALUES = 'a number, "text", true, false or null'


def parse_where(text: str) -> Filter:
    """The filter in a text. Raises InvalidArgumentError with the number of the character at which it goes wrong."""
    return _Reader(text).read()


def where_message(where: object) -> filters_pb2.Filter | None:
    """What a caller gave as `where`, as it travels; None for no filter. Raises InvalidArgumentError."""
    match where:
        case None:
            return None
        case Filter():
            return where.message()
        case str():
            return parse_where(where).message()
        case F():
            raise where._alone()
    advice = "give text such as 'year >= 2020', or an expression such as setwise.F(\"year\") >= 2020"
    raise InvalidArgumentError(f"where is {where!r}; {advice}", field="where")


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int


class _Reader:
    """Reads one text from left to right, one token ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._depth = 0
        self._ahead = self._lex(0)

    def read(self) -> Filter:
        if self._ahead.kind == "end":
            raise self._wrong("it is empty; write a condition such as year >= 2020")
        found = self._some()
        if self._ahead.kind != "end":
            raise self._wrong(f"expected `and`, `or` or the end, found {self._found()}")
        return found

    def _some(self) -> Filter:
        found = self._every()
        while self._accept("or"):
            found = found | self._every()
        return found

    def _every(self) -> Filter:
        found = self._each()
        while self._accept("and"):
            found = found & self._each()
        return found

    def _each(self) -> Filter:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._wrong(f"it is more than {DEEPEST} levels deep; write it flatter")
        try:
            if self._accept("not"):
                return ~self._each()
            if self._accept("("):
                found = self._some()
                self._expect(")", "`and`, `or` or `)`")
                return found
            if self._accept("true"):
                return Filter("and")
            if self._accept("false"):
                return Filter("or")
            return self._test()
        finally:
            self._depth -= 1

    def _test(self) -> Filter:
        field = self._field()
        start = self._ahead
        negated = self._accept("not")
        if self._accept("in"):
            found = field.in_(self._list())
        elif self._accept("contains"):
            found = field.contains(self._value("contains"))
        elif self._accept("between"):
            low = self._value("between")
            self._expect("and", "`and` and the upper bound")
            found = self._ordered(field, start, "between", low, self._value("and"))
        elif negated:
            raise self._wrong(f"expected in, contains or between after `not`, found {self._found()}")
        elif self._accept("exists"):
            found = field.exists()
        else:
            found = self._comparison(field, start)
        return ~found if negated else found

    def _comparison(self, field: F, sign: _Token) -> Filter:
        for text in ("==", "=", "!=", *COMPARISONS):
            if self._accept(text):
                value = self._value(text)
                if text in COMPARISONS:
                    return self._ordered(field, sign, text, value)
                return (field != value) if text == "!=" else (field == value)
        raise self._wrong(f"expected {_TESTS} after the field, found {self._found()}")

    def _ordered(self, field: F, sign: _Token, op: str, *values: Scalar) -> Filter:
        try:
            return field._compare(op, *values)
        except InvalidArgumentError:
            given = " and ".join(json.dumps(value, ensure_ascii=False) for value in values)
            raise self._wrong(f"order is for numbers, or for texts; {op} {given} cannot be asked", sign) from None

    def _field(self) -> F:
        token = self._ahead
        if token.kind == "word" and token.text.lower() not in KEYWORDS:
            self._next()
            return F(token.text)
        if token.kind == "text" and len(token.text) > 2:
            self._next()
            return F(self._decoded(token))
        what = "expected a field"
        if token.kind == "word":
            raise self._wrong(
                f'{what}, found the keyword {token.text}; a field of that name stands in quotes: "{token.text}"'
            )
        if token.kind == "number":
            raise self._wrong(f"{what}, found {self._found()}; the field stands first, as in year >= 2020")
        raise self._wrong(f"{what}, found {self._found()}")

    def _list(self) -> list[Scalar]:
        self._expect("[", "a list such as [1, 2]")
        values: list[Scalar] = []
        if self._accept("]"):
            return values
        values.append(self._value("["))
        while not self._accept("]"):
            self._expect(",", "`,` or `]`")
            values.append(self._value(","))
        return values

    def _value(self, after: str) -> Scalar:
        token = self._ahead
        what = f"expected a value after {after} ({_VALUES}), found {self._found()}"
        if token.kind == "word" and token.text.lower() in _WORDS:
            value = _WORDS[token.text.lower()]
        elif token.kind == "number":
            value = self._number(token)
        elif token.kind == "text":
            value = self._decoded(token)
        elif token.kind == "word" and token.text.lower() not in KEYWORDS:
            raise self._wrong(f'{what}; text stands in quotes: "{token.text}"')
        else:
            raise self._wrong(what)
        self._next()
        return value

    def _number(self, token: _Token) -> int | float:
        whole = re.fullmatch(r"-?\d+", token.text)
        # Compared as text first: Python refuses to read numbers of more than 4300 digits.
        if whole and len(token.text) <= 20 and -(1 << 63) <= int(token.text) < 1 << 63:
            return int(token.text)
        number = float(token.text)
        if whole or number in (float("inf"), float("-inf")):
            raise self._wrong(f"{self._found()} is too large; whole numbers have 64 bits", token)
        return number

    def _decoded(self, token: _Token) -> str:
        inside = token.text[1:-1]
        if token.text[0] == "'":
            turned = {"\\'": "'", '"': '\\"'}
            inside = re.sub(r'\\.|"', lambda found: turned.get(found[0], found[0]), inside, flags=re.DOTALL)
        try:
            text: str = json.loads(f'"{inside}"', strict=False)
            text.encode()
        except ValueError:
            raise self._wrong(
                "the text has an escape that is none of JSON's; write \\\\ for a backslash", token
            ) from None
        return text

    def _accept(self, text: str) -> bool:
        token = self._ahead
        if (token.kind == "sign" and token.text == text) or (token.kind == "word" and token.text.lower() == text):
            self._next()
            return True
        return False

    def _expect(self, text: str, what: str) -> None:
        if not self._accept(text):
            raise self._wrong(f"expected {what}, found {self._found()}")

    def _next(self) -> None:
        self._ahead = self._lex(self._ahead.start + len(self._ahead.text))

    def _lex(self, start: int) -> _Token:
        found = _TOKEN.match(self._text, start)
        if found and found.lastgroup:
            return _Token(found.lastgroup, found[found.lastgroup], found.start(found.lastgroup))
        rest = self._text[start:]
        start += len(rest) - len(rest.lstrip())
        if start >= len(self._text):
            return _Token("end", "", len(self._text))
        self._ahead = _Token("other", self._text[start], start)
        if self._text[start] in "\"'":
            raise self._wrong("the quotes are not closed")
        strange = re.match(r"[&|!~]+|\S\w*", self._text[start:])
        word = strange[0] if strange else self._text[start]
        near = _NEAR.get(word)
        raise self._wrong(f"{word!r} has no meaning here" + (f"; write {near}" if near else ""))

    def _found(self) -> str:
        return "the end" if self._ahead.kind == "end" else self._ahead.text

    def _wrong(self, why: str, token: _Token | None = None) -> InvalidArgumentError:
        place = (token or self._ahead).start
        rest = self._text[place:]
        shown = f"before {printable(rest[:30])!r}" if rest else "at the end"
        return InvalidArgumentError(f"where, character {place + 1} ({shown}): {printable(why)}", field="where")
