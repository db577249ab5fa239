"""docs/matching.md runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from setwise_engine.matching._paths import available, use

DOC = Path(__file__).parents[2] / "docs" / "matching.md"


@pytest.mark.parametrize("path", available())
def test_every_piece_of_code_runs(path: str) -> None:
    pieces = re.findall(r"```python\n(.*?)```", DOC.read_text("utf-8"), re.DOTALL)
    assert len(pieces) == 5
    names: dict[str, object] = {}
    with use(path):
        exec("\n".join(pieces), names)
    assert names["matching"].kernel_name()  # type: ignore[attr-defined]
