"""Predictions as JSON, read back with the standard library."""

import io
import itertools
import json
from collections.abc import Callable, Iterator
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark import ExportContext, PluginError, PredictedImage
from fieldmark.core.registry import load_registry

Image = tuple[str, list[str], dict[str, float]]


def nothing() -> BinaryIO:
    return io.BytesIO()


def written(images: list[Image], labels: list[str]) -> bytes:
    target = io.BytesIO()
    records = (PredictedImage(name, tuple(predicted), scores, nothing) for name, predicted, scores in images)
    context = ExportContext("p", tuple(labels), len(images), model="m 1", checkpoint="best")
    load_registry().exporter("json").write(records, context, target)
    return target.getvalue()


def test_a_record_has_the_documented_fields() -> None:
    images: list[Image] = [
        ("a/b.jpg", ["cat"], {"cat": 0.75, "dog": 0.25}),
        ("c.jpg", [], {"cat": 0.5, "dog": 0.5}),
    ]
    assert json.loads(written(images, ["cat", "dog"])) == [
        {
            "image": "a/b.jpg",
            "predicted": ["cat"],
            "scores": {"cat": 0.75, "dog": 0.25},
            "model": "m 1",
            "checkpoint": "best",
        },
        {
            "image": "c.jpg",
            "predicted": [],
            "scores": {"cat": 0.5, "dog": 0.5},
            "model": "m 1",
            "checkpoint": "best",
        },
    ]


def test_no_images_are_an_empty_array() -> None:
    assert json.loads(written([], ["cat"])) == []


@st.composite
def predictions(draw: Callable[..., object]) -> tuple[list[Image], list[str]]:
    labels = draw(st.lists(st.text(min_size=1), min_size=1, max_size=4, unique=True))
    assert isinstance(labels, list)
    image = st.tuples(
        st.text(min_size=1),
        st.lists(st.sampled_from(labels), unique=True),
        st.fixed_dictionaries({label: st.floats(0, 1) for label in labels}),
    )
    images = draw(st.lists(image, max_size=4))
    assert isinstance(images, list)
    return images, labels


@given(predictions())
def test_every_text_and_number_comes_back_exactly(given_: tuple[list[Image], list[str]]) -> None:
    images, labels = given_
    data = written(images, labels)
    read = json.loads(data.decode("utf-8"))
    assert [(r["image"], r["predicted"], r["scores"]) for r in read] == images
    assert data.count(b"\n") == len(images) + 2, "one record a line"


def test_half_a_surrogate_pair_is_still_utf8_and_json() -> None:
    data = written([("\ud800.jpg", ["\udc00"], {"\udc00": 1.0})], ["\udc00"])
    assert json.loads(data.decode("utf-8"))[0]["image"] == "\ud800.jpg"


def test_a_score_that_is_no_number_names_the_image() -> None:
    with pytest.raises(PluginError, match=r"image 'x\.jpg' a score that is not a number"):
        written([("x.jpg", [], {"cat": float("nan")})], ["cat"])


def test_records_are_written_as_they_come() -> None:
    target = io.BytesIO()
    sizes = []

    def records() -> Iterator[PredictedImage]:
        for number in range(5):
            sizes.append(target.tell())
            yield PredictedImage(f"{number}.jpg", (), {"cat": 0.5}, nothing)

    load_registry().exporter("json").write(records(), ExportContext("p", ("cat",), 5), target)
    assert all(earlier < later for earlier, later in itertools.pairwise(sizes))
