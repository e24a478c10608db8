"""The grouped zip, opened again and unpacked."""

import io
import itertools
import re
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark import ExportContext, PluginError, PredictedImage
from fieldmark.core.registry import load_registry

Image = tuple[str, list[str], bytes]


def write(images: list[Image], labels: list[str], target: BinaryIO) -> None:
    records = (
        PredictedImage(name, tuple(predicted), {label: 0.5 for label in labels}, partial(io.BytesIO, content))
        for name, predicted, content in images
    )
    load_registry().exporter("grouped-zip").write(
        records, ExportContext("p", tuple(labels), len(images)), target
    )


def unzipped(images: list[Image], labels: list[str]) -> dict[str, bytes]:
    target = io.BytesIO()
    write(images, labels, target)
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def lost(*labels: str) -> list[str]:
    return load_registry().exporter("grouped-zip").loses(ExportContext("p", labels, 1))


def test_each_image_lies_unchanged_in_each_of_its_labels_folders() -> None:
    images: list[Image] = [
        ("deep/a.jpg", ["cat", "dog"], b"\xff\xd8 a"),
        ("b.png", ["dog"], b"\x89PNG b"),
        ("c.png", [], b"c"),
    ]
    assert unzipped(images, ["cat", "dog"]) == {
        "cat/deep/a.jpg": b"\xff\xd8 a",
        "dog/deep/a.jpg": b"\xff\xd8 a",
        "dog/b.png": b"\x89PNG b",
        "_none/c.png": b"c",
    }


def test_no_images_are_an_empty_zip() -> None:
    assert unzipped([], ["cat"]) == {}


@pytest.mark.parametrize(
    ("label", "folder"),
    [
        ("../x", ".._x"),
        ("a/b", "a_b"),
        ("a\\b", "a_b"),
        ("..", "_"),
        ("C:", "C_"),
        ("CON", "_CON"),
        ("nul.tar.gz", "_nul.tar.gz"),
        ("COM¹", "_COM¹"),
        ("ends. . ", "ends"),
        ("bird 🐦", "bird 🐦"),
        ("l" * 300, "l" * 80),
        ("鳥" * 300, "鳥" * 53),
        ("exe\u202egpj", "exe_gpj"),
        ("_none", "_none (2)"),
        ("_NONE", "_NONE (2)"),
    ],
)
def test_label_folders_are_safe_everywhere(label: str, folder: str) -> None:
    assert list(unzipped([("i.jpg", [label], b"i")], [label])) == [f"{folder}/i.jpg"]
    assert (f"The folder of the label '{label}' is called '{folder}'." in lost(label)) == (label != folder)


def test_labels_that_differ_only_in_case_or_unicode_form_stay_apart() -> None:
    labels = ["Butterfly", "butterfly", "é", "e\u0301", "a/b", "a:b"]
    names = unzipped([("i.jpg", labels, b"i")], labels)
    assert list(names) == [
        "Butterfly/i.jpg", "butterfly (2)/i.jpg", "é/i.jpg", "é (2)/i.jpg", "a_b/i.jpg", "a_b (2)/i.jpg",
    ]  # fmt: skip
    assert "The folder of the label 'butterfly' is called 'butterfly (2)'." in lost(*labels)


def test_images_whose_safe_names_meet_get_numbers() -> None:
    images: list[Image] = [
        ("A.jpg", [], b"1"),
        ("a.jpg", [], b"2"),
        ("a.JPG", [], b"3"),
        ("x?.jpg", [], b"4"),
    ]
    images += [
        ("x*.jpg", [], b"5"),
        ("f", [], b"6"),
        ("F/g.jpg", [], b"7"),
        ("h/i", [], b"8"),
        ("H", [], b"9"),
    ]
    assert unzipped(images, []) == {
        "_none/A.jpg": b"1",
        "_none/a (2).jpg": b"2",
        "_none/a (3).JPG": b"3",
        "_none/x_.jpg": b"4",
        "_none/x_ (2).jpg": b"5",
        "_none/f": b"6",
        "_none/F (2)/g.jpg": b"7",
        "_none/h/i": b"8",
        "_none/H (2)": b"9",
    }


def test_a_long_path_keeps_its_file_name() -> None:
    assert list(unzipped([("/".join(["folder"] * 20) + "/a.jpg", [], b"1")], [])) == ["_none/a.jpg"]


def test_many_images_of_one_safe_name_all_get_their_own() -> None:
    names = ["".join(characters) for characters in itertools.product('<>:"|?*', repeat=5)]
    assert len(unzipped([(name, [], b"") for name in names], [])) == len(names)


reserved = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
hostile = st.one_of(
    st.text(max_size=300),
    st.text("aA./\\ :~é\u0301", min_size=1, max_size=8),
    st.sampled_from(["..", "../..", "CON", "aux.jpg", "_none", "ß", "ss", "."]),
)


@given(st.lists(hostile, max_size=5, unique=True), st.data())
def test_whatever_the_names_every_image_is_there_and_every_path_is_safe(
    labels: list[str], data: st.DataObject
) -> None:
    predicted: st.SearchStrategy[list[str]] = (
        st.lists(st.sampled_from(labels), unique=True) if labels else st.just([])
    )
    drawn = data.draw(st.lists(st.tuples(hostile, predicted), max_size=6))
    images = [(name, chosen, str(number).encode()) for number, (name, chosen) in enumerate(drawn)]
    files = unzipped(images, labels)
    assert sorted(files.values()) == sorted(content for _, chosen, content in images for _ in chosen or [""])
    assert len({name.casefold() for name in files}) == len(files)
    for name in files:
        assert len(name) < 220
        for part in name.split("/"):
            assert part.strip(" ") and part.rstrip(". ") == part and len(part.encode()) < 200
            assert not re.search(r'[<>:"\\|?*\x00-\x1f]', part) and not reserved.fullmatch(part)


def test_it_unpacks_into_the_folder_it_was_told(tmp_path: Path) -> None:
    target = tmp_path / "out.zip"
    with target.open("wb") as file:
        write([("../../evil.jpg", ["/etc"], b"1"), ("/abs.jpg", ["../up"], b"2")], ["/etc", "../up"], file)
    inside = tmp_path / "inside"
    with zipfile.ZipFile(target) as archive:
        archive.extractall(inside)
    found = sorted(path.relative_to(inside).as_posix() for path in inside.rglob("*") if path.is_file())
    assert found == [".._up/abs.jpg", "_etc/_/_/evil.jpg"]


class Pipe(io.RawIOBase):
    """A target that can't seek, such as a download."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.largest = 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.data += data
        self.largest = max(self.largest, len(data))
        return len(data)


def test_it_streams_in_chunks_into_a_pipe() -> None:
    pipe = Pipe()
    content = bytes(range(256)) * 20_000
    write([("big.jpg", ["a"], content)], ["a"], pipe)  # type: ignore[arg-type]
    assert pipe.largest <= 1 << 20
    with zipfile.ZipFile(io.BytesIO(bytes(pipe.data))) as archive:
        assert archive.read("a/big.jpg") == content
        assert archive.getinfo("a/big.jpg").compress_type == zipfile.ZIP_STORED


def gone() -> BinaryIO:
    raise FileNotFoundError(2, "No such file or directory", "/secret/path")


class Broken(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise OSError(5, "Input/output error", "/secret/path")


@pytest.mark.parametrize("opener", [gone, Broken])
def test_an_image_that_cant_be_read_is_named_without_its_path(opener: Callable[[], BinaryIO]) -> None:
    records = [PredictedImage("a.jpg", (), {}, opener)]
    with pytest.raises(PluginError, match=r"^Image 'a\.jpg' can't be read \(") as caught:
        load_registry().exporter("grouped-zip").write(records, ExportContext("p", (), 1), io.BytesIO())
    assert "secret" not in str(caught.value)
