"""The example of a file of settings, the container file and the compose file say what a server understands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from setwise_engine.errors import InvalidInput, NotFound
from setwise_server import ServerSettings
from setwise_server.security import Access, Guard
from setwise_server.settings import load
from setwise_server.settings._load import OTHER_VARIABLES
from setwise_server.settings._table import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "setwise.toml"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = (ROOT / "compose.yaml").read_text(encoding="utf-8")


def test_the_example_changes_nothing() -> None:
    assert load(EXAMPLE).settings == ServerSettings()


def test_the_example_names_every_setting_with_its_default(tmp_path: Path) -> None:
    file = tmp_path / "all.toml"
    file.write_text(re.sub(r"(?m)^#(?=\w+ =)", "", EXAMPLE.read_text(encoding="utf-8")))
    loaded, default = load(file), load()
    assert [key for key, origin in loaded.origins.items() if origin == "default"] == []
    differing = [s.key for s in SETTINGS.values() if loaded.value(s) != default.value(s)]
    assert set(differing) <= {"workers"}  # whose default is the machine's


@pytest.mark.parametrize("text", [DOCKERFILE, COMPOSE], ids=["Dockerfile", "compose.yaml"])
def test_variables_are_settings(text: str) -> None:
    named = set(re.findall(r"\bSETWISE_[A-Z0-9_]+", text))
    assert named
    assert named <= {setting.variable for setting in SETTINGS.values()} | OTHER_VARIABLES


def test_what_the_container_says_can_be_read() -> None:
    said = re.search(r"^ENV (.+)$", DOCKERFILE, re.MULTILINE)
    assert said is not None
    settings = load(None, dict(pair.split("=") for pair in said[1].split())).settings
    assert (settings.root, settings.host) == (Path("/collections"), "0.0.0.0")


def composed(keys: Path | str, anonymous: str = "") -> ServerSettings:
    """What a server of the compose file is told, its variables as given."""
    block = COMPOSE.partition("environment:")[2].partition("volumes:")[0]
    variables = dict(re.findall(r"^ +(SETWISE_\w+): (.+)$", block, re.MULTILINE))
    variables |= {"SETWISE_CONFIG": "", "SETWISE_SECURITY_KEYS": str(keys), "SETWISE_SECURITY_ANONYMOUS": anonymous}
    return load(
        None, {"SETWISE_HOST": "0.0.0.0", **{name: text.strip('"') for name, text in variables.items()}}
    ).settings


def test_the_compose_file_lets_nobody_in_who_has_no_key(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="setwise key new"):
        Guard(composed(tmp_path / "keys.toml"))
    with pytest.raises(InvalidInput, match="nobody could be let in"):
        Guard(composed(""))


def test_the_compose_file_lets_everybody_in_when_it_is_told_to() -> None:
    settings = composed("", "admin")
    assert settings.observe.log_format == "json"
    assert Guard(settings).identify({}, {}).access is Access.ADMIN


def test_operations_name_metrics_and_settings_that_are_there() -> None:
    operations, metrics = (
        (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("operations.md", "metrics.md")
    )
    for name in re.findall(r"\bsetwise_[a-z_]+[a-z]\b", operations):
        assert f"`{name}" in metrics, name
    names = {setting.name for setting in SETTINGS.values()}
    named = set(re.findall(r"`((?:max|commit|decode|cache|metrics|region|maintenance)_[a-z_]+)", operations))
    assert len(named) > 5
    assert named <= names
