"""The encoder: from a network's tokens to the short fp16 tokens that a collection stores and compares."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from setwise_engine.encoder._file import Contents, read_contents, write_contents
from setwise_engine.errors import FeatureError, FormatError, Incompatible, InvalidInput, NotFound
from setwise_engine.feature_set import FeatureSet, Stage

__all__ = ["Encoder"]

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Encoder:
    """Centring and a linear map, (x - mean) P, rounded to fp16 and not normalised; fixed for the life of a collection.

    model: fingerprint of the network whose tokens it takes; empty for ready-made sets.
    dims_in, dims: numbers in a token before and after, D and d.
    mean: float32 (D,) and projection: float32 (D, d); both None when tokens are kept as they are.
    sigma: width of the RBF score, the root of the median squared matched distance in the sample it was fitted on.
    coarse_basis: float32 (d, r), r <= 64: the leading right singular vectors of the sample's encoded tokens, uncentred.
    Raises InvalidInput when the parts do not fit together.
    """

    model: str
    dims_in: int
    dims: int
    mean: NDArray[np.float32] | None
    projection: NDArray[np.float32] | None
    sigma: float
    coarse_basis: NDArray[np.float32]

    def __post_init__(self) -> None:
        shapes: dict[str, tuple[int, ...]] = {"coarse_basis": (self.dims, self.coarse_basis.shape[-1])}
        if self.projection is None or self.mean is None:
            if self.projection is not self.mean or self.dims != self.dims_in:
                raise InvalidInput("an encoder has both a mean and a projection, or neither and equal dimensions")
        else:
            shapes |= {"mean": (self.dims_in,), "projection": (self.dims_in, self.dims)}
        for name, shape in shapes.items():
            object.__setattr__(self, name, _fixed(getattr(self, name), shape, name))
        if not (np.isfinite(self.sigma) and self.sigma > 0):
            raise InvalidInput(f"an encoder's sigma must be positive, not {self.sigma}", field="sigma")

    @cached_property
    def fingerprint(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 over everything that this encoder holds."""
        digest = hashlib.sha256(f"{self.model}\n{self.dims_in} {self.dims} {self.sigma!r}\n".encode())
        for array in (self.mean, self.projection, self.coarse_basis):
            digest.update(b"none\n" if array is None else f"{array.shape}\n".encode() + array.tobytes())
        return digest.hexdigest()[:16]

    def encode(self, tokens: Floats) -> NDArray[np.float16]:
        """Encode (n, D) to (n, d), or a batch (b, n, D) to (b, n, d); each set by itself, so batches change nothing.

        Raises FeatureError for another shape and for numbers that fp16 cannot hold.
        """
        if tokens.ndim not in (2, 3) or tokens.shape[-1] != self.dims_in:
            raise FeatureError(
                f"tokens have shape {tokens.shape}; this encoder takes {self.dims_in} numbers a token", field="tokens"
            )
        if tokens.ndim == 3:
            encoded = [self.encode(single) for single in tokens]
            return np.stack(encoded) if encoded else np.zeros((*tokens.shape[:2], self.dims), dtype=np.float16)
        values: NDArray[np.float32] = np.asarray(tokens, dtype=np.float32)
        if self.mean is not None and self.projection is not None:
            values = np.asarray((values - self.mean) @ self.projection, dtype=np.float32)
        return _half(values)

    def encode_set(self, features: FeatureSet) -> FeatureSet:
        """Encode a raw set of this encoder's model.

        Raises Incompatible for an encoded set or one of another model, and FeatureError as `encode` does.
        """
        if features.stage is not Stage.RAW:
            raise Incompatible(
                f"the set was already encoded (by {features.encoder or 'an unknown encoder'}); give raw tokens",
                field="stage",
            )
        if features.model != self.model:
            raise Incompatible(
                f"the set comes from {_named(features.model)}, but encoder {self.fingerprint} was made for "
                f"{_named(self.model)}; use the same model and image size",
                field="model",
            )
        return replace(features, tokens=self.encode(features.tokens), stage=Stage.ENCODED, encoder=self.fingerprint)

    def to_bytes(self) -> bytes:
        """The file's bytes: safetensors, equal for equal encoders."""
        header = {"model": self.model, "dims_in": self.dims_in, "dims": self.dims, "sigma": self.sigma}
        arrays = {"mean": self.mean, "projection": self.projection, "coarse_basis": self.coarse_basis}
        kept = {name: array for name, array in arrays.items() if array is not None}
        return write_contents(Contents({**header, "fingerprint": self.fingerprint}, kept))

    @classmethod
    def from_bytes(cls, data: bytes, *, name: str = "encoder") -> Encoder:
        """Read what `to_bytes` wrote; `name` stands for the file in errors.

        Raises FormatError for foreign bytes or an unknown version, CorruptError for damaged ones.
        """
        contents = read_contents(data, name)
        header, arrays = contents.header, contents.arrays
        try:
            encoder = cls(
                model=str(header["model"]),
                dims_in=int(header["dims_in"]),
                dims=int(header["dims"]),
                mean=arrays.get("mean"),
                projection=arrays.get("projection"),
                sigma=float(header["sigma"]),
                coarse_basis=arrays["coarse_basis"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"{name} is an encoder file with parts missing or misshapen: {error}") from error
        contents.check(encoder.fingerprint, name)
        return encoder

    def save(self, path: Path) -> None:
        """Write the file at `path`, replacing what is there."""
        path.write_bytes(self.to_bytes())

    @classmethod
    def load(cls, path: Path) -> Encoder:
        """Read the file at `path`; raises NotFound, and what `from_bytes` raises."""
        try:
            return cls.from_bytes(path.read_bytes(), name=str(path))
        except FileNotFoundError as error:
            raise NotFound(f"there is no encoder file {path}") from error


def _named(model: str) -> str:
    return f"model {model}" if model else "no named model (ready-made tokens)"


def _fixed(array: Floats, shape: tuple[int, ...], name: str) -> NDArray[np.float32]:
    if array.shape != shape:
        raise InvalidInput(f"an encoder's {name} has shape {array.shape}, not {shape}", field=name)
    if not np.isfinite(array).all():
        raise InvalidInput(f"an encoder's {name} holds NaN or infinity", field=name)
    fixed = np.array(array, dtype=np.float32, order="C")
    fixed.flags.writeable = False
    return fixed


def _half(values: NDArray[np.float32]) -> NDArray[np.float16]:
    with np.errstate(over="ignore", invalid="ignore"):
        halves = values.astype(np.float16)
    if not np.isfinite(halves).all():
        worst = values[~np.isfinite(halves)][0]
        raise FeatureError(
            f"an encoded token holds {worst}, which fp16 (at most 65504) cannot hold; scale the tokens down",
            field="tokens",
        )
    return halves
