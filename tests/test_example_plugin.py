"""The example plugin does what it says, and its own test runs as its author runs it."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from fieldmark import Backbone
from fieldmark.testing import checks, contract

EXAMPLE = Path(__file__).parents[1] / "examples" / "fieldmark-sharpness"


@pytest.fixture
def sharpness(monkeypatch: pytest.MonkeyPatch) -> type[Backbone]:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    plugin: type[Backbone] = importlib.import_module("fieldmark_sharpness").Sharpness
    return plugin


def test_its_own_test_has_and_passes_every_rule(sharpness: type[Backbone]) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLE)],
        env={**os.environ, "PYTHONPATH": str(EXAMPLE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-2000:]
    assert f"{len(checks(sharpness))} passed" in run.stdout


def test_vectors_tell_sharp_from_blurred(sharpness: type[Backbone]) -> None:
    backbone = sharpness(sharpness.options_model())
    backbone.load("cpu")
    noise = np.random.default_rng(3).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    sharp = Image.fromarray(noise)
    blurred = sharp.filter(ImageFilter.GaussianBlur(6))
    vectors = backbone.embed([sharp, blurred])
    strengths = np.tile(np.arange(16), 3)
    assert vectors[0] @ strengths > 2 * (vectors[1] @ strengths)


def test_options_change_vectors_and_fingerprint(sharpness: type[Backbone]) -> None:
    fine, coarse = sharpness(sharpness.options_model()), sharpness(sharpness.options_model(bins=4))
    fine.load("cpu")
    coarse.load("cpu")
    assert (fine.dim, coarse.dim) == (48, 12)
    assert fine.fingerprint != coarse.fingerprint


def test_a_class_that_is_no_plugin_is_refused() -> None:
    with pytest.raises(TypeError, match="no subclass of Importer, Backbone, Trainer or Exporter"):
        checks(int)  # type: ignore[arg-type]


def test_a_gap_must_name_a_rule(sharpness: type[Backbone]) -> None:
    with pytest.raises(ValueError, match="there is no rule flies"):
        contract(sharpness, known_gaps={"flies": "no wings"})


def test_a_known_gap_is_an_expected_failure_that_must_go_on_failing(sharpness: type[Backbone]) -> None:
    parameters = contract(sharpness, known_gaps={"is-admitted": "not yet"}).args[1]
    (gap,) = [parameter for parameter in parameters if parameter.id == "is-admitted"]
    (mark,) = gap.marks
    assert (mark.name, mark.kwargs) == ("xfail", {"reason": "not yet", "strict": True})
