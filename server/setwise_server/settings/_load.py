"""Settings from a TOML file, the environment and flags: what comes later in this row wins."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from setwise_engine.errors import InvalidInput
from setwise_server.settings._advice import LINK_ADVICE, is_service_link, nearest, short
from setwise_server.settings._server import ServerSettings
from setwise_server.settings._table import SECTIONS, SETTINGS, Setting, WrongError

__all__ = ["OTHER_VARIABLES", "Loaded", "load"]

CONFIG = "SETWISE_CONFIG"
CLIENT_VARIABLES = ("API_KEY", "API_KEY_FILE", "TLS", "CA", "CERTIFICATE", "CERTIFICATE_KEY")
OTHER_VARIABLES = frozenset(f"SETWISE_{name}" for name in ("CONFIG", "KERNEL", *CLIENT_VARIABLES))
"""Variables with our prefix that are no settings of a server."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and for each key where its value comes from: "default", or file, environment or flag and its name."""

    settings: ServerSettings
    origins: Mapping[str, str]

    def value(self, setting: Setting) -> Any:
        """The value of one setting."""
        holder = getattr(self.settings, setting.section) if setting.section else self.settings
        return getattr(holder, setting.name)


def load(
    file: str | Path | None = None, environment: Mapping[str, str] | None = None, flags: Mapping[str, Any] | None = None
) -> Loaded:
    """The settings of a server.

    file: TOML; without one, the one that SETWISE_CONFIG names. flags: values by key, as `given` finds them.
    Raises InvalidInput for a key or variable that is unknown and for a value that is wrong, naming where it stands.
    """
    environment = environment or {}
    values: dict[str, tuple[Any, str]] = {}
    if file or environment.get(CONFIG):
        values.update(_from_file(Path(file or environment[CONFIG])))
    values.update(_from_environment(environment))
    for key, value in (flags or {}).items():
        setting = SETTINGS[key]
        values[key] = (_held(setting, value), f"flag {setting.flag}")
    return _built(values)


def _held(setting: Setting, value: Any) -> Any:
    if not setting.knob.holds(value):
        raise _wrong(setting.flag, value, setting, setting.flag)
    return value


def _built(values: Mapping[str, tuple[Any, str]]) -> Loaded:
    parts: dict[str, dict[str, Any]] = {section: {} for section in ("", *SECTIONS)}
    for key, (value, _) in values.items():
        parts[SETTINGS[key].section][SETTINGS[key].name] = value
    sections = {section: of(**parts[section]) for section, of in SECTIONS.items()}
    origins = {key: values[key][1] if key in values else "default" for key in SETTINGS}
    return Loaded(ServerSettings(**parts[""], **sections), origins)


def _from_file(file: Path) -> Iterator[tuple[str, tuple[Any, str]]]:
    for key, value in _flat(_parsed(file), file):
        setting = SETTINGS[key]
        try:
            yield key, (setting.take(value, file.absolute().parent), f"file {file}")
        except WrongError:
            raise _wrong(f"{file}: {key}", value, setting, key) from None


def _parsed(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"{file}: the settings cannot be read: {error.strerror}", field="--config") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{file} is not TOML: {error}", field="--config") from error


def _flat(table: Mapping[str, Any], file: Path) -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if name in SECTIONS:
            if not isinstance(value, dict):
                raise InvalidInput(f"{file}: {name} must be a table: write [{name}] above its settings", field=name)
            for inner, member in value.items():
                yield _known(f"{name}.{inner}", file), member
        elif isinstance(value, dict) and name not in SETTINGS:
            advice = nearest(name, SECTIONS, f"there are {', '.join(SECTIONS)}")
            raise InvalidInput(f"{file}: there is no section {short(name)}; {advice}", field=name)
        else:
            yield _known(f'"{name}"' if "." in name else name, file), value  # "limits.max_k" = 1 is no key of [limits]


def _known(key: str, file: Path) -> str:
    if key not in SETTINGS:
        advice = nearest(key, [*SETTINGS, *SECTIONS], "`setwise serve --print-config` lists all")
        raise InvalidInput(f"{file}: there is no setting {short(key)}; {advice}", field=key)
    return key


def _from_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, tuple[Any, str]]]:
    known = {setting.variable: setting for setting in SETTINGS.values()}
    for name in sorted(environment):
        text = environment[name]
        if not name.startswith("SETWISE_") or name in OTHER_VARIABLES or not text:
            continue
        if name not in known:
            raise _unknown_variable(name, text, known)
        setting = known[name]
        try:
            yield setting.key, (setting.read(text), f"environment {name}")
        except WrongError:
            if is_service_link(name, text):
                raise InvalidInput(f"{name} is {short(text)}; {LINK_ADVICE}", field=name) from None
            raise _wrong(name, text, setting, name) from None


def _unknown_variable(name: str, text: str, known: Iterable[str]) -> InvalidInput:
    if is_service_link(name, text):
        return InvalidInput(f"{name} is no setting; {LINK_ADVICE}", field=name)
    advice = nearest(name, known, "unset it, or see `setwise serve --print-config`")
    return InvalidInput(f"{name} is no setting; {advice}", field=name)  # its value may be a secret


def _wrong(where: str, value: Any, setting: Setting, field: str) -> InvalidInput:
    return InvalidInput(f"{where} is {short(value)}; it must be {setting.must_be()}", field=field)
