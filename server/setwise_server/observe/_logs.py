"""Log lines: plain text for people, or one JSON object a line for machines."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

from setwise_server._visit import VISIT
from setwise_server.settings import Observe

__all__ = ["JsonFormatter", "TextFormatter", "logs"]

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F, *range(0x80, 0xA0), 0x2028, 0x2029)}


@contextmanager
def logs(observe: Observe, stream: TextIO | None = None) -> Iterator[None]:
    """While inside, every logger of this process writes to `stream` (standard error) as `observe` says, and so do
    Python's warnings.

    Loggers named `setwise...` write from `observe.log_level` on, those of libraries from "warning" on at the least.
    Named values come with `log.info("...", extra={"fields": {...}})`; each line written while a call is answered
    carries its request id.
    """
    level = logging.getLevelNamesMapping()[observe.log_level.upper()]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if observe.log_format == "json" else TextFormatter())
    root, ours = logging.getLogger(), logging.getLogger("setwise")
    levels = [(root, root.level, max(level, logging.WARNING)), (ours, ours.level, level)]
    root.addHandler(handler)
    logging.captureWarnings(True)
    for logger, _, now in levels:
        logger.setLevel(now)
    try:
        yield
    finally:
        for logger, before, _ in levels:
            logger.setLevel(before)
        logging.captureWarnings(False)
        root.removeHandler(handler)


class JsonFormatter(logging.Formatter):
    """One object a line: time, level, logger, message, the named values, and `exception` with its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told, separators=(",", ":"), default=str)


class TextFormatter(logging.Formatter):
    """Time, level, logger, message, then `name=value` for the named values; below it the traceback, if any.

    Control characters of callers' text are written as escapes: nobody can forge a line.
    """

    def format(self, record: logging.LogRecord) -> str:
        values = " ".join(f"{name}={value}" for name, value in _flat(_fields(record)))
        message = record.getMessage().translate(_CONTROL)
        line = f"{_time(record)} {record.levelname} {record.name} {message} {values}".rstrip()
        if record.exc_info:
            trace = self.formatException(record.exc_info).split("\n")
            line = "\n  ".join((line, *(each.translate(_CONTROL) for each in trace)))
        return line


def _time(record: logging.LogRecord) -> str:
    """ISO 8601, UTC, milliseconds."""
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.created % 1 * 1000):03}Z"


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    given: Mapping[str, Any] = getattr(record, "fields", {})
    visit = VISIT.get(None)
    return dict(given) if visit is None else {"request_id": visit.request_id, **given}


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Values within values as `outer.inner`; text with spaces or quotes in quotes."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            text = str(value)
            plain = text.isprintable() and not set(text) & set(' "=\\') and text
            yield above + name, text if plain else json.dumps(text)
