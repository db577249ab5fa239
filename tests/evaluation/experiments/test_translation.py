"""Translation: crops lie where they should, twins are found where they must be, and nothing but the timings varies."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from setwise._cli import main
from setwise_engine.errors import FeatureError, ImageError, InvalidInput, NotFound
from setwise_evaluation.experiments.translation import Draws, crops, detect, difference, readings, translation
from setwise_evaluation.experiments.translation._pictures import digest, read_folder
from setwise_evaluation.rsm import rsm

KERNELS = ("cosine", "inner_product", "rbf")
Tokens = NDArray[np.float32]


def tokens(images: int = 6, seed: int = 1) -> Tokens:
    return np.random.default_rng(seed).random((images, 9, 5), dtype=np.float32)


@given(
    st.tuples(st.integers(40, 900), st.integers(40, 900)),
    st.lists(st.floats(0.1, 1.0), min_size=1, max_size=4, unique=True),
    st.integers(),
)
def test_crops_lie_in_the_image_and_overlap_as_asked(size: tuple[int, int], overlaps: list[float], seed: int) -> None:
    first, *shifted = crops(size, overlaps, str(seed))
    side = first[2] - first[0]
    for overlap, box in zip(overlaps, shifted, strict=True):
        assert box[2] - box[0] == box[3] - box[1] == side
        assert box[0] >= 0 <= box[1] and box[2] <= size[0] and box[3] <= size[1]
        along, across = (0, 1) if size[0] >= size[1] else (1, 0)
        assert box[across] == first[across]
        assert abs(box[along] - first[along]) == round((1.0 - overlap) * side)


def test_crops_are_as_large_as_the_smallest_overlap_allows_and_follow_from_the_seed() -> None:
    assert crops((640, 480), [1.0, 0.25], "a")[0][2:] != (0, 0)
    first, same, far = crops((640, 480), [1.0, 0.25], "a")
    assert first == same
    assert first[2] - first[0] == int(640 / 1.75)
    assert abs(far[0] - first[0]) == round(0.75 * int(640 / 1.75))
    assert crops((640, 480), [1.0, 0.25], "a") == [first, same, far]
    assert len({tuple(crops((640, 480), [0.5], str(seed))) for seed in range(20)}) > 10


def test_a_tiny_image_is_refused() -> None:
    with pytest.raises(InvalidInput, match="20 x 20 pixels is too small"):
        crops((20, 20), [0.25], "a")


def test_twins_are_all_found_where_nothing_is_shifted() -> None:
    first = tokens()
    study = translation(first, [(1.0, first)], resamples=20)
    for name in ("spatio-semantic", "semantic", "pooled"):
        for kernel in ("cosine", "rbf"):
            found = study.detections[1.0, name, kernel]
            assert (found.top1.value, found.mrr.value, found.auc.value) == (1.0, 1.0, 1.0)
            assert (found.top1.low, found.top1.high) == (1.0, 1.0)


def test_moved_tokens_change_nothing_but_the_spatio_semantic_similarity() -> None:
    first, rng = tokens(), np.random.default_rng(2)
    second = np.stack([rng.permutation(one) for one in first])
    before, after = readings(first, first), readings(first, second)
    for kernel in KERNELS:
        for name in ("pooled", "maxsim", "chamfer", "semantic"):
            np.testing.assert_allclose(after[name][kernel], before[name][kernel], rtol=1e-6)
        assert not np.allclose(after["spatio-semantic"][kernel], before["spatio-semantic"][kernel], rtol=1e-2)


def test_semantic_similarity_is_never_below_spatio_semantic_and_never_above_maxsim() -> None:
    found = readings(tokens(), tokens(seed=2))
    for kernel in ("cosine", "inner_product"):
        assert (found["semantic"][kernel] >= found["spatio-semantic"][kernel] - 1e-6).all()
        assert (found["semantic"][kernel] <= found["maxsim"][kernel] + 1e-6).all()
        assert (found["semantic"][kernel] <= found["chamfer"][kernel] + 1e-6).all()


def test_every_similarity_is_what_its_matrix_says() -> None:
    first, second = tokens(), tokens(seed=2)
    found = readings(first, second)
    for name, matching in {
        "spatio-semantic": "none",
        "maxsim": "maxsim",
        "chamfer": "chamfer",
        "semantic": "exact",
    }.items():
        matrix = rsm(first, second, matching=matching)
        for kernel in ("cosine", "inner_product"):
            np.testing.assert_array_equal(found[name][kernel], matrix.read(kernel))
    pooled = first.mean(axis=1) @ second.mean(axis=1).T
    np.testing.assert_allclose(found["pooled"]["inner_product"], pooled, rtol=1e-5)


def slow_area(similarities: NDArray[np.float64], counts: NDArray[np.float64]) -> float:
    """The chance that a twin beats an unrelated pair among images drawn `counts` times, by its definition."""
    n = len(similarities)
    won = all_pairs = 0.0
    for i, j, k in np.ndindex(n, n, n):
        if j != k:
            weight = counts[i] * counts[j] * counts[k]
            twin, other = similarities[i, i], similarities[j, k]
            won += weight * ((twin > other) + 0.5 * (twin == other))
            all_pairs += weight
    return won / all_pairs if all_pairs else 0.5


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 6), st.integers(0, 1000))
def test_areas_are_those_of_the_definition_with_ties_and_in_every_sample(n: int, seed: int) -> None:
    similarities = np.random.default_rng(seed).integers(0, 4, (n, n)).astype(np.float64)
    draws = Draws(n, resamples=8, seed=seed)
    found = detect(similarities, draws)
    assert found.auc.value == pytest.approx(slow_area(similarities, np.ones(n)), abs=1e-12)
    expected = [slow_area(similarities, counts) for counts in draws.counts]
    np.testing.assert_allclose(found.samples["auc"], expected, atol=1e-12)


def test_ranks_share_ties_and_measures_follow_from_them() -> None:
    similarities = np.array([[5.0, 1.0, 2.0], [4.0, 4.0, 1.0], [9.0, 8.0, 7.0]])
    found = detect(similarities, Draws(3, resamples=50))
    assert found.ranks.tolist() == [1.0, 1.5, 3.0]
    assert found.top1.value == pytest.approx(1 / 3)
    assert found.mrr.value == pytest.approx((1 + 1 / 1.5 + 1 / 3) / 3)


def test_differences_are_paired() -> None:
    rng = np.random.default_rng(3)
    similarities = rng.random((12, 12))
    draws = Draws(12, resamples=200)
    found = detect(similarities, draws)
    nothing = difference(found, detect(2.0 * similarities, draws), "mrr")
    assert (nothing.value, nothing.low, nothing.high) == (0.0, 0.0, 0.0)
    apart = difference(detect(similarities + np.eye(12), draws), found, "top1")
    assert apart.value == pytest.approx(1.0 - found.top1.value)
    assert apart.low <= apart.value <= apart.high


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(FeatureError, match=r"shifted to an overlap of 0\.5 have tokens of shape \(5, 9, 5\)"):
        translation(tokens(6), [(0.5, tokens(5))])
    with pytest.raises(InvalidInput, match="1 images: a twin is found among others"):
        translation(tokens(1), [(0.5, tokens(1))])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five pictures of coloured blocks, so that a shifted crop resembles its twin."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(5)
    for number in range(5):
        blocks = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)
        Image.fromarray(blocks).resize((120, 80), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return folder


def command(out: Path, pictures: Path, *more: str) -> int:
    words = ["--images", str(pictures), "--image-size", "64", "--resamples", "20", "--threads", "1", *more]
    return main(["evaluate", "translation", "--out", str(out), *words])


def test_the_command_writes_figures_tables_and_what_they_came_from(
    tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(tmp_path, pictures, "--overlaps", "1", "0.5") == 0
    printed = capsys.readouterr()
    assert "| efficientnet-lite0 | cosine | semantic | 1.000 [1.000, 1.000] |" in printed.out
    assert "efficientnet-lite0: overlap 0.5" in printed.err
    says = json.loads((tmp_path / "translation" / "results.json").read_text(encoding="utf-8"))
    figures = [entry["name"] for entry in says["report"] if entry["kind"] == "figure"]
    assert figures == ["crops", "detection", "rsm", "similarities"]
    alts = [entry["alt"] for entry in says["report"] if entry["kind"] == "figure"]
    assert "cosine: pooled 1.00, " in alts[1]
    assert alts[2].startswith("Two heat maps with 5 rows and columns. Mean similarity: spatio-semantic")
    assert set(says["inputs"]) == {"pixels of all images", "weights of efficientnet-lite0"}
    assert says["results"]["images"] == 5


@pytest.mark.slow
def test_a_second_run_of_the_command_writes_the_same_bytes(tmp_path: Path, pictures: Path) -> None:
    for out in (tmp_path / "a" / "out", tmp_path / "b" / "out"):
        assert command(out, pictures, "--shift", "0", "32") == 0
    files = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file()]
    same = {str(path): (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes() for path in files}
    assert [name for name, equal in same.items() if not equal] == ["out/translation/timings.json"]


def test_a_folder_gives_the_same_images_each_time(pictures: Path, tmp_path: Path) -> None:
    assert len(read_folder(pictures, 9, seed=1)) == 5
    some = [read_folder(pictures, 3, seed=4) for _ in range(2)]
    assert [image.tobytes() for image in some[0]] == [image.tobytes() for image in some[1]]
    assert digest(some[0]) == digest(some[1]) != digest(some[0][::-1])
    with pytest.raises(NotFound, match="holds 0 images"):
        read_folder(tmp_path, 3, seed=1)
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"a\.png is no image that can be read"):
        read_folder(tmp_path, 3, seed=1)
    (tmp_path / "zz.png").write_bytes(b"nor this")
    with pytest.raises(ImageError, match=r"(?s)is no image .*zz\.png is no image .*: remove or repair what is broken"):
        read_folder(tmp_path, 9, seed=1)
    with pytest.raises(NotFound, match="there is no folder"):
        read_folder(tmp_path / "nope", 3, seed=1)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--overlaps", "2"], "give shares of a crop's side, from 0 to 1"),
        (["--overlaps", "0.5", "--shift", "8"], "--shift is for one --model"),
        (["--count", "1"], "give at least 2 images"),
    ],
)
def test_wrong_options_are_named(
    tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert command(tmp_path / "out", pictures, *more) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out" / "translation").exists()
