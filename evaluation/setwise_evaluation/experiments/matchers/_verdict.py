"""From which size on an approximation pays, said by the numbers that were measured."""

from __future__ import annotations

from collections.abc import Sequence

from setwise_evaluation.experiments.matchers._quality import BASELINES, Quality
from setwise_evaluation.experiments.matchers._times import FUSED, LAPX, SCIPY, Cost
from setwise_evaluation.experiments.matchers._variants import EXACT, VARIANTS

__all__ = ["exact_total", "of_the_rsm", "verdict"]

_HALF = 0.5  # of a pair's time: what an approximation must save before we say that it pays
_LITTLE = 0.01  # of the optimum


def exact_total(costs: Sequence[Cost]) -> float:
    """Seconds for one exact pair, the faster way: affinity and solver apart, or both as an RSM does them."""
    return min(one.total for one in costs if one.matcher in (EXACT, FUSED))


def verdict(found: Sequence[Quality], costs: Sequence[Cost]) -> list[str]:
    """Plain sentences: what a pair costs and what is lost in the median, exact against each approximation.

    found, costs: of the same sizes; matchers that are missing in one of them are left out, or their loss is unknown.
    """
    sizes = sorted({one.tokens for one in costs})
    names = [one.name for one in VARIANTS if one.name != EXACT and any(cost.matcher == one.name for cost in costs)]
    losses = {(one.tokens, one.matcher): one.loss for one in found if one.loss is not None}
    return [
        "An approximation is said to pay where a whole pair, affinity included, costs half of an exact one or less.",
        _alone(sizes, costs),
        *(_cheapest(n, _at(costs, n), losses, names) for n in sizes),
        *(_from(name, costs, losses) for name in names),
        _without_much_loss(costs, losses, names),
    ]


def of_the_rsm(found: Sequence[Quality]) -> list[str]:
    """One sentence: how the RSMs of approximations, and of no matching at all, agree with the exact one."""
    names = [one.name for one in BASELINES]
    told = [one for one in found if one.pearson is not None and one.spearman is not None]
    parts = []
    for who, own in [("approximations", [one for one in told if one.matcher not in names])] + [
        (name, [one for one in told if one.matcher == name]) for name in names
    ]:
        if own:
            pearson, spearman = [one.pearson or 0.0 for one in own], [one.spearman or 0.0 for one in own]
            parts.append(f"{who} {_range(pearson)} (Spearman {_range(spearman)})")
    return [f"Pearson correlation of cosine RSMs with the exact one: {'; '.join(parts)}."] if parts else []


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.3f}", f"{max(values):.3f}"
    return low if low == high else f"{low} to {high}"


def _at(costs: Sequence[Cost], tokens: int) -> list[Cost]:
    return [one for one in costs if one.tokens == tokens]


def _alone(sizes: Sequence[int], costs: Sequence[Cost]) -> str:
    """The matching without the affinity, at the smallest and the largest size."""
    parts = []
    for n in dict.fromkeys((sizes[0], sizes[-1])):
        here = {one.matcher: one for one in _at(costs, n)}
        others = [
            f"{name} {_time(here[name].matching)}" for name in ("greedy", "Sinkhorn", SCIPY, LAPX) if name in here
        ]
        parts.append(
            f"at {n} tokens {_time(here[EXACT].matching)} exact ({', '.join(others)}), "
            f"when the affinity takes {_time(here[EXACT].affinity or 0.0)}"
        )
    return f"The matching alone: {'; '.join(parts)}."


def _cheapest(tokens: int, here: Sequence[Cost], losses: dict[tuple[int, str], float], names: Sequence[str]) -> str:
    """The cheapest approximation of one size against exact."""
    exact = {one.matcher: one.total for one in here if one.matcher in (EXACT, FUSED)}
    cheapest = min((one for one in here if one.matcher in names), key=lambda one: one.total)
    return (
        f"{tokens} tokens: the cheapest approximation is {cheapest.matcher}, {_time(cheapest.total)} a pair with its "
        f"affinity, and loses {_share(losses.get((tokens, cheapest.matcher)))} of the optimum; exact takes "
        f"{_time(exact[EXACT])} so, and {_time(exact[FUSED])} as an RSM does it: the approximation is "
        f"{_saved(cheapest.total, exact_total(here))}."
    )


def _from(name: str, costs: Sequence[Cost], losses: dict[tuple[int, str], float]) -> str:
    """From which size on one approximation saves half of the time."""
    totals = {one.tokens: one.total for one in costs if one.matcher == name}
    paying = [n for n in totals if totals[n] <= _HALF * exact_total(_at(costs, n))]
    lasting = [n for n in paying if all(other in paying for other in totals if other > n)]
    if not lasting:
        ratio = {n: total / exact_total(_at(costs, n)) for n, total in totals.items()}
        best = min(ratio, key=lambda n: ratio[n])
        return f"{name} does not pay: at best, at {best} tokens, it is {_saved(ratio[best], 1.0)}."
    first, last = min(lasting), max(totals)
    loss = " to ".join(dict.fromkeys(_share(losses.get((n, name))) for n in (first, last)))
    return f"{name} saves half of a pair's time or more from {first} tokens on, and loses {loss} of the optimum."


def _without_much_loss(costs: Sequence[Cost], losses: dict[tuple[int, str], float], names: Sequence[str]) -> str:
    paying = [
        (one.tokens, one.matcher)
        for one in costs
        if one.matcher in names
        and losses.get((one.tokens, one.matcher), 1.0) <= _LITTLE
        and one.total <= _HALF * exact_total(_at(costs, one.tokens))
    ]
    if not paying:
        return f"Nowhere is half of a pair's time saved and no more than {100 * _LITTLE:.0f} % of the optimum lost."
    cases = ", ".join(f"{name} at {tokens} tokens" for tokens, name in paying)
    return f"Half of a pair's time saved and at most {100 * _LITTLE:.0f} % of the optimum lost: {cases}."


def _saved(seconds: float, exact: float) -> str:
    share = 1.0 - seconds / exact
    if abs(share) < 0.02:
        return "equally fast"
    return f"{100 * share:.0f} % cheaper" if share > 0.0 else f"{-100 * share:.0f} % dearer"


def _share(loss: float | None) -> str:
    return "an unknown share" if loss is None else f"{100 * loss:.2g} %"


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"
