"""One-hot tables: which columns are labels, what 0, -1 and nothing mean, and where each split's table lies."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.core.checks.contract_rules import MemorySource
from fieldmark.core.contracts.importer import Description, Example, Skipped
from fieldmark.core.contracts.plugin import PluginError
from fieldmark.core.contracts.source import Source
from fieldmark.core.sources.opening import open_source
from fieldmark.plugins.importers.csv_labels import CsvLabels
from fieldmark.plugins.importers.csv_onehot import CsvOneHot, OneHotOptions


def source(text: str) -> MemorySource:
    return MemorySource({"labels.csv": text.encode()})


def read(where: Source | str, **options: object) -> list[Example | Skipped]:
    it = where if isinstance(where, Source) else source(where)
    return list(CsvOneHot(OneHotOptions.model_validate(options)).read(it))


def examples(where: Source | str, **options: object) -> dict[str, Example]:
    found = read(where, **options)
    assert not [item for item in found if isinstance(item, Skipped)]
    return {item.image: item for item in found if isinstance(item, Example)}


def labels(where: Source | str, **options: object) -> dict[str, tuple[tuple[str, ...], str | None]]:
    return {image: (item.labels, item.state) for image, item in examples(where, **options).items()}


def describe(where: Source | str, **options: object) -> Description:
    it = where if isinstance(where, Source) else source(where)
    return CsvOneHot(OneHotOptions.model_validate(options)).describe(it)


ROBOFLOW = (
    "filename, cat, dog\na_jpg.rf.0123456789abcdef0123456789abcdef.jpg, 1, 0\nb.jpg, 1, 1\nc.jpg, 0, 0\n"
)


def test_a_table_as_roboflow_writes_it() -> None:
    assert labels(ROBOFLOW) == {
        "a_jpg.rf.0123456789abcdef0123456789abcdef.jpg": (("cat",), None),
        "b.jpg": (("cat", "dog"), None),
        "c.jpg": ((), "none-of-these"),
    }
    assert labels(ROBOFLOW, all_zeros="unlabelled")["c.jpg"] == ((), "unlabelled")
    assert describe(ROBOFLOW).labels == {"cat": 2, "dog": 1}


def test_each_split_folder_has_its_table() -> None:
    files = {
        f"{name}/_classes.csv": b"filename, cat, dog\na.jpg, 1, 0\n" for name in ("train", "valid", "test")
    }
    files |= {f"{name}/a.jpg": b"" for name in ("train", "valid", "test")}
    found = examples(MemorySource(files))
    assert {image: item.split for image, item in found.items()} == {
        "train/a.jpg": "train",
        "valid/a.jpg": "validation",
        "test/a.jpg": "test",
    }
    assert found["valid/a.jpg"].location == "valid/_classes.csv, row 2"
    assert CsvOneHot.recognises(MemorySource(files)) > 0.9


@pytest.mark.parametrize(
    ("yes", "no"), [("1", "0"), ("1.0", "0.0"), ("True", "False"), ("TRUE", "false"), ("1,0", "0,0")]
)
def test_how_yes_and_no_are_written(yes: str, no: str) -> None:
    text = f"image;MEL;NV\na.jpg;{yes};{no}\nb.jpg;{no};{yes}\n"
    assert labels(text) == {"a.jpg": (("MEL",), None), "b.jpg": (("NV",), None)}


def test_labels_called_by_numbers() -> None:
    text = "image,0,1,2\na,1.0,0.0,0.0\nb,0.0,0.0,1.0\n"
    assert labels(text) == {"a": (("0",), None), "b": (("2",), None)}
    assert CsvOneHot.recognises(source(text)) > CsvLabels.recognises(source(text))


CHEXPERT = (
    "Path,Sex,Age,No Finding,Edema,Fracture\n"
    "p1/a.jpg,Female,68,1.0,,\np1/b.jpg,Male,87,,-1.0,0.0\np2/a.jpg,Female,8,0.0,0.0,0.0\np2/b.jpg,Male,9,,0.0,1.0\n"
)


def test_minus_one_is_uncertain_beside_zeros_and_empty_is_not_mentioned() -> None:
    assert labels(CHEXPERT) == {
        "p1/a.jpg": (("No Finding",), None),
        "p1/b.jpg": ((), "unlabelled"),
        "p2/a.jpg": ((), "none-of-these"),
        "p2/b.jpg": (("Fracture",), None),
    }
    assert labels(CHEXPERT, minus_one="present")["p1/b.jpg"] == (("Edema",), None)
    notes = describe(CHEXPERT).notes
    assert "The columns `Sex`, `Age` hold no 0 and 1 and were left out." in notes
    assert "A -1 is read as uncertain and adds no label; the option minus_one changes that." in notes


def test_minus_one_is_absent_in_a_file_without_zeros() -> None:
    text = "image_id,Bald,Smiling,Young\n000001.jpg,-1,1,-1\n000002.jpg,-1,-1,-1\n"
    assert labels(text) == {"000001.jpg": (("Smiling",), None), "000002.jpg": ((), "none-of-these")}
    assert "No image has the labels `Bald`, `Young`." in describe(text).notes


def test_celeba_as_it_is_published() -> None:
    attributes = b"2\nBald Smiling\n000001.jpg -1  1\n000003.jpg  1  1\n"
    splits = b"000001.jpg 0\n000002.jpg 0\n000003.jpg 2\n"
    files = {"Anno/list_attr_celeba.txt": attributes, "Eval/list_eval_partition.txt": splits}
    found = examples(MemorySource(files))
    assert {image: (item.labels, item.split, item.location) for image, item in found.items()} == {
        "000001.jpg": (("Smiling",), "train", "row 3"),
        "000003.jpg": (("Bald", "Smiling"), "test", "row 4"),
    }


PROBABILITIES = "image,cat,dog\na.jpg,0.9,0.2\nb.jpg,0.5,0.5\nc.jpg,1,0\nd.jpg,0.1,0.1\n"


def test_probabilities_ask_for_a_threshold() -> None:
    question = "`labels.csv` holds probabilities between 0 and 1. Set the option threshold, such as 0.5"
    with pytest.raises(PluginError, match=question):
        read(PROBABILITIES)
    described = describe(PROBABILITIES)
    assert (described.images, described.labels) == (4, {})
    assert any(note.startswith(question) for note in described.notes)
    found = examples(PROBABILITIES, threshold=0.5)
    assert {image: (item.labels, item.confidences) for image, item in found.items()} == {
        "a.jpg": (("cat",), {"cat": 0.9}),
        "b.jpg": (("cat", "dog"), {"cat": 0.5, "dog": 0.5}),
        "c.jpg": (("cat",), {"cat": 1.0}),
        "d.jpg": ((), {}),
    }


def test_text_columns_are_no_labels_and_splits_are_splits() -> None:
    text = "path,open,short,split,source_path,note\nimages/a.jpg,1,0,train,x/y.jpg,fine\nimages/b.jpg,0,1,val,x/z.jpg,\n"
    found = examples(text)
    assert {image: (item.labels, item.split) for image, item in found.items()} == {
        "images/a.jpg": (("open",), "train"),
        "images/b.jpg": (("short",), "validation"),
    }
    described = describe(text)
    assert [field.role for field in described.fields] == [
        "image",
        "label",
        "label",
        "split",
        "other",
        "other",
    ]
    assert "The columns `source_path`, `note` hold no 0 and 1 and were left out." in described.notes


def test_columns_can_be_said_to_be_no_labels() -> None:
    text = "image,cat,dog,checked\na.jpg,1,0,1\nb.jpg,0,0,1\n"
    assert labels(text, not_labels=["checked"]) == {"a.jpg": (("cat",), None), "b.jpg": ((), "none-of-these")}
    with pytest.raises(PluginError, match="has no column `nope`"):
        read(text, not_labels=["nope"])


def test_a_wrong_cell_costs_its_row_and_not_the_column() -> None:
    rows = "".join(f"{n}.jpg,1,0\n" for n in range(40))
    found = read(f"image,cat,dog\nbad.jpg,1,2\nshort.jpg,1\n,1,0\n{rows}")
    assert [(item.location, item.reason) for item in found if isinstance(item, Skipped)] == [
        ("row 2", "The column `dog` holds `2`; only 1, 0 and -1 are read."),
        ("row 3", "The row has 2 cells and the header 3."),
        ("row 4", "The row names no image."),
    ]
    assert len(found) == 43


def test_roboflow_s_mask_palette_is_refused_with_a_way_out() -> None:
    palette = source("Pixel Value, Class\n0, background\n1, cat\n")
    assert CsvOneHot.recognises(palette) > CsvLabels.recognises(palette)
    for act in (lambda: read(palette), lambda: describe(palette)):
        with pytest.raises(
            PluginError, match="Export the set from Roboflow again as Multi-Label Classification"
        ):
            act()


def test_a_table_without_flags_points_to_the_other_importer() -> None:
    with pytest.raises(
        PluginError, match=r"no column that holds 0 and 1\. If its labels stand in one column, use"
    ):
        read("image,label\na.jpg,cat\nb.jpg,dog\n")


@pytest.mark.parametrize(
    "text",
    ["image,label\na.jpg,0\nb.jpg,1\n", "image,label,checked,blurred\na.jpg,cat,1,0\nb.jpg,dog,0,0\n"],
)
def test_labels_in_one_column_are_left_to_the_other_importer(text: str) -> None:
    assert CsvOneHot.recognises(source(text)) < CsvLabels.recognises(source(text))


@given(
    rows=st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=15),
    names=st.lists(
        st.text("abcé _01<", min_size=1, max_size=5).map(str.strip).filter(bool), min_size=3, max_size=3
    ),
)
def test_flags_come_back_as_written(rows: list[list[bool]], names: list[str]) -> None:
    names = [f"{name}.{at}" for at, name in enumerate(names)]
    text = ",".join(["image", *names]) + "\n"
    text += "".join(
        ",".join([f"{n}.jpg", *(str(int(flag)) for flag in row)]) + "\n" for n, row in enumerate(rows)
    )
    assert labels(text) == {
        f"{n}.jpg": (
            tuple(name for name, flag in zip(names, row, strict=True) if flag),
            None if any(row) else "none-of-these",
        )
        for n, row in enumerate(rows)
    }


def test_a_real_table() -> None:
    folder = os.environ.get("FIELDMARK_DATA")
    if not folder:
        pytest.skip("FIELDMARK_DATA is not set")
    with open_source(Path(folder) / "deeppcb_mini") as it:
        assert CsvOneHot.recognises(it) > CsvLabels.recognises(it)
        described = describe(it)
        found = examples(it)
        images = {name for name in it.names() if name.endswith(".jpg")}
    assert set(described.labels) == {"open", "short", "mousebite", "spur", "copper", "pinhole"}
    assert set(found) == images
    assert {item.split for item in found.values()} >= {"train", "validation"}
