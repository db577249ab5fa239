"""Which setting to use for a wanted recall, and how to set it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from setwise_evaluation.experiments.recall._types import Advice, Choice, Curve

__all__ = ["advise"]

_WORTH = 0.9  # of the present cost: for less than a tenth nobody builds a collection anew


def advise(
    curves: Sequence[Curve], counts: Sequence[int], wanted: float, *, path: Path, own: str, k: int, images: int
) -> Advice:
    """The cheapest setting whose lower end of the interval reaches the wanted recall, or what comes nearest.

    Cheapest by `Choice.nominal_ms`, so that the same study advises the same everywhere; then the collection as it is,
    then the fewest bytes; and the collection as it is, unless another saves a tenth. curves: the present one first.
    own: kind of the collection's coarse vectors.
    """
    choices = [
        Choice(
            curve.setting,
            count,
            curve.recall[place],
            curve.complete[place],
            curve.nominal_ms[place],
            _how(curve, count, path=path, own=own, present=curves[0], k=k),
        )
        for curve in curves
        for place, count in enumerate(counts)
    ]
    reaching = sorted((one for one in choices if one.recall.low >= wanted), key=_cost)
    present = next((one for one in reaching if one.setting.present), None)
    nearest = max(choices, key=lambda one: (one.recall.low, one.recall.value, *(-part for part in _cost(one))))
    if not reaching:
        return Advice(wanted, None, None, nearest, _none_reaches(wanted, nearest, path=path, images=images))
    worth = present is None or reaching[0].nominal_ms <= _WORTH * present.nominal_ms
    cheapest = reaching[0] if worth else present
    assert cheapest is not None
    return Advice(wanted, present, cheapest, nearest, _text(wanted, present, cheapest))


def _cost(choice: Choice) -> tuple[float, bool, float]:
    return choice.nominal_ms, not choice.setting.present, choice.setting.bytes_per_image


def _how(curve: Curve, count: int, *, path: Path, own: str, present: Curve, k: int) -> tuple[str, ...]:
    """The commands, in their order."""
    setting, folder = curve.setting, path.name
    commands = []
    if setting.coarse != own:
        new = f"{path.stem}-{setting.coarse}.setwise"
        commands.append(f"setwise reindex {shlex.quote(folder)} --into {shlex.quote(new)} --coarse {setting.coarse}")
        folder = new
    if setting.coarse != own or setting.index != present.setting.index:
        factory = shlex.quote(setting.index)
        commands.append(f"setwise index SOURCE... --into {shlex.quote(folder)} --index-factory {factory}")
    commands.append(f"setwise search {shlex.quote(folder)} IMAGE -k {k} --candidates {count}")
    return tuple(commands)


def _none_reaches(wanted: float, nearest: Choice, *, path: Path, images: int) -> tuple[str, ...]:
    return (
        f"No setting reaches a recall of {wanted:g} with the lower end of its interval.",
        f"Nearest comes {_described(nearest)}.",
        *_commands(nearest),
        f"A search of all {images} images is exact by definition:",
        f"    setwise search {shlex.quote(path.name)} IMAGE --exhaustive",
    )


def _text(wanted: float, present: Choice | None, cheapest: Choice) -> tuple[str, ...]:
    lines = []
    if present is None:
        lines.append(f"As it is, the collection does not reach a recall of {wanted:g} with these candidate counts.")
    else:
        lines += [f"For a recall of {wanted:g}, as the collection is: {_described(present)}.", *_commands(present)]
    if cheapest is present:
        lines.append("No other setting that was studied costs a tenth less.")
    else:
        lines += [f"Cheapest of all that reach it: {_described(cheapest)}.", *_commands(cheapest)]
    return tuple(lines)


def _described(choice: Choice) -> str:
    """Setting, recall with its interval, and cost."""
    return (
        f"{choice.candidates} candidates by {choice.setting.coarse}, {choice.setting.index}: "
        f"recall {choice.recall:.3f}, everything found for {choice.complete.value:.0%} of the queries, "
        f"{choice.nominal_ms:.1f} nominal ms"
    )


def _commands(choice: Choice) -> list[str]:
    return [f"    {command}" for command in choice.how]
