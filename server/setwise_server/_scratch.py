"""An empty collection of the default network, for pictures that are compared outside any collection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from setwise_engine.collection import Collection, Settings
from setwise_engine.encoder import default_encoder
from setwise_engine.errors import Unavailable
from setwise_engine.features import load_extractor

__all__ = ["scratch_collection"]


@contextmanager
def scratch_collection() -> Iterator[Path]:
    """The directory of an empty collection with the default network, its shipped encoder and that encoder's sigma.

    It is removed at the end. Raises Unavailable when the network's weights or its encoder are not here.
    """
    info = load_extractor().info
    encoder = default_encoder(info)
    if encoder is None:
        raise Unavailable(f"no encoder is shipped for {info.fingerprint}; name a collection with --target")
    settings = Settings(info.name, info.image_size, info.fingerprint, encoder.dims, encoder.fingerprint)
    with TemporaryDirectory(prefix="setwise-") as folder:
        path = Path(folder) / "default.setwise"
        Collection.create(path, settings, encoder).close()
        yield path
