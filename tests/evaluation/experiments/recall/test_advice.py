"""Which setting is advised, and with which commands."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np

from setwise.commands import search
from setwise_evaluation.experiments.recall import Advice, Curve, Setting
from setwise_evaluation.experiments.recall._advice import advise
from setwise_evaluation.retrieval import Estimate
from setwise_indexer.commands import index, reindex

COUNTS = (10, 100)


def curve(
    coarse: str, index: str, lows: tuple[float, float], cost: tuple[float, float], *, present: bool = False
) -> Curve:
    recall = tuple(Estimate((low + 1) / 2, low, 1.0) for low in lows)
    setting = Setting(coarse, index, present, 256, 1000.0)
    return Curve(setting, np.zeros((1, 2), np.int64), recall, lows, recall, cost, 0.1)


def asked(curves: list[Curve], wanted: float) -> Advice:
    return advise(curves, COUNTS, wanted, path=Path("/data/my photos.setwise"), own="mean", k=10, images=1000)


def test_the_fewest_candidates_of_the_collection_as_it_is() -> None:
    advice = asked([curve("mean", "Flat", (0.9, 1.0), (1.0, 5.0), present=True)], 0.9)
    assert advice.present is advice.cheapest
    assert advice.present is not None
    assert advice.present.candidates == 10
    assert advice.present.how == ("setwise search 'my photos.setwise' IMAGE -k 10 --candidates 10",)
    assert advice.text[-1] == "No other setting that was studied costs a tenth less."


def test_another_setting_only_where_it_saves_a_tenth() -> None:
    present = curve("mean", "Flat", (0.5, 1.0), (1.0, 5.0), present=True)
    assert asked([present, curve("mean", "SQ8", (0.5, 1.0), (1.0, 4.6))], 0.9).cheapest == asked([present], 0.9).present
    cheaper = asked([present, curve("mean", "IVF64,SQ8", (0.5, 0.9), (1.0, 4.4))], 0.9)
    assert cheaper.cheapest is not None
    assert cheaper.cheapest.how == (
        "setwise index SOURCE... --into 'my photos.setwise' --index-factory IVF64,SQ8",
        "setwise search 'my photos.setwise' IMAGE -k 10 --candidates 100",
    )
    assert any(line.startswith("For a recall of 0.9, as the collection is: 100") for line in cheaper.text)


def test_another_coarse_vector_takes_a_new_collection() -> None:
    present = curve("mean", "Flat", (0.5, 0.6), (1.0, 5.0), present=True)
    advice = asked([present, curve("sqrtcov64", "SQ8", (0.6, 0.95), (2.0, 9.0))], 0.9)
    assert advice.present is None
    assert advice.cheapest is not None
    assert advice.cheapest.how == (
        "setwise reindex 'my photos.setwise' --into 'my photos-sqrtcov64.setwise' --coarse sqrtcov64",
        "setwise index SOURCE... --into 'my photos-sqrtcov64.setwise' --index-factory SQ8",
        "setwise search 'my photos-sqrtcov64.setwise' IMAGE -k 10 --candidates 100",
    )
    assert advice.text[0] == "As it is, the collection does not reach a recall of 0.9 with these candidate counts."


def test_where_none_reaches_it_the_nearest_is_named_and_the_exhaustive_search() -> None:
    advice = asked([curve("mean", "Flat", (0.5, 0.8), (1.0, 5.0), present=True)], 0.9)
    assert (advice.present, advice.cheapest, advice.nearest.candidates) == (None, None, 100)
    assert advice.text[0] == "No setting reaches a recall of 0.9 with the lower end of its interval."
    assert advice.text[-1] == "    setwise search 'my photos.setwise' IMAGE --exhaustive"


def test_of_equal_lower_ends_the_higher_recall_is_the_nearest() -> None:
    """With few queries intervals end alike: the cheaper setting found less."""
    cheap, dear = (
        curve("mean", index, (0.1, 0.5), cost) for index, cost in (("SQ8", (0.5, 1.0)), ("Flat", (1.0, 5.0)))
    )
    better = replace(dear, recall=(dear.recall[0], Estimate(0.875, 0.5, 1.0)))
    assert (
        asked([replace(cheap, setting=replace(cheap.setting, present=True)), better], 0.9).nearest.setting.index
        == "Flat"
    )


def test_every_command_that_is_advised_is_one_that_runs() -> None:
    present = curve("mean", "Flat", (0.5, 0.6), (1.0, 5.0), present=True)
    advice = asked([present, curve("sqrtcov64", "IVF64,SQ8", (0.6, 0.95), (2.0, 9.0))], 0.9)
    assert advice.cheapest is not None
    modules = {"reindex": reindex, "index": index, "search": search}
    for command in advice.cheapest.how:
        program, name, *words = shlex.split(command)
        parser = argparse.ArgumentParser(allow_abbrev=False)
        modules[name].configure(parser)
        args = parser.parse_args(words)
        assert program == "setwise"
    assert args.candidates == 100
    exhaustive = asked([present], 0.9).text[-1].split("IMAGE")[1].strip()
    search.configure(parser := argparse.ArgumentParser(allow_abbrev=False))
    assert parser.parse_args(["here", "image.jpg", exhaustive]).exhaustive
