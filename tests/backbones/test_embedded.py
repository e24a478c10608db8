"""The built-in backbone: what it sees, that nothing upsets it, and that it stands still."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fieldmark import Options, PluginError
from fieldmark.plugins.backbones.embedded import Embedded
from fieldmark.plugins.backbones.embedded_net import DIM, PARTS, SIDE, uniform_patterns
from fieldmark.testing import contract

FINGERPRINT = "65cde1be40c4970fe4cc72f43673b6759956f4218ccad4ae21ae66fef4037abe"
SUMMARY = [1170.1766, 804.0000, 234.5475]
"""Per part, the sum of its values times their places from 1 on."""


@pytest.fixture(scope="module")
def backbone() -> Embedded:
    backbone = Embedded(Options())
    backbone.load("cpu")
    return backbone


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def part(vectors: np.ndarray, name: str) -> np.ndarray:
    names = list(PARTS)
    start = sum(PARTS[earlier] for earlier in names[: names.index(name)])
    return vectors[:, start : start + PARTS[name]]


@contract(Embedded)
def test_contract(check):
    check()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 500), st.integers(1, 500), st.tuples(*[st.integers(0, 255)] * 3), st.booleans())
def test_every_size_and_colour_gives_a_finite_vector_of_bounded_length(
    backbone, width, height, colour, noisy
):
    image = noise(width, height) if noisy else Image.new("RGB", (width, height), colour)
    vectors = backbone.embed([image])
    assert vectors.shape == (1, DIM) and vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert np.linalg.norm(part(vectors, "colour")) == pytest.approx(1, abs=1e-4)
    assert np.linalg.norm(part(vectors, "texture")) == pytest.approx(1, abs=1e-4)
    assert np.linalg.norm(part(vectors, "shape")) < 2


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1), (2, 3), (4000, 40)])
def test_extreme_sizes(backbone, size):
    assert np.isfinite(backbone.embed([Image.new("RGB", size, "teal"), noise(*size)])).all()


def test_no_images_give_no_vectors(backbone):
    assert backbone.embed([]).shape == (0, DIM)


def test_a_vector_is_the_same_alone_in_a_batch_and_in_threads(backbone):
    images = [noise(60 + 10 * n, 90, n) for n in range(12)]
    together = backbone.embed(images)
    alone = np.concatenate([backbone.embed([image]) for image in images])
    with ThreadPoolExecutor(4) as pool:
        threaded = np.concatenate(list(pool.map(lambda image: backbone.embed([image]), images)))
    assert np.array_equal(together, alone) and np.array_equal(together, threaded)
    assert len(np.unique(together, axis=0)) == len(images)


def test_module_and_transform_give_what_embed_gives(backbone):
    images = [noise(300, 200), Image.new("RGB", (50, 70), "red"), noise(192, 192, 1)]
    module, transform = backbone.module(), backbone.transform()
    pixels = torch.stack([transform(image) for image in images])
    assert pixels.shape == (3, 3, SIDE, SIDE) and pixels.min() >= 0 and pixels.max() <= 1
    assert not module.training and not list(module.parameters())
    assert np.allclose(module(pixels).numpy(), backbone.embed(images), atol=1e-5)


def test_the_module_can_be_captured_as_one_graph_for_any_batch(backbone):
    pixels = torch.rand(2, 3, SIDE, SIDE)
    program = torch.export.export(
        backbone.module(), (pixels,), dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=64)},)
    )
    more = torch.rand(5, 3, SIDE, SIDE)
    assert torch.allclose(program.module()(more), backbone.module()(more), atol=1e-5)


def test_brightness_changes_colour_but_hardly_texture(backbone):
    dark = noise(192, 192).point(lambda level: level // 2)
    light = dark.point(lambda level: level + 100)
    vectors = backbone.embed([dark, light])
    assert np.allclose(part(vectors, "texture")[0], part(vectors, "texture")[1], atol=1e-6)
    assert not np.allclose(part(vectors, "colour")[0], part(vectors, "colour")[1], atol=0.1)


def test_colour_does_not_mind_where_things_are(backbone):
    image = noise(192, 192)
    turned = image.transpose(Image.Transpose.ROTATE_90)
    vectors = part(backbone.embed([image, turned]), "colour")
    assert np.allclose(vectors[0], vectors[1], atol=1e-6)


def test_colour_names_the_right_bins(backbone):
    red, blue, grey = part(
        backbone.embed([Image.new("RGB", (9, 9), colour) for colour in ("#ff0000", "#0000ff", "#808080")]),
        "colour",
    )
    # 12 hues x 4 saturations x 6 values: hue 0 saturation 3 value 5; hue 8 (240 degrees); hue 0 saturation 0 value 3.
    assert red.argmax() == 3 * 6 + 5 and blue.argmax() == 8 * 24 + 3 * 6 + 5 and grey.argmax() == 3
    assert red.max() == blue.max() == grey.max() == pytest.approx(1)


def test_shape_tells_directions_apart(backbone):
    upright, flat = Image.new("RGB", (192, 192)), Image.new("RGB", (192, 192))
    for at in range(0, 192, 48):
        ImageDraw.Draw(upright).rectangle((at, 0, at + 23, 191), fill="white")
        ImageDraw.Draw(flat).rectangle((0, at, 191, at + 23), fill="white")
    across, down = part(backbone.embed([upright, flat]), "shape").reshape(2, 9, 16).sum(2)
    assert across.argmax() == 0 and down.argmax() in (4, 5)


def test_uniform_patterns_are_the_58_of_the_literature_and_a_rest():
    counts = uniform_patterns().sum(0)
    assert uniform_patterns().sum(1).eq(1).all()
    assert counts[:58].eq(1).all() and counts[58] == 256 - 58


def test_texture_counts_what_plain_loops_count(backbone):
    pixels = (np.random.default_rng(3).random((SIDE, SIDE)) * 255).round().astype(np.uint8)
    image = Image.fromarray(pixels).convert("RGB")
    codes = np.zeros((SIDE - 2, SIDE - 2), int)
    around = [(-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)]
    for bit, (down, right) in enumerate(around):
        neighbour = pixels[1 + down : SIDE - 1 + down, 1 + right : SIDE - 1 + right]
        codes += (neighbour >= pixels[1:-1, 1:-1]).astype(int) << bit
    shares = np.bincount(codes.ravel(), minlength=256) @ uniform_patterns().numpy() / codes.size
    wanted = np.log1p(1000 * shares)
    found = part(backbone.embed([image]), "texture")[0, :59]
    assert np.allclose(found / found[0], wanted / wanted[0], rtol=1e-4)


def test_vectors_stand_still(backbone):
    """The cache keeps vectors by fingerprint, so the same fingerprint must go on meaning the same numbers."""
    ramp = np.stack(np.broadcast_arrays(np.arange(192)[:, None], np.arange(192), 90), -1).astype(np.uint8)
    vector = backbone.embed([Image.fromarray(ramp)])
    summary = [float(part(vector, name)[0].astype(float) @ np.arange(1, PARTS[name] + 1)) for name in PARTS]
    assert (backbone.fingerprint, summary) == (FINGERPRINT, pytest.approx(SUMMARY, rel=1e-4))


def test_an_unusable_device_is_refused_by_name():
    for device in ("gpu-that-is-not", "cuda:99"):
        with pytest.raises(PluginError, match=f"'{device}'.*choose cpu"):
            Embedded(Options()).load(device)


def test_importing_it_is_cheap():
    code = "import sys, fieldmark.plugins.backbones.embedded; print({'torch', 'numpy', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch" not in done.stdout


def test_it_separates_real_photos(backbone):
    folder = os.environ.get("FIELDMARK_DATA")
    if not folder:
        pytest.skip("FIELDMARK_DATA is not set")
    kinds = ("cardboard", "glass", "paper")
    files = [sorted((Path(folder) / "trashnet_mini" / kind).glob("*.jpg"))[:40] for kind in kinds]
    vectors = np.concatenate([backbone.embed([Image.open(path) for path in of_kind]) for of_kind in files])
    head = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    accuracy = cross_val_score(head, vectors, np.repeat(kinds, 40), cv=4).mean()
    assert accuracy > 0.7
