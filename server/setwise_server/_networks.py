"""The networks that a server holds: loaded at the first use, each once, shared by fingerprint."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from setwise_engine.errors import Incompatible, NotFound
from setwise_engine.features import DecodeLimits, Extractor, ModelInfo, check_model, load_extractor
from setwise_engine.featurizer import Featurizer
from setwise_server._entry import Entry
from setwise_server._meters import Meters
from setwise_server.settings import USUAL_MODELS, ServerSettings

__all__ = ["ImageEncoder", "Network", "Networks"]


@dataclass(frozen=True, slots=True)
class Network:
    """A network. `lock` admits one forward pass at a time."""

    extractor: Extractor
    lock: threading.Lock


@dataclass(frozen=True, slots=True)
class ImageEncoder:
    """Turns images into sets of one collection. `lock` admits one forward pass of the network at a time."""

    featurizer: Featurizer
    lock: threading.Lock


class Networks:
    """Networks by fingerprint, and what turns images into sets of each collection. Thread-safe. meters: what they have
    done."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        limits = settings.limits
        self.decode = DecodeLimits(max_bytes=limits.max_image_bytes, max_pixels=limits.max_image_pixels)
        self.meters = Meters()
        self._lock = threading.Lock()
        self._networks: dict[str, Network] = {}
        self._offered: dict[str, str] = {}
        self._encoders: WeakKeyDictionary[Entry, ImageEncoder] = WeakKeyDictionary()

    def encoder_of(self, entry: Entry) -> ImageEncoder:
        """What turns images into sets of this collection; loads its network if no call did yet.

        Raises Incompatible for a collection of ready-made sets, Unavailable when the weights are not here.
        """
        wanted = entry.collection.settings
        if not wanted.model:
            raise Incompatible(
                f'collection "{entry.name}" holds ready-made feature sets, made by no network of this server; '
                "give a feature set or a stored id"
            )
        with self._lock:
            encoder = self._encoders.get(entry)
            if encoder is None:
                network = self._networks.get(wanted.model_fingerprint) or self._load(wanted.model, wanted.image_size)
                featurizer = Featurizer(network.extractor, entry.collection.encoder, limits=self.decode)
                encoder = self._encoders[entry] = ImageEncoder(featurizer, network.lock)
                self._networks[wanted.model_fingerprint] = network
            return encoder

    @property
    def default(self) -> str:
        """What new collections are made with when nothing else is asked for."""
        return str(self._settings.models[0])

    def offered(self, name: str) -> Network:
        """One of the networks that new collections may be made with; loads it if no call did yet.

        Raises NotFound for any other name, Unavailable when the weights are not here.
        """
        offers = self._settings.models
        offer = next((each for each in offers if str(each) == name), None)
        if offer is None:
            known = ", ".join(map(str, offers))
            raise NotFound(f'this server offers no model "{name}"; choose one of {known}', field="model")
        with self._lock:
            fingerprint = self._offered.get(str(offer))
            if fingerprint is None:
                network = self._load(offer.name, offer.image_size)
                fingerprint = self._offered[str(offer)] = network.extractor.info.fingerprint
                self._networks.setdefault(fingerprint, network)
            return self._networks[fingerprint]

    def check_offers(self) -> None:
        """Raises NotFound when a network that was offered on purpose does not exist; nothing is loaded."""
        if self._settings.models != USUAL_MODELS:
            for offer in self._settings.models:
                check_model(offer.name)

    def infos(self) -> list[ModelInfo]:
        """The networks loaded so far, by fingerprint."""
        with self._lock:
            return [network.extractor.info for _, network in sorted(self._networks.items())]

    def _load(self, model: str, image_size: int | None) -> Network:
        if self._settings.threads is not None:
            import torch  # seconds of import that a server of ready-made sets, or a search by id, need not wait for

            torch.set_num_threads(self._settings.threads)
        weights = dict(self._settings.weights).get(model)
        extractor = load_extractor(model, image_size=image_size, weights=weights, device=self._settings.device)
        return Network(extractor, threading.Lock())
