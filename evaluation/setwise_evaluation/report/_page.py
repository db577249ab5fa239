"""report.html: every experiment of a folder on one page that needs nothing else."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

from setwise_evaluation.report._parts import Experiment, contents, section
from setwise_evaluation.report._place import RESULTS, write_whole
from setwise_evaluation.report._sheet import SHEET

__all__ = ["ORDER", "find_experiments", "write_page"]

ORDER = ("translation", "retrieval", "probabilities", "matchers", "recall", "rsm")
"""The order of experiments on the page; any other comes after, and several of one kind by their folders' names."""

_INTRODUCTION = (
    "<p>Experiments on how alike images are to a neural network. An image is a set of tokens, the positions of the "
    "network's last map. <em>Spatio-semantic</em> similarity compares tokens at the same position; "
    "<em>semantic</em> similarity first finds the one-to-one matching of tokens with the greatest sum, so that "
    "things count wherever they stand. <em>Pooled</em> similarity compares the mean tokens, and <em>MaxSim</em> "
    "and <em>Chamfer</em> let every token take its best partner, however often that one is taken.</p>\n"
    "<p>Figures in square brackets are 95&nbsp;% intervals. Method: Wald et al., “Decoupling Semantic Similarity "
    "from Spatial Alignment for Neural Networks”, NeurIPS 2024.</p>"
)

PAGE = "report.html"


def write_page(folder: Path) -> Path:
    """Make `folder`/report.html from every experiment in `folder`, and return its path.

    One file: style, figures and all. Its bytes depend only on the experiments' results.json and figures; times of
    runs are in the experiments' timings.json.
    """
    experiments = find_experiments(folder)
    path = folder / PAGE
    write_whole(path, _page(experiments).encode())
    return path


def find_experiments(folder: Path) -> list[Experiment]:
    """The experiments whose folders lie in `folder`, in the page's order."""
    found = []
    for path in sorted(folder.glob(f"*/{RESULTS}")):
        if path.parent.name.startswith("."):
            continue
        says: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if "report" in says:
            found.append(Experiment(path.parent, says))
    return sorted(found, key=lambda experiment: (_place(experiment.says["experiment"]), experiment.folder.name))


def _place(name: str) -> tuple[int, str]:
    return (ORDER.index(name) if name in ORDER else len(ORDER), name)


def _page(experiments: list[Experiment]) -> str:
    body = "\n".join(section(experiment) for experiment in experiments) or "<p>No experiment has been run yet.</p>"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape("Setwise: what was measured")}</title>
<style>
{SHEET}</style>
</head>
<body>
<a class="skip" href="#main">To the text</a>
<header>
<h1>What was measured</h1>
{_INTRODUCTION}
{contents(experiments)}
</header>
<main id="main">
{body}
</main>
</body>
</html>
"""
