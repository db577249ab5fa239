"""A command-line option for every setting."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from setwise_server.settings._table import SECTIONS, SETTINGS, Setting

__all__ = ["add_flags", "given"]

TITLES = {"": "settings", **{section: f"settings, [{section}] in a file" for section in SECTIONS}}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of all settings. Those that were not given leave no trace in the namespace."""
    groups = {section: parser.add_argument_group(title) for section, title in TITLES.items()}
    for setting in SETTINGS.values():
        _add(groups[setting.section], setting)


def given(args: argparse.Namespace) -> dict[str, Any]:
    """The values of the flags that were given, by key: what `load` takes."""
    values = vars(args)
    return {
        key: tuple(values[key]) if setting.kind.many else values[key]
        for key, setting in SETTINGS.items()
        if key in values
    }


def _add(group: argparse._ArgumentGroup, setting: Setting) -> None:
    text = _help(setting).replace("%", "%%")
    if isinstance(setting.default, bool):
        group.add_argument(
            setting.flag,
            dest=setting.key,
            action=argparse.BooleanOptionalAction,
            default=argparse.SUPPRESS,
            help=text,
        )
    else:
        group.add_argument(
            setting.flag,
            dest=setting.key,
            default=argparse.SUPPRESS,
            action="append" if setting.kind.many else "store",
            type=_reader(setting),
            metavar="|".join(setting.knob.choices) or setting.kind.metavar,
            help=text,
        )


def _help(setting: Setting) -> str:
    knob = setting.knob
    default = knob.shown or setting.write(setting.default).strip('"[]{}') or "none"
    return f"{knob.help} (default: {default})"


def _reader(setting: Setting) -> Callable[[str], Any]:
    """Only what cannot be read is argparse's to refuse, as wrong usage; `load` refuses what is out of range."""

    def read(text: str) -> Any:
        if setting.optional and text == setting.knob.absent:
            return None
        try:
            return setting.kind.read(text)
        except (ValueError, OverflowError):
            raise argparse.ArgumentTypeError(f'"{text}" is not {setting.kind.noun}') from None

    return read
