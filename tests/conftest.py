"""What every room's tests share: the shipped photos, and the default model and encoder, loaded once."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest
import scipy.optimize  # noqa: F401  # the reference loads it when it first needs it, too slowly for a test with a deadline

from setwise_engine.encoder import Encoder, default_encoder
from setwise_engine.features import Extractor, load_extractor


@pytest.fixture(scope="session")
def photos() -> list[Path]:
    """The ten photos of the demo, in the order of their names."""
    folder = Path(str(resources.files("setwise") / "_demo" / "photos"))
    found = sorted(folder.glob("*.jpg"))
    assert len(found) == 10
    return found


@pytest.fixture(scope="session")
def extractor() -> Extractor:
    """The default network with its packaged weights."""
    return load_extractor(device="cpu")


@pytest.fixture(scope="session")
def encoder(extractor: Extractor) -> Encoder:
    """The encoder shipped for the default network."""
    shipped = default_encoder(extractor.info)
    assert shipped is not None
    return shipped
