"""Label tables as people have them come in with their text intact; a bad row is listed, the rest goes on."""

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.core.checks.contract_rules import MemorySource
from fieldmark.core.contracts.importer import Description, Example, Skipped
from fieldmark.core.contracts.plugin import PluginError
from fieldmark.core.contracts.source import Source
from fieldmark.core.sources.opening import open_source
from fieldmark.plugins.importers.csv_labels import CsvLabels, CsvOptions


def source(text: str | bytes, name: str = "labels.csv") -> MemorySource:
    return MemorySource({name: text.encode() if isinstance(text, str) else text})


def read(where: Source | str | bytes, **options: object) -> list[Example | Skipped]:
    it = where if isinstance(where, Source) else source(where)
    return list(CsvLabels(CsvOptions.model_validate(options)).read(it))


def labels(where: Source | str | bytes, **options: object) -> list[tuple[str, tuple[str, ...]]]:
    found = read(where, **options)
    assert all(isinstance(item, Example) for item in found), found
    return [(item.image, item.labels) for item in found if isinstance(item, Example)]


def describe(where: Source | str | bytes, **options: object) -> Description:
    it = where if isinstance(where, Source) else source(where)
    return CsvLabels(CsvOptions.model_validate(options)).describe(it)


PETS = [("a.jpg", ("cat",)), ("b c.jpg", ("dog",))]


@pytest.mark.parametrize(
    "text",
    [
        "image,label\na.jpg,cat\nb c.jpg,dog\n",
        "image,label\r\na.jpg,cat\r\nb c.jpg,dog",
        "image,label\ra.jpg,cat\rb c.jpg,dog\r",
        "\n\nimage, label \na.jpg , cat\n\nb c.jpg,dog\n",
        "image;label\na.jpg;cat\nb c.jpg;dog\n",
        "image\tlabel\na.jpg\tcat\nb c.jpg\tdog\n",
        "image|label\na.jpg|cat\nb c.jpg|dog\n",
        '"image","label"\n"a.jpg","cat"\n"b c.jpg","dog"\n',
        "a.jpg,cat\nb c.jpg,dog\n",
        "a.jpg cat\nb c.jpg dog\n",
        "id,breed,filename\n7,cat,a.jpg\n8,dog,b c.jpg\n",
        ",Image Name,animal\n0,a.jpg,cat\n1,b c.jpg,dog\n",
        "photo_of_it,animal\na.jpg,cat\nb c.jpg,dog\n",
        "image_name,label_name,x1,y1,x2,y2\na.jpg,cat,0,0,1,1\nb c.jpg,dog,1,2,3,4\n",
    ],
)
def test_the_shapes_that_tables_come_in(text: str) -> None:
    assert labels(text) == PETS
    assert CsvLabels.recognises(source(text)) > 0.5


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
def test_encodings(encoding: str) -> None:
    text = 'image,label\né.jpg,Käfer\nb.jpg,"Maikäfer groß €"\n'
    expected = [("é.jpg", ("Käfer",)), ("b.jpg", ("Maikäfer groß €",))]
    assert labels(text.encode(encoding)) == expected
    noted = any("Windows-1252" in note for note in describe(text.encode(encoding)).notes)
    assert noted == (encoding == "cp1252")


def test_an_odd_byte_far_into_the_file_changes_the_encoding_for_all_of_it() -> None:
    rows = b"".join(b"%d.jpg,cat\n" % n for n in range(20_000))
    found = labels(b"image,label\n" + rows + b"last.jpg,K\xe4fer\n")
    assert found[-1] == ("last.jpg", ("Käfer",))


def test_an_encoding_that_is_no_guess_is_asked_for() -> None:
    data = "image,label\na.jpg,猫\n".encode("shift_jis") + b"b.jpg,\x81\x8d\n"
    with pytest.raises(PluginError, match=r"neither UTF-8 nor Windows-1252 text\. Set the option encoding"):
        read(data)
    assert labels("image,label\na.jpg,猫\n".encode("gb18030"), encoding="GB18030") == [("a.jpg", ("猫",))]
    with pytest.raises(PluginError, match="There is no encoding `klingon`"):
        read("image,label\na.jpg,b\n", encoding="klingon")
    with pytest.raises(PluginError, match="can't be read as ascii"):
        read("image,label\na.jpg,é\n", encoding="ascii")


EXACT = [
    "NA",
    "01",
    "1",
    "1.0",
    "None",
    "null",
    "true",
    "TRUE",
    "<script>alert(1);</script>",
    "=1+1",
    "nan",
    "-",
    "?",
]


@pytest.mark.parametrize(
    "label", [*EXACT, "été", "日本", "Canis lupus", "a/b", 'say "hi"', "x'y", "it's", "{a}"]
)
def test_labels_are_text_exactly(label: str) -> None:
    quoted = '"' + label.replace('"', '""') + '"'
    assert labels(f"image,label\na.jpg,{quoted}\nb.jpg,other\n")[0] == ("a.jpg", (label,))


def test_an_empty_label_is_an_unlabelled_image() -> None:
    assert labels("image,label\na.jpg,\nb.jpg,cat\nc.jpg\n") == [
        ("a.jpg", ()),
        ("b.jpg", ("cat",)),
        ("c.jpg", ()),
    ]


def test_rows_of_one_image_stay_separate_and_add_up() -> None:
    text = "image,label\na.jpg,cat\na.jpg,dog\na.jpg,cat\n"
    assert labels(text) == [("a.jpg", ("cat",)), ("a.jpg", ("dog",)), ("a.jpg", ("cat",))]
    described = describe(text)
    assert (described.images, described.labels) == (1, {"cat": 1, "dog": 1})


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["cat|dog", "cat"], [("cat", "dog"), ("cat",)]),
        (["cat;dog ; bird", "cat"], [("cat", "dog", "bird"), ("cat",)]),
        (["cat, dog", "cat"], [("cat", "dog"), ("cat",)]),
        (['["cat", "dog"]', "[]"], [("cat", "dog"), ()]),
        (['["a, b", "01"]', "cat"], [("a, b", "01"), ("cat",)]),
        (["['cat', \"it's\"]", "['dog']"], [("cat", "it's"), ("dog",)]),
        (["['cat' 'dog']", "['dog']"], [("cat", "dog"), ("dog",)]),
        (["[1, 2, true]", "[3]"], [("1", "2", "true"), ("3",)]),
        (["scab rust", "scab", "rust"], [("scab", "rust"), ("scab",), ("rust",)]),
        (
            ["golden retriever", "labrador retriever", "cat"],
            [("golden retriever",), ("labrador retriever",), ("cat",)],
        ),
        ([f"a{n}, b{n}" for n in range(6)], [(f"a{n}, b{n}",) for n in range(6)]),
        (["[x", "cat"], [("[x",), ("cat",)]),
    ],
)
def test_several_labels_in_a_cell(cells: list[str], expected: list[tuple[str, ...]]) -> None:
    rows = [("image", "label"), *((f"{n}.jpg", cell) for n, cell in enumerate(cells))]
    text = written(rows)
    assert [found for _, found in labels(text)] == expected


def test_tags_separated_by_blanks() -> None:
    cells = ["haze primary", "agriculture clear primary water", "clear primary", "agriculture clear road"]
    text = written([("image_name", "tags"), *((f"train_{n}", cell) for n, cell in enumerate(cells))])
    assert [found for _, found in labels(text)] == [tuple(cell.split()) for cell in cells]
    assert any("read at ` `; set the option separator to none" in note for note in describe(text).notes)


def test_the_separator_can_be_chosen() -> None:
    text = 'image,label\na.jpg,"cat,dog"\nb.jpg,cat+dog\n'
    assert labels(text, separator="none") == [("a.jpg", ("cat,dog",)), ("b.jpg", ("cat+dog",))]
    assert labels(text, separator="+") == [("a.jpg", ("cat,dog",)), ("b.jpg", ("cat", "dog"))]


def test_labels_in_several_columns() -> None:
    both = [("a.jpg", ("cat", "dog")), ("b.jpg", ("cat",))]
    assert labels("image,label_1,label_2\na.jpg,cat,dog\nb.jpg,cat,\n") == both
    assert labels("image,label,label\na.jpg,cat,dog\nb.jpg,cat,\n") == both
    assert labels("a.jpg,cat,dog\nb.jpg,cat\n") == both
    assert labels("image,one,two\na.jpg,cat,dog\nb.jpg,cat,\n", label_column="one, two") == both


def test_splits() -> None:
    text = "image,label,Split\na.jpg,x,TRAIN\nb.jpg,x,valid\nc.jpg,x,Testing\nd.jpg,x,holdout\ne.jpg,x,\n"
    found = [item.split for item in read(text) if isinstance(item, Example)]
    assert found == ["train", "validation", "test", None, None]
    assert any("`holdout`, which name no split" in note for note in describe(text).notes)
    truth = "image,label,is_valid\na.jpg,x,True\nb.jpg,x,False\n"
    assert [item.split for item in read(truth) if isinstance(item, Example)] == ["validation", "train"]


def test_one_table_for_each_split() -> None:
    tables = {f"{name}.csv": f"image,label\n{name}.jpg,cat\n".encode() for name in ("train", "val", "test")}
    found = {item.image: item.split for item in read(MemorySource(tables)) if isinstance(item, Example)}
    assert found == {"train.jpg": "train", "val.jpg": "validation", "test.jpg": "test"}
    folders = {f"{name}/labels.csv": b"image,label\na.jpg,cat\n" for name in ("train", "valid")}
    images = {"train/a.jpg": b"", "valid/a.jpg": b""}
    found = {
        item.image: item.split
        for item in read(MemorySource({**folders, **images}))
        if isinstance(item, Example)
    }
    assert found == {"train/a.jpg": "train", "valid/a.jpg": "validation"}


def test_the_table_is_found_among_images_and_other_files() -> None:
    files = {
        "images/a.jpg": b"",
        "README.txt": b"These are our\nbeetles from last year, sorted.\n",
        "meta/labels.csv": b"image,label\na.jpg,cat\n",
        "other.csv": b"photo,label\na.jpg,dog\n",
    }
    assert labels(MemorySource(files), file="other.csv") == [("a.jpg", ("dog",))]
    assert any("set the option file" in note for note in describe(MemorySource(files)).notes)
    with pytest.raises(PluginError, match=r"holds no file `nope\.csv`\. The tables in it are: "):
        read(MemorySource(files), file="nope.csv")
    with pytest.raises(PluginError, match="holds no table"):
        read(MemorySource({"a.jpg": b"", "b.jpg": b""}))


def test_columns_can_be_chosen_and_are_offered() -> None:
    text = "id,front,animal,place\n1,a.jpg,cat,home\n2,b.jpg,dog,home\n"
    described = describe(text)
    assert [(field.name, field.role, field.distinct) for field in described.fields] == [
        ("id", "other", 2),
        ("front", "image", 2),
        ("animal", "other", 2),
        ("place", "other", 1),
    ]
    assert described.fields[3].samples == (("home", 2),)
    question = r"Several columns of `labels\.csv` may hold the labels: `animal`, `place`\. Choose one with label_column"
    assert any("may hold the labels" in note for note in described.notes)
    with pytest.raises(PluginError, match=question):
        read(text)
    assert labels(text, label_column="animal") == [("a.jpg", ("cat",)), ("b.jpg", ("dog",))]
    assert labels(text, label_column="animal", image_column="ID") == [("1", ("cat",)), ("2", ("dog",))]
    with pytest.raises(PluginError, match=r"has no column `nope`\. It has: id, front, animal, place\."):
        read(text, label_column="nope")


def test_the_header_can_be_told() -> None:
    text = "label,file\na.jpg,cat\n"
    assert labels(text, header="no") == [("label", ("file",)), ("a.jpg", ("cat",))]
    assert labels("a,b\nx.jpg,cat\n", header="yes") == [("x.jpg", ("cat",))]
    assert any("has no header" in note for note in describe("a.jpg,cat\nb.jpg,dog\n").notes)


def test_negative_labels_are_kept_unless_a_state_is_wanted() -> None:
    text = "Image Index,Finding Labels\na.png,No Finding\nb.png,Mass|Edema\n"
    assert labels(text) == [("a.png", ("No Finding",)), ("b.png", ("Mass", "Edema"))]
    assert any("`No Finding` is kept as a label" in note for note in describe(text).notes)
    found = read(text, negatives="none-of-these")
    assert [(item.labels, item.state) for item in found if isinstance(item, Example)] == [
        ((), "none-of-these"),
        (("Mass", "Edema"), None),
    ]


def test_boxes_without_a_class_give_no_label() -> None:
    assert labels("1.jpg,0,1,1,1\n1.jpg,1,2,2,1\n2.jpg,0,0,1,1\n") == [
        ("1.jpg", ()),
        ("1.jpg", ()),
        ("2.jpg", ()),
    ]
    assert labels("image,xmin,ymin,xmax,ymax\n1.jpg,0,1,1,1\n") == [("1.jpg", ())]


def test_bad_rows_are_listed_with_their_number_and_the_rest_is_read() -> None:
    text = (
        'image,label\na.jpg,cat\n,dog\nb.jpg,"open\nc.jpg,cat\nd.jpg,"x" y\ne.jpg,1,2\n'
        'f\0.jpg,cat\n\ng.jpg,"two\nlines"\nh.jpg,' + "x" * 200_000 + "\ni.jpg,dog\n"
    )
    found = read(text)
    assert [item.image for item in found if isinstance(item, Example)] == ["a.jpg", "c.jpg", "g.jpg", "i.jpg"]
    assert [item.labels for item in found if isinstance(item, Example)][2] == ("two\nlines",)
    assert [(item.location, item.reason) for item in found if isinstance(item, Skipped)] == [
        ("row 3", "The row names no image."),
        (
            "row 4",
            "The row can't be read: text follows a closing quotation mark; double the quotation marks inside a cell.",
        ),
        (
            "row 6",
            "The row can't be read: text follows a closing quotation mark; double the quotation marks inside a cell.",
        ),
        ("row 7", "The row has 3 cells and the header 2; quote cells that hold the delimiter."),
        ("row 8", "The row can't be read: it holds a NUL character."),
        ("row 11", "The row can't be read: it is too long."),
    ]
    assert "6 rows can't be used; the import lists each of them." in describe(text).notes


def test_a_quote_that_never_closes_costs_one_row() -> None:
    rows = "".join(f"{n}.jpg,cat\n" for n in range(3000))
    found = read(f'image,label\nbad.jpg,"open\n{rows}')
    assert [item.location for item in found if isinstance(item, Skipped)] == ["row 2"]
    assert len(found) == 3001


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    found = read("image,label\na.jpg,cat\n" + "x" * 3_000_000 + "\nb.jpg,dog\n")
    assert [item.location for item in found if isinstance(item, Skipped)] == ["row 3"]
    assert len(found) == 3


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0", "is not a text file. Choose a CSV"),
        (b"PK\x03\x04\x14\0\0\0", "is not a text file. Save the sheet as CSV"),
        (b"image,label" + b",x" * 5000 + b"\na.jpg,b\n", "has 5002 columns; 4096 are allowed"),
    ],
)
def test_files_that_are_no_table(data: bytes, message: str) -> None:
    with pytest.raises(PluginError, match=r"`labels\.csv` " + message):
        read(data)
    assert CsvLabels.recognises(source(data)) == 0


def written(rows: Sequence[Sequence[str]], delimiter: str = ",", end: str = "\r\n") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=end).writerows(rows)
    return text.getvalue()


LABEL = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\u2028\u2029\ufeff"),
    min_size=1,
    max_size=12,
).filter(lambda text: text.strip() == text)


@given(
    cells=st.lists(st.one_of(st.just(""), LABEL), min_size=1, max_size=20),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_whole_cells_come_back_exactly(cells: list[str], delimiter: str, end: str, encoding: str) -> None:
    rows = [("image", "label"), *((f"{n}.jpg", cell) for n, cell in enumerate(cells))]
    found = labels(written(rows, delimiter, end).encode(encoding), separator="none")
    assert found == [(f"{n}.jpg", (cell,) if cell else ()) for n, cell in enumerate(cells)]


@given(
    rows=st.lists(st.lists(LABEL, unique=True, max_size=4), min_size=1, max_size=10),
)
def test_lists_written_as_json_come_back_exactly(rows: list[list[str]]) -> None:
    import json

    cells = [("image", "labels"), *((f"{n}.jpg", json.dumps(row)) for n, row in enumerate(rows))]
    assert labels(written(cells)) == [(f"{n}.jpg", tuple(row)) for n, row in enumerate(rows)]


@given(data=st.binary(max_size=300))
def test_any_bytes_give_rows_or_a_sentence(data: bytes) -> None:
    assert 0 <= CsvLabels.recognises(source(data)) <= 1
    try:
        found = read(b"image,label\na.jpg,cat\n" + data)
    except PluginError as error:
        assert "`labels.csv`" in str(error)
    else:
        assert found


def test_a_real_table() -> None:
    folder = os.environ.get("FIELDMARK_DATA")
    if not folder:
        pytest.skip("FIELDMARK_DATA is not set")
    with open_source(Path(folder) / "trashnet_mini") as it:
        assert CsvLabels.recognises(it) >= 0.8
        found = [item for item in read(it) if isinstance(item, Example)]
    assert found
    assert all(item.labels == (item.image.split("/")[0],) and item.split for item in found)
