"""Refusing here what the server would refuse: before a picture is encoded or a byte is sent."""

from __future__ import annotations

from setwise._errors import InvalidArgumentError
from setwise._values import Limits
from setwise_proto.v1 import filters_pb2, search_pb2

__all__ = ["beyond", "check_count", "check_filter", "check_options"]


def beyond(message: str, limit: str, allowed: float, field: str) -> InvalidArgumentError:
    """The error for more than a limit allows; told as the server tells it."""
    details = {"limit": limit, "allowed": f"{allowed:.15g}"}
    return InvalidArgumentError(message, reason="LIMIT_EXCEEDED", field=field, details=details)


def check_count(count: int, limits: Limits, limit: str, field: str, what: str) -> None:
    """Raises InvalidArgumentError for more than this limit allows; a limit of 0 allows everything."""
    allowed: int = getattr(limits, limit)
    if allowed and count > allowed:
        raise beyond(f"{what}; this server takes at most {allowed:,} ({limit})", limit, allowed, field)


def check_options(options: search_pb2.SearchOptions, limits: Limits) -> None:
    """Raises InvalidArgumentError naming the option that asks for too much."""
    check_count(options.k, limits, "max_k", "k", f"k is {options.k}")
    check_count(options.candidates, limits, "max_candidates", "candidates", f"candidates is {options.candidates}")
    if options.HasField("where"):
        check_filter(options.where, limits)


def check_filter(where: filters_pb2.Filter, limits: Limits) -> None:
    """Raises InvalidArgumentError for more conditions, joints and values than the server reads."""
    terms = _terms(where)
    check_count(terms, limits, "max_filter_terms", "where", f"the filter has {terms:,} conditions, joints and values")


def _terms(where: filters_pb2.Filter) -> int:
    """As the server counts them: each condition and joint is one, and so is each value of a list."""
    match where.WhichOneof("condition"):
        case "every":
            return 1 + sum(map(_terms, where.every.filters))
        case "some":
            return 1 + sum(map(_terms, where.some.filters))
        case "negation":
            return 1 + _terms(where.negation)
        case "any_of":
            return 1 + len(where.any_of.values)
        case _:
            return 1
