"""An encoder encodes, refuses what it was not made for, and comes back from its file as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save

from setwise_engine.encoder import Encoder, fit_encoder
from setwise_engine.errors import CorruptError, FeatureError, FormatError, Incompatible, InvalidInput, NotFound
from setwise_engine.feature_set import FeatureSet, Grid, ImageSize, Stage

Floats = NDArray[np.float32]
MODEL = "net@96:0123456789abcdef"


@pytest.fixture
def sample() -> list[Floats]:
    """Twenty sets of 12 tokens of 24 numbers, of falling variance and a mean that is not zero."""
    rng = np.random.default_rng(0)
    scale = np.linspace(3, 0.5, 24)
    return [(rng.standard_normal((12, 24)) * scale + 2).astype(np.float32) for _ in range(20)]


@pytest.fixture
def fitted(sample: list[Floats]) -> Encoder:
    return fit_encoder(sample, model=MODEL, dims=8)


class TestEncode:
    def test_it_centres_projects_and_rounds_to_fp16(self, fitted: Encoder, sample: list[Floats]) -> None:
        assert fitted.mean is not None
        assert fitted.projection is not None
        encoded = fitted.encode(sample[0])
        assert encoded.dtype == np.float16
        exact = (sample[0].astype(np.float64) - fitted.mean) @ fitted.projection.astype(np.float64)
        np.testing.assert_allclose(encoded, exact, rtol=2e-3, atol=2e-3)

    def test_batches_change_nothing(self, fitted: Encoder, sample: list[Floats]) -> None:
        batch = np.stack(sample)
        assert np.array_equal(fitted.encode(batch), np.stack([fitted.encode(tokens) for tokens in sample]))
        assert fitted.encode(batch[:0]).shape == (0, 12, 8)
        assert fitted.encode(batch[0, :0]).shape == (0, 8)

    def test_fp16_tokens_are_taken_too(self, fitted: Encoder, sample: list[Floats]) -> None:
        halves = sample[0].astype(np.float16)
        assert np.array_equal(fitted.encode(halves), fitted.encode(halves.astype(np.float32)))

    @pytest.mark.parametrize("shape", [(12, 23), (24,), (1, 2, 3, 24)])
    def test_other_shapes_are_refused(self, fitted: Encoder, shape: tuple[int, ...]) -> None:
        with pytest.raises(FeatureError, match="this encoder takes 24 numbers a token"):
            fitted.encode(np.zeros(shape, dtype=np.float32))

    def test_overflow_is_an_error_that_names_the_value(self) -> None:
        plain = fit_encoder([np.ones((2, 3), dtype=np.float32)], model="", dims=None)
        with pytest.raises(FeatureError, match=r"an encoded token holds 70000\.0, which fp16 .* cannot hold"):
            plain.encode(np.array([[0, -1, 70000]], dtype=np.float32))


class TestEncodeSet:
    def test_everything_but_the_tokens_is_kept(self, fitted: Encoder, sample: list[Floats]) -> None:
        raw = FeatureSet(sample[0], model=MODEL, grid=Grid(3, 4), image_size=ImageSize(640, 480))
        encoded = fitted.encode_set(raw)
        assert np.array_equal(encoded.tokens, fitted.encode(sample[0]))
        assert (encoded.stage, encoded.model, encoded.encoder) == (Stage.ENCODED, MODEL, fitted.fingerprint)
        assert (encoded.grid, encoded.image_size) == (raw.grid, raw.image_size)

    def test_another_model_is_refused_by_both_names(self, fitted: Encoder, sample: list[Floats]) -> None:
        with pytest.raises(Incompatible, match=rf"from model other@64:1, but encoder .* made for model {MODEL}"):
            fitted.encode_set(FeatureSet(sample[0], model="other@64:1"))
        with pytest.raises(Incompatible, match="no named model"):
            fitted.encode_set(FeatureSet(sample[0]))

    def test_an_encoded_set_is_not_encoded_again(self, fitted: Encoder, sample: list[Floats]) -> None:
        encoded = fitted.encode_set(FeatureSet(sample[0], model=MODEL))
        with pytest.raises(Incompatible, match=rf"already encoded \(by {fitted.fingerprint}\)"):
            fitted.encode_set(encoded)


class TestFile:
    def test_bytes_come_back_as_they_were(self, fitted: Encoder, sample: list[Floats], tmp_path: Path) -> None:
        plain = fit_encoder(sample, model="", dims=None)
        for encoder in (fitted, plain):
            encoder.save(tmp_path / "e.safetensors")
            again = Encoder.load(tmp_path / "e.safetensors")
            assert again.fingerprint == encoder.fingerprint
            assert again.to_bytes() == encoder.to_bytes() == (tmp_path / "e.safetensors").read_bytes()
            assert np.array_equal(again.encode(sample[0]), encoder.encode(sample[0]))
            assert (again.model, again.dims_in, again.dims, again.sigma) == (
                encoder.model,
                encoder.dims_in,
                encoder.dims,
                encoder.sigma,
            )

    def test_the_file_of_version_1_is_read_for_ever(self) -> None:
        fixture = Path(__file__).parent / "fixtures" / "encoder-v1.safetensors"
        encoder = Encoder.load(fixture)
        assert (encoder.model, encoder.dims_in, encoder.dims) == (MODEL, 6, 3)
        assert encoder.fingerprint == "dc02bcc3aee5389b"
        assert encoder.encode(np.eye(6, dtype=np.float32)).shape == (6, 3)

    def test_the_fingerprint_covers_every_part(self, fitted: Encoder) -> None:
        parts: dict[str, Any] = {name: getattr(fitted, name) for name in fitted.__dataclass_fields__}
        changes = {
            "model": "other",
            "mean": fitted.mean + np.float32(1),  # type: ignore[operator]  # it has one
            "projection": -fitted.projection,  # type: ignore[operator]  # it has one
            "sigma": fitted.sigma * 2,
            "coarse_basis": -fitted.coarse_basis,
        }
        prints = {Encoder(**(parts | {name: value})).fingerprint for name, value in changes.items()}
        assert len(prints | {fitted.fingerprint}) == 6
        assert len(fitted.fingerprint) == 16

    def test_its_arrays_cannot_be_changed(self, fitted: Encoder) -> None:
        with pytest.raises(ValueError, match="read-only"):
            fitted.coarse_basis[0, 0] = 1

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\xff" * 40,
            b"no encoder, but long enough",
            save({"a": np.zeros(2)}),
            save({"a": np.zeros(2)}, metadata={"setwise": "[]"}),
            save({"a": np.zeros(2)}, metadata={"setwise": json.dumps({"kind": "setwise-segment", "version": 1})}),
        ],
    )
    def test_foreign_files_are_refused_by_name(self, tmp_path: Path, data: bytes) -> None:
        (tmp_path / "x.safetensors").write_bytes(data)
        with pytest.raises(FormatError, match=r"x\.safetensors is not an encoder file of Setwise"):
            Encoder.load(tmp_path / "x.safetensors")

    def test_a_newer_version_is_refused_with_advice(self) -> None:
        header = json.dumps({"kind": "setwise-encoder", "version": 2})
        with pytest.raises(FormatError, match="encoder has encoder format version 2, this release reads 1"):
            Encoder.from_bytes(save({"a": np.zeros(2)}, metadata={"setwise": header}))

    def test_missing_parts(self) -> None:
        header = json.dumps({"kind": "setwise-encoder", "version": 1})
        with pytest.raises(FormatError, match="parts missing or misshapen"):
            Encoder.from_bytes(save({"a": np.zeros(2)}, metadata={"setwise": header}))

    def test_a_changed_byte_and_a_lost_end_are_noticed(self, fitted: Encoder) -> None:
        data = bytearray(fitted.to_bytes())
        data[-5] ^= 1
        with pytest.raises(CorruptError, match="encoder is damaged: its contents have fingerprint"):
            Encoder.from_bytes(bytes(data))
        with pytest.raises(CorruptError, match="encoder is damaged"):
            Encoder.from_bytes(fitted.to_bytes()[:-100])

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(NotFound, match=r"there is no encoder file .*none"):
            Encoder.load(tmp_path / "none")


class TestParts:
    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"mean": None}, "both a mean and a projection, or neither"),
            ({"mean": np.zeros(3, dtype=np.float32)}, r"mean has shape \(3,\), not \(24,\)"),
            ({"projection": np.zeros((24, 7), dtype=np.float32)}, r"projection has shape \(24, 7\), not \(24, 8\)"),
            ({"coarse_basis": np.zeros((7, 4), dtype=np.float32)}, r"coarse_basis has shape"),
            ({"mean": np.full(24, np.nan, dtype=np.float32)}, "mean holds NaN or infinity"),
            ({"sigma": 0.0}, r"sigma must be positive, not 0\.0"),
            ({"sigma": float("nan")}, "sigma must be positive, not nan"),
        ],
    )
    def test_parts_that_do_not_fit_are_refused(self, fitted: Encoder, change: dict[str, Any], sentence: str) -> None:
        parts = {name: getattr(fitted, name) for name in fitted.__dataclass_fields__}
        with pytest.raises(InvalidInput, match=sentence):
            Encoder(**(parts | change))
