"""The networks that a server holds: loaded at the first use, each once, shared by fingerprint."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from setwise_engine.errors import Incompatible, NotFound
from setwise_engine.features import DecodeBudget, DecodeLimits, Extractor, ModelInfo, check_model, load_extractor
from setwise_engine.featurizer import Featurizer
from setwise_server._batcher import Batcher, Lanes
from setwise_server._cache import SetCache
from setwise_server._cores import cores
from setwise_server._entry import Entry
from setwise_server._meters import Meters
from setwise_server.settings import USUAL_MODELS, ServerSettings

__all__ = ["ImageEncoder", "Network", "Networks", "lanes"]


_MOST_LANES = 16
"""Forward passes at once; each has some 40 MB of activations."""

_CUDA_IMAGES = 32


@dataclass(frozen=True, slots=True)
class Network:
    """A network, and what runs its forward passes."""

    extractor: Extractor
    batcher: Batcher


@dataclass(frozen=True, slots=True)
class ImageEncoder:
    """Turns images into sets of one collection. batcher: runs the network; cache: keeps sets that were asked with."""

    featurizer: Featurizer
    batcher: Batcher
    cache: SetCache


class Networks:
    """Networks by fingerprint, and what turns images into sets of each collection. Thread-safe. meters: what they have
    done."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        limits = settings.limits
        self.decode = DecodeLimits(
            max_bytes=limits.max_image_bytes,
            max_pixels=limits.max_image_pixels,
            budget=DecodeBudget(settings.decode_bytes),
        )
        self.meters = Meters()
        self._cache = SetCache(settings.cache_bytes, self.meters)
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
                encoder = self._encoders[entry] = ImageEncoder(featurizer, network.batcher, self._cache)
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
        settings = self._settings
        weights = dict(settings.weights).get(model)
        extractor = load_extractor(model, image_size=image_size, weights=weights, device=settings.device)
        return Network(extractor, Batcher(extractor, lanes(settings), self.meters))


def lanes(settings: ServerSettings, available: int | None = None) -> Lanes:
    """How the forward passes of a network are run. available: cores, None for those of this process.

    On a CPU as many at once as there are cores, each on one of them and of one image: threads of one pass wait for
    each other after every layer, and larger passes take no less time an image (docs/decisions/0060, 0116). A GPU has
    one at a time, of as many images as wait.
    """
    window = settings.batch_ms / 1000
    if _on_cuda(settings.device):
        return Lanes(1, settings.threads, settings.batch_images or _CUDA_IMAGES, window)
    available = available or cores()
    count = min(max(1, available // (settings.threads or 1)), _MOST_LANES)
    return Lanes(count, settings.threads or max(1, available // count), settings.batch_images or 1, window)


def _on_cuda(device: str) -> bool:
    import torch  # a server of ready-made sets never comes here

    return device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
