"""No setting is forgotten: each can be given in a file, a variable and a flag, and is told and explained."""

from __future__ import annotations

import argparse
import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from setwise_server.settings import Offer, ServerSettings, add_flags, given, load
from setwise_server.settings._load import OTHER_VARIABLES
from setwise_server.settings._table import SECTIONS, SETTINGS, Setting

ROOT = Path(__file__).resolve().parents[3]


def fields() -> list[str]:
    """The keys of all fields, found without the table."""
    top = [field.name for field in dataclasses.fields(ServerSettings)]
    inner = [f"{section}.{field.name}" for section, of in SECTIONS.items() for field in dataclasses.fields(of)]
    return [key for key in top if key not in SECTIONS] + inner


def another(setting: Setting) -> tuple[str, Any]:
    """A text that is not the default, and the value it stands for."""
    if setting.knob.choices:
        text = next(choice for choice in setting.knob.choices if choice != setting.default)
        return text, text
    match setting.default:
        case bool():
            return str(not setting.default).lower(), not setting.default
        case int() | float():
            return str(setting.default + 1), setting.default + 1
        case (Offer(), *_):
            return "other@64", (Offer("other", 64),)
        case ():
            return "m=/file", (("m", "/file"),)
    return by_kind(setting)


def by_kind(setting: Setting) -> tuple[str, Any]:
    match setting.kind.noun:
        case "a path":
            return "/some/where", Path("/some/where")
        case "a text":
            return "some.where:1", "some.where:1"
    return "7", 7


def test_every_field_is_in_the_table() -> None:
    assert sorted(SETTINGS) == sorted(fields())


def test_names_are_given_once() -> None:
    for names in ([s.flag for s in SETTINGS.values()], [s.variable for s in SETTINGS.values()]):
        assert len(set(names)) == len(names)
    assert not OTHER_VARIABLES & {setting.variable for setting in SETTINGS.values()}


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=lambda setting: setting.key)
def test_a_setting_is_explained(setting: Setting) -> None:
    assert 3 < len(setting.knob.help) < 90
    assert setting.knob.help[-1] not in ".;"
    if setting.default is None:
        assert setting.optional


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=lambda setting: setting.key)
def test_a_setting_is_reached_by_variable_flag_and_file(setting: Setting, tmp_path: Path) -> None:
    text, value = another(setting)
    by_variable = load(None, {setting.variable: text})
    assert by_variable.value(setting) == value != setting.default
    assert by_variable.origins[setting.key] == f"environment {setting.variable}"

    file = tmp_path / "a.toml"
    file.write_text(f"{setting.key} = {setting.write(value)}")  # a dotted key is a key of a table
    by_file = load(file)
    assert by_file.value(setting) == value
    assert by_file.origins[setting.key] == f"file {file}"

    by_flag = load(None, {}, given(parsed(*flag(setting, text))))
    assert by_flag.value(setting) == value
    assert by_flag.origins[setting.key] == f"flag {setting.flag}"
    assert by_variable.settings == by_file.settings == by_flag.settings


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return parser.parse_args(words)


def flag(setting: Setting, text: str) -> list[str]:
    if isinstance(setting.default, bool):
        return [setting.flag if text == "true" else f"--no-{setting.flag.removeprefix('--')}"]
    return [setting.flag, text]


@pytest.mark.parametrize(
    ("setting", "word"),
    [(s, s.knob.absent) for s in SETTINGS.values() if s.optional],
    ids=lambda value: value.key if isinstance(value, Setting) else value,
)
def test_absence_can_be_said_by_variable_and_flag(setting: Setting, word: str) -> None:
    assert load(None, {setting.variable: word}).value(setting) is None
    assert load(None, {}, given(parsed(setting.flag, word))).value(setting) is None


def test_our_other_variables_are_known_and_so_not_refused() -> None:
    """A server may run where variables of the client and of the engine are set."""
    named = {
        name
        for folder in ("client/setwise", "engine/setwise_engine", "indexer/setwise_indexer")
        for path in (ROOT / folder).rglob("*.py")
        for name in re.findall(r"\bSETWISE_[A-Z_]+\b", path.read_text(encoding="utf-8"))
    }
    assert {"SETWISE_API_KEY", "SETWISE_KERNEL"} <= named <= OTHER_VARIABLES | {s.variable for s in SETTINGS.values()}
