"""Predictions as CSV, read back as its docstring tells a reader to."""

import csv
import io
import json
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark import ExportContext, PluginError, PredictedImage
from fieldmark.core.registry import load_registry

Image = tuple[str, list[str], dict[str, float]]
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def nothing() -> BinaryIO:
    return io.BytesIO()


def table(images: list[Image], labels: list[str], *options: str) -> list[list[str]]:
    target = io.BytesIO()
    records = (PredictedImage(name, tuple(predicted), scores, nothing) for name, predicted, scores in images)
    context = ExportContext("p", tuple(labels), len(images), model="m", checkpoint="last")
    load_registry().exporter("csv", options).write(records, context, target)
    return list(csv.reader(io.StringIO(target.getvalue().decode("utf-8"), newline="")))


def plain(cell: str) -> str:
    return cell.removeprefix("'")


def labels_of(cell: str) -> list[str]:
    text = plain(cell)
    return json.loads(text) if text.startswith("[") else text.split("|") if text else []


def test_header_and_rows() -> None:
    images: list[Image] = [
        ("a/b.jpg", ["cat", "dog"], {"cat": 0.75, "dog": 0.5}),
        ("c, d.jpg", [], {"cat": 0.25, "dog": 0.125}),
    ]
    assert table(images, ["cat", "dog"]) == [
        ["image", "predicted", "score", "cat", "dog"],
        ["a/b.jpg", "cat|dog", "0.75", "0.75", "0.5"],
        ["c, d.jpg", "", "0.25", "0.25", "0.125"],
    ]


def test_no_images_leave_the_header() -> None:
    assert table([], ["cat"]) == [["image", "predicted", "score", "cat"]]


def test_labels_called_like_a_column_get_a_heading_of_their_own() -> None:
    labels = ["image", "Score", "predicted", "label:image", "cat"]
    (header,) = table([], labels)
    assert header[3:] == ["label:image", "label:Score", "label:predicted", "label:label:image", "cat"]
    assert len(set(header)) == len(header)


def test_a_label_with_the_separator_is_written_as_a_list() -> None:
    rows = table([("a", ["x|y", "z"], {"x|y": 1, "z": 0.5})], ["x|y", "z"])
    assert rows[1][1] == '["x|y", "z"]'


def test_text_that_a_spreadsheet_would_run_is_escaped_unless_kept() -> None:
    label = "=HYPERLINK('http://x')"
    images: list[Image] = [("@sum.jpg", [label], {label: 1.0})]
    header, row = table(images, [label])
    assert (header[3], row[0], row[1]) == (f"'{label}", "'@sum.jpg", f"'{label}")
    header, row = table(images, [label], "formulas=keep")
    assert (header[3], row[0], row[1]) == (label, "@sum.jpg", label)


def test_what_is_written_differently_is_said_before() -> None:
    exporter = load_registry().exporter("csv")
    lost = exporter.loses(ExportContext("p", ("-1", "score"), 1))
    assert any("'-1'" in sentence for sentence in lost) and any(
        "'label:score'" in sentence for sentence in lost
    )
    assert len(exporter.loses(ExportContext("p", ("cat",), 1))) == 1


names = st.text(st.characters(codec="utf-8"), min_size=1)
label_lists = st.lists(
    st.one_of(names, st.sampled_from(["=1", "'", "'=", "[", "|", "-", "image"])), max_size=4, unique=True
)


@given(label_lists, st.data())
def test_every_text_and_number_comes_back_exactly(labels: list[str], data: st.DataObject) -> None:
    image = st.tuples(
        names,
        st.lists(st.sampled_from(labels), unique=True) if labels else st.just([]),
        st.fixed_dictionaries({label: st.floats(0, 1) for label in labels}),
    )
    images = data.draw(st.lists(image, max_size=4))
    header, *rows = table(images, labels)
    assert len(set(header)) == len(header)
    assert [(plain(row[0]), labels_of(row[1])) for row in rows] == [
        (name, predicted) for name, predicted, _ in images
    ]
    for row, (_, _, scores) in zip(rows, images, strict=True):
        assert [float(cell) for cell in row[3:]] == [scores[label] for label in labels]
        assert row[2] == (str(max(scores.values())) if scores else "")
    assert not any(cell.startswith(FORMULA_STARTS) for row in [header, *rows] for cell in row)


def test_a_score_that_is_no_number_names_the_image() -> None:
    with pytest.raises(PluginError, match=r"image 'x\.jpg' no number for label 'cat'"):
        table([("x.jpg", [], {"cat": float("inf")})], ["cat"])
