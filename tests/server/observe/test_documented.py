"""docs/metrics.md says what a server tells: every name, and none that is not there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from setwise_server import ServerSettings
from setwise_server._holdings import Holdings
from setwise_server._pools import Pools
from setwise_server._record import COUNTS, STAGES
from setwise_server.observe._exporter import Exporter

FOLDER = Path(__file__).parents[3] / "docs"
DOCS = (FOLDER / "metrics.md").read_text("utf-8")
PARTS = re.compile(r"_(bucket|sum|count)$")


@pytest.fixture(scope="module")
def names(sets_path: Path) -> set[str]:
    """Names of all metrics of ours of a server that has loaded its collections."""
    settings = ServerSettings(maintenance=False)
    exporter, holdings = Exporter("127.0.0.1", 0), Holdings([sets_path], settings)
    exporter.state.pools, exporter.state.holdings = Pools(settings), holdings
    told = {
        family.name + ("_total" if family.type == "counter" else "_info" if family.type == "info" else "")
        for family in exporter.registry.collect()
    }
    holdings.close()
    return {name for name in told if name.startswith("setwise_")}


def test_every_metric_is_described(names: set[str]) -> None:
    described = set(re.findall(r"^\| (.*?) \|", DOCS, re.MULTILINE))
    assert names == {name for cell in described for name in re.findall(r"`(setwise_\w+)`", cell)}


def test_every_metric_that_is_asked_for_exists(names: set[str]) -> None:
    assert {PARTS.sub("", name) for name in re.findall(r"setwise_[a-z_]+", DOCS)} <= names


def test_the_dashboard_asks_for_metrics_that_exist(names: set[str]) -> None:
    panels = json.loads((FOLDER / "grafana.json").read_text("utf-8"))["panels"]
    asked = [target["expr"] for panel in panels for target in panel["targets"]]
    assert len(asked) >= len(panels)
    assert {PARTS.sub("", name) for expr in asked for name in re.findall(r"setwise_[a-z_]+", expr)} <= names


def test_every_stage_and_count_is_described() -> None:
    assert [name for name in STAGES if f"`{name}` (" not in DOCS] == []
    assert [name for name in COUNTS if f"`setwise.{name}`" not in DOCS] == []
