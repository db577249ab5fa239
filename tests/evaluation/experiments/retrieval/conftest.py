"""Eighteen small pictures of six colours with labels: a folder that stands for anybody's data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image

COLOURS = {"red": 0, "green": 1, "blue": 2}


@pytest.fixture(scope="session")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pictures/, more/ (queries), labels.jsonl of both, and weights of timm's smallest network."""
    folder = tmp_path_factory.mktemp("given")
    lines = []
    for number in range(18):
        name = list(COLOURS)[number % 3]
        place = ("pictures" if number < 12 else "more") + f"/{number:02}.png"
        (folder / place).parent.mkdir(exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 90, (4, 4, 3), dtype=np.uint8)
        pixels[..., COLOURS[name]] += 150
        Image.fromarray(pixels).resize((64, 64)).save(folder / place)
        lines.append({"path": place, "labels": [name] * (1 + number // 3 % 2)})
    (folder / "labels.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    torch.manual_seed(0)
    torch.save(timm.create_model("test_resnet", pretrained=False).state_dict(), folder / "weights.pth")
    return folder
