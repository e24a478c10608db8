"""Files that a browser sent, read as a folder on disk would be."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.core.sources.opening import FolderSource
from fieldmark.core.sources.received import Inbox, ReceivedSource, checked_name
from fieldmark.storage.errors import FieldmarkError

PARTS = st.sampled_from(["a", "b", "cat", "dog", "train", "x.jpg", "y.png"])
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)


@given(names=st.sets(PATHS, min_size=1, max_size=8))
def test_a_chosen_folder_gives_the_names_it_has_on_disk(
    names: set[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    names = {name for name in names if not any(other.startswith(f"{name}/") for other in names)}
    root = tmp_path_factory.mktemp("chosen") / "photos"
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    sent = {f"photos/{name}": root / name for name in names}

    received, folder = ReceivedSource(sent), FolderSource(root, "photos")

    assert list(received.names()) == list(folder.names())
    assert received.root_name == folder.root_name
    for name in received.names():
        with received.open(name) as ours, folder.open(name) as theirs:
            assert ours.read() == theirs.read()


@pytest.mark.parametrize(
    ("name", "clean"), [("a.jpg", "a.jpg"), ("/x/./a.jpg", "x/a.jpg"), ("x\\y\\a.jpg", "x/y/a.jpg")]
)
def test_a_name_is_cleaned(name: str, clean: str) -> None:
    assert checked_name(name) == clean


@pytest.mark.parametrize(
    "name", ["", "/", "../a.jpg", "x/../../a.jpg", "a\n.jpg", "a\0.jpg", "x" * 1100, "\ud800.jpg"]
)
def test_a_name_that_could_lead_anywhere_is_refused(name: str) -> None:
    with pytest.raises(FieldmarkError):
        checked_name(name)


def test_litter_of_an_operating_system_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    source = ReceivedSource(
        {name: tmp_path / "f" for name in ("d/.DS_Store", "d/__MACOSX/._a.jpg", "d/a.jpg")}
    )

    assert list(source.names()) == ["a.jpg"]


def test_the_same_name_again_takes_the_place_of_the_first(tmp_path: Path) -> None:
    received = Inbox(tmp_path).new()
    for content in (b"one", b"two!"):
        part = received.place()
        part.write_bytes(content)
        received.keep("a.jpg", part, len(content))

    assert received.sizes == {"a.jpg": 4}
    assert [path.read_bytes() for path in received.folder.iterdir()] == [b"two!"]
