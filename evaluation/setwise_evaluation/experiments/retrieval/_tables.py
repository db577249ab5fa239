"""The study as tables and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from setwise_evaluation.experiments.retrieval._similarities import sigma_of
from setwise_evaluation.experiments.retrieval._types import APART, Case, Reading, Retrieval

if TYPE_CHECKING:
    from setwise_evaluation.report import Output
    from setwise_evaluation.rsm import Rsm

__all__ = ["main_measures", "name_of", "write_case"]

_NAMES = {"maxsim": "MaxSim, query's tokens", "maxsim-image": "MaxSim, image's tokens", "chamfer": "Chamfer"}
_KERNELS = {"inner_product": "inner product"}


def name_of(reading: Reading) -> tuple[str, str]:
    """Similarity and kernel as people read them."""
    return _NAMES.get(reading.similarity, reading.similarity), _KERNELS.get(reading.kernel, reading.kernel)


def main_measures(study: Retrieval) -> list[str]:
    """The measures that the report shows; all others are in results.json."""
    wanted = [f"F1@{k}" for k in study.ks[:3]] + [f"P@{study.ks[min(1, len(study.ks) - 1)]}", f"R@{study.ks[-1]}"]
    wanted += ["AP", "graded AP"]
    wanted += ["same@1", APART] if APART in study.measures else []
    return [name for name in dict.fromkeys(wanted) if name in study.measures]


def write_case(output: Output, slug: str, case: Case, study: Retrieval, sums: Mapping[str, Rsm]) -> None:
    """The tables of one case: what it shows, what it keeps, and every number in results.json."""
    shown = main_measures(study)
    header = ["similarity", "kernel", *shown]
    rows = [[*name_of(reading), *(found[name] for name in shown)] for reading, found in study.estimates.items()]
    rows.append(["by chance", "", *(study.chance.get(name) for name in shown)])
    output.table(f"{slug}-scores", header=header, rows=rows, caption=f"{slug}: means over queries, 95 % intervals.")
    ahead = [[*name_of(reading), *(found[name] for name in shown)] for reading, found in study.ahead.items()]
    caption = f"{slug}: semantic minus the other in the same kernel, paired by query, 95 % intervals."
    output.table(f"{slug}-ahead", header=header, rows=ahead, caption=caption)
    output.table(f"{slug}-per-query", header=_header(study), rows=_per_query(study), caption="", in_report=False)
    output.result(slug, _numbers(case, study, sums))


def _header(study: Retrieval) -> list[str]:
    return ["query", "similarity", "kernel", "first hit", *study.measures]


def _per_query(study: Retrieval) -> Sequence[Sequence[Any]]:
    return [
        [query, *reading, study.first[reading][row], *(measures[name][row] for name in study.measures)]
        for reading, measures in study.per_query.items()
        for row, query in enumerate(study.query_ids)
    ]


def _numbers(case: Case, study: Retrieval, sums: Mapping[str, Rsm]) -> dict[str, Any]:
    def by_name(found: Mapping[Reading, Any]) -> dict[str, Any]:
        return {", ".join(reading): value for reading, value in found.items()}

    return {
        "images": study.images,
        "queries": len(study.query_ids),
        "labels": case.kind,
        "numbers of labels matter": case.counted,
        "leave one out": case.leave_one_out,
        "estimates": by_name(study.estimates),
        "semantic minus": by_name(study.ahead),
        "chance": study.chance,
        "rbf sigma": {name: sigma_of(matrix) for name, matrix in sums.items()},
    }
