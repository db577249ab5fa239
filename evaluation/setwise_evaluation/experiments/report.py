"""The report made anew from what lies in a folder of experiments."""

from __future__ import annotations

import argparse

__all__ = ["HELP", "configure", "run"]

HELP = "make DIR/report.html anew from the experiments in DIR"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments: none but --out."""


def run(args: argparse.Namespace) -> int:
    """Gather the experiments in `args.out` and print where the report is. Returns 0; NotFound without any."""
    from setwise_engine.errors import NotFound
    from setwise_evaluation.report import find_experiments, write_page

    if not find_experiments(args.out):
        raise NotFound(f"no experiment lies in {args.out}; run one with --out {args.out}", field="--out")
    print(write_page(args.out))
    return 0
