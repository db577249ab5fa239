"""How a log line looks, and what no one can make it look like."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from setwise_server._visit import VISIT, Visit
from setwise_server.observe import logs as observe_logs
from setwise_server.settings import Observe

Lines = Callable[[], list[str]]


@pytest.fixture
def logs() -> Iterator[Callable[..., Lines]]:
    """Has the logs of this process written as told, until the test ends; what comes back gives the lines so far."""
    with ExitStack() as stack:

        def begin(**observe: str) -> Lines:
            stream = io.StringIO()
            stack.enter_context(observe_logs(Observe(**observe), stream))
            return lambda: stream.getvalue().splitlines()

        yield begin


def test_json_is_one_object_a_line_with_the_named_values(logs: Callable[..., Lines]) -> None:
    lines = logs(log_format="json")

    logging.getLogger("setwise.server").info(
        "Search %s", "OK", extra={"fields": {"caller": "shop", "stages": {"recall": 1.5}}}
    )

    (told,) = map(json.loads, lines())
    assert told.pop("time").endswith("Z")
    assert told == {
        "level": "info",
        "logger": "setwise.server",
        "message": "Search OK",
        "caller": "shop",
        "stages": {"recall": 1.5},
    }


def test_an_exception_stays_within_its_object(logs: Callable[..., Lines]) -> None:
    lines = logs(log_format="json")

    logging.getLogger("setwise.server").error("it broke", exc_info=ValueError("first\nsecond"))

    (told,) = map(json.loads, lines())
    assert told["exception"].endswith("ValueError: first\nsecond")


def test_text_tells_the_named_values_after_the_message(logs: Callable[..., Lines]) -> None:
    lines = logs()

    logging.getLogger("setwise.server").info(
        "hello", extra={"fields": {"ms": 2, "reason": "a b", "empty": "", "stages": {"recall": 1.5}}}
    )

    (line,) = lines()
    assert line.endswith('Z INFO setwise.server hello ms=2 reason="a b" empty="" stages.recall=1.5')


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_what_a_caller_sends_cannot_forge_a_line(logs: Callable[..., Lines], log_format: str) -> None:
    lines = logs(log_format=log_format)
    forged = "no such id \n2026-01-01T00:00:00.000Z INFO setwise.audit admin let in\r\x1b[2K\x85\u2028gone"

    logging.getLogger("setwise.server").warning("%s", forged, extra={"fields": {"id": forged}})

    (line,) = lines()
    assert line.isprintable()


def test_a_forged_line_in_a_traceback_is_seen_to_belong_to_it(logs: Callable[..., Lines]) -> None:
    lines = logs()

    logging.getLogger("setwise.server").error("it broke", exc_info=ValueError("x\n2026-01-01 INFO setwise.audit"))

    assert all(line.startswith("  ") for line in lines()[1:])


def test_lines_written_while_a_call_is_answered_carry_its_request_id(logs: Callable[..., Lines]) -> None:
    lines = logs(log_format="json")

    token = VISIT.set(Visit("/setwise.v1.SearchService/Search", "asked-1", "peer"))
    logging.getLogger("setwise.server").info("within")
    VISIT.reset(token)
    logging.getLogger("setwise.server").info("after")

    within, after = map(json.loads, lines())
    assert within["request_id"] == "asked-1"
    assert "request_id" not in after


def test_the_level_is_ours_and_libraries_stay_quiet(logs: Callable[..., Lines]) -> None:
    lines = logs(log_level="debug")

    logging.getLogger("setwise.server").debug("ours")
    logging.getLogger("PIL").info("theirs")
    logging.getLogger("PIL").warning("their trouble")

    assert [line.split(" ", 3)[3] for line in lines()] == ["ours", "their trouble"]


def test_errors_only(logs: Callable[..., Lines]) -> None:
    lines = logs(log_level="error")

    logging.getLogger("setwise.server").warning("ours")
    logging.getLogger("PIL").warning("theirs")

    assert not lines()


def test_warnings_of_python_are_logged(logs: Callable[..., Lines]) -> None:
    lines = logs(log_format="json")

    warnings.showwarning("old", DeprecationWarning, "module.py", 1)  # where a warning goes that is no error

    (told,) = map(json.loads, lines())
    assert told["logger"] == "py.warnings"


def test_all_is_as_before_when_it_ends() -> None:
    root, ours = logging.getLogger(), logging.getLogger("setwise")
    before = root.handlers[:], root.level, ours.level

    with observe_logs(Observe(log_level="debug"), io.StringIO()):
        assert root.handlers != before[0]

    assert (root.handlers, root.level, ours.level) == before
