"""`setwise serve --print-config`: what is in force, where it comes from, and that it can be loaded again."""

from __future__ import annotations

import tomllib
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from setwise._cli import main
from setwise_server.settings import Offer, Security, ServerSettings, as_toml, load
from setwise_server.settings._kinds import quoted
from setwise_server.settings._load import Loaded
from setwise_server.settings._table import SETTINGS

SECRET = "sw_0123456789abcdef"


def printed(capsys, *words: str) -> str:
    assert main(["serve", "--print-config", *words]) == 0
    return capsys.readouterr().out


def test_it_tells_each_value_with_its_origin(capsys, tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "a.toml"
    file.write_text("[limits]\nmax_k = 7")
    monkeypatch.setenv("SETWISE_GRACE", "3")
    lines = printed(capsys, "--config", str(file), "--port", "0", "--no-maintenance").splitlines()
    assert f"max_k = 7  # file {file}" in lines
    assert "grace = 3.0  # environment SETWISE_GRACE" in lines
    assert "port = 0  # flag --port" in lines
    assert "maintenance = false  # flag --maintenance" in lines
    assert "max_queue = 64  # default" in lines
    assert sum(" = " in line for line in lines) == len(SETTINGS)


def test_what_it_prints_is_loaded_as_it_was_even_from_another_folder(capsys, tmp_path: Path, monkeypatch) -> None:
    words = ["--root", "here", "--weights", "a=b,c.pth", "--weights", "d=/e", "--model", "x@64", "--keys", "k.toml"]
    file = tmp_path / "out.toml"
    file.write_text(printed(capsys, *words, "--anonymous", "none", "--slow-ms", "none", "--traces", "h:1"))
    elsewhere = tmp_path / "else"
    elsewhere.mkdir()
    here = Path.cwd()
    monkeypatch.chdir(elsewhere)
    settings = load(file).settings
    assert settings.root == here / "here"
    assert settings.security == Security(keys=here / "k.toml", anonymous="none")
    assert settings.weights == (("a", str(here / "b,c.pth")), ("d", "/e"))
    assert settings.models == (Offer("x", 64),)
    assert (settings.observe.slow_ms, settings.observe.traces) == (None, "h:1")
    assert as_toml(load(file)).replace(f"file {file}", "") == as_toml(load(file)).replace(f"file {file}", "")


def test_no_secret_is_printed(capsys, tmp_path: Path, monkeypatch) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text(f'# {SECRET}\n[[key]]\nname = "a"\nsha256 = "{SECRET}"')
    monkeypatch.setenv("SETWISE_API_KEY", SECRET)
    out = printed(capsys, "--keys", str(keys))
    assert f'keys = "{keys}"  # flag --keys' in out
    assert SECRET not in out


def test_a_wrong_value_is_refused_by_it_too(capsys) -> None:
    assert main(["serve", "--print-config", "--port", "70000"]) == 1
    assert "--port is 70000" in capsys.readouterr().err


@settings(deadline=None)  # of a busy machine nothing is learnt
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
@example('\x7f\n"\\\x00')
def test_any_text_is_written_as_toml(text: str) -> None:
    assert tomllib.loads(f"a = {quoted(text)}") == {"a": text}


@settings(deadline=None)  # of a busy machine nothing is learnt
@given(st.text(st.characters(exclude_categories=["Cs"])))
@example("file a\nport = 1")
def test_no_name_of_a_file_breaks_out_of_its_comment(name: str) -> None:
    loaded = Loaded(ServerSettings(), dict.fromkeys(SETTINGS, f"file {name}"))
    table = tomllib.loads(as_toml(loaded))
    assert (len(table), table["port"]) == (sum("." not in key for key in SETTINGS) + 3, 50051)
