"""The command line of `setwise serve`."""

from __future__ import annotations

import pytest

from setwise._cli import main
from setwise_server.settings._table import SETTINGS


def test_the_help_names_every_flag(capsys) -> None:
    assert main(["serve", "--help"]) == 0
    said = capsys.readouterr().out.split()
    for setting in SETTINGS.values():
        assert setting.flag in {word.rstrip(",") for word in said}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--port", "many"], '--port: "many" is not a whole number'),
        (["--weights", "nonsense"], '--weights: "nonsense" is not MODEL=FILE'),
        (["--model", "x@y"], '--model: "x@y" is not NAME or NAME@PX'),
        (["--prot", "1"], "there is no option --prot; did you mean --port?"),
        (["--max-kk=4"], "there is no option --max-kk; did you mean --max-k?"),
    ],
)
def test_what_cannot_be_read_is_wrong_usage(capsys, words: list[str], said: str) -> None:
    assert main(["serve", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_choice_is_held_like_a_range(capsys) -> None:
    assert main(["serve", "--log-format", "xml"]) == 1
    assert '--log-format is "xml"; it must be one of "text", "json"' in capsys.readouterr().err
