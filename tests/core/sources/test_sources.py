"""Files, folders and zips are read alike; what can't be used is refused by name and the rest goes on."""

import os
import stat
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.core.contracts.plugin import PluginError
from fieldmark.core.sources import zip_source
from fieldmark.core.sources.opening import open_source
from fieldmark.storage.errors import FieldmarkError

TREE = {"cat/a.jpg": b"1", "cat/b.jpg": b"22", "dog/a.jpg": b"333", "root.txt": b"4444"}


def folder_of(path: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def zip_of(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def contents(path: Path) -> dict[str, bytes]:
    with open_source(path) as source:
        found = {}
        for name in source.names():
            with source.open(name) as file:
                found[name] = file.read()
        return found


def refusals(path: Path) -> dict[str, str]:
    with open_source(path) as source:
        list(source.names())
        return {refused.location: refused.reason for refused in source.refused}


@pytest.mark.parametrize("make", [folder_of, zip_of])
def test_a_folder_and_a_zip_of_it_are_the_same(make: Callable[..., Path], tmp_path: Path) -> None:
    assert contents(make(tmp_path / "it", TREE)) == TREE


@pytest.mark.parametrize("make", [folder_of, zip_of])
def test_one_wrapper_folder_is_left_out_and_remembered(make: Callable[..., Path], tmp_path: Path) -> None:
    wrapped = {f"photos 2024/{name}": data for name, data in TREE.items()}
    path = make(tmp_path / "it", wrapped)
    assert contents(path) == TREE
    with open_source(path) as source:
        assert source.root_name == "photos 2024"


@pytest.mark.parametrize("make", [folder_of, zip_of])
def test_only_one_wrapper_is_left_out(make: Callable[..., Path], tmp_path: Path) -> None:
    assert set(contents(make(tmp_path / "it", {"outer/inner/a.jpg": b"", "outer/inner/b.jpg": b""}))) == {
        "inner/a.jpg",
        "inner/b.jpg",
    }


@pytest.mark.parametrize("make", [folder_of, zip_of])
def test_hidden_files_and_litter_are_left_out(make: Callable[..., Path], tmp_path: Path) -> None:
    litter = [".DS_Store", "cat/._a.jpg", "__MACOSX/cat/a.jpg", "cat/Thumbs.db", ".git/x.jpg", "@eaDir/t.jpg"]
    path = make(tmp_path / "it", {**TREE, **dict.fromkeys(litter, b"x")})
    assert contents(path) == TREE
    assert refusals(path) == {}


def test_a_folder_is_called_by_its_own_name(tmp_path: Path) -> None:
    with open_source(folder_of(tmp_path / "beetles", TREE)) as source:
        assert (source.label, source.root_name) == ("beetles", "beetles")


def test_an_empty_folder_beside_the_wrapper_changes_nothing(tmp_path: Path) -> None:
    folder_of(tmp_path / "it", {"photos/a.jpg": b"", "photos/b/c.jpg": b""})
    (tmp_path / "it" / "empty" / "deeper").mkdir(parents=True)
    assert set(contents(tmp_path / "it")) == {"a.jpg", "b/c.jpg"}


@given(
    names=st.sets(
        st.lists(st.text(alphabet="ab-. /Z\u00e9", min_size=1, max_size=3), min_size=1, max_size=3).map(
            "/".join
        ),
        max_size=12,
    )
)
def test_a_folder_comes_in_the_order_of_full_paths(
    names: set[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("order")
    (root / "z.jpg").touch()
    for name in names:
        parts = [part.strip(" .") or "x" for part in name.split("/")]
        target = root.joinpath(*parts)
        if not any(parent.is_file() for parent in target.parents) and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
    with open_source(root) as source:
        found = list(source.names())
    assert found == sorted(found)
    assert len(found) == sum(path.is_file() for path in root.rglob("*"))


def test_a_single_file_is_known_by_its_base_name(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(b"a,b")
    with open_source(tmp_path / "labels.csv") as source:
        assert (list(source.names()), source.root_name) == (["labels.csv"], "")
        assert source.head("labels.csv", 2) == b"a,"
        with pytest.raises(PluginError, match=r"no file `other\.csv`"):
            source.open("other.csv")


def test_an_upload_is_known_by_the_name_it_came_with(tmp_path: Path) -> None:
    with open_source(zip_of(tmp_path / "tmp81x", TREE), label="photos.zip") as source:
        assert source.label == "photos.zip"
        assert set(source.names()) == set(TREE)


@pytest.mark.parametrize("label", ["../../a.jpg", "C:\\photos\\a.jpg", "/etc/a.jpg"])
def test_an_upload_s_name_never_brings_a_path(label: str, tmp_path: Path) -> None:
    (tmp_path / "tmp81x").write_bytes(b"x")
    with open_source(tmp_path / "tmp81x", label=label) as source:
        assert list(source.names()) == ["a.jpg"]


def test_a_spreadsheet_is_a_file_although_it_is_a_zip(tmp_path: Path) -> None:
    with open_source(zip_of(tmp_path / "labels.xlsx", {"xl/workbook.xml": b"<x/>"})) as source:
        assert list(source.names()) == ["labels.xlsx"]


def test_a_missing_path_is_named_in_full(tmp_path: Path) -> None:
    with pytest.raises(FieldmarkError) as caught:
        open_source(tmp_path / "nope" / "photos")
    assert str(caught.value) == f"There is nothing at {tmp_path}/nope/photos. Check the path."


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip at all", b"PK\x03\x04" + b"\0" * 60])
def test_a_file_called_zip_that_is_none_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(FieldmarkError, match=r"`a\.zip` is not a zip or is damaged"):
        open_source(tmp_path / "a.zip")


def test_nothing_inside_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty" / "deeper").mkdir(parents=True)
    with pytest.raises(FieldmarkError, match="The folder `empty` holds no files"):
        open_source(tmp_path / "empty")
    with pytest.raises(FieldmarkError, match=r"The zip `a\.zip` holds no files"):
        open_source(zip_of(tmp_path / "a.zip", {}))


@pytest.mark.skipif(sys.platform == "win32", reason="needs links and pipes")
def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    root = folder_of(tmp_path / "it", TREE)
    (root / "out.jpg").symlink_to(tmp_path / "secret.jpg")
    (root / "up").symlink_to(tmp_path)
    (root / "loop").symlink_to(root)
    (root / "gone.jpg").symlink_to(root / "nowhere.jpg")
    (root / "inside.jpg").symlink_to(root / "cat" / "a.jpg")
    os.mkfifo(root / "pipe.jpg")
    assert contents(root) == {**TREE, "inside.jpg": b"1"}
    refused = refusals(root)
    assert set(refused) == {"out.jpg", "up", "loop", "gone.jpg", "pipe.jpg"}
    assert "leads out of the folder" in refused["out.jpg"]
    with open_source(root) as source:
        for name in ("out.jpg", "../secret.jpg", "up/secret.jpg", "cat//a.jpg", "/etc/hostname"):
            with pytest.raises(PluginError, match="`"):
                source.open(name)


@pytest.mark.skipif(sys.platform != "linux", reason="needs names of any bytes")
def test_names_that_are_no_text_are_refused_by_a_sentence(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "it", TREE)
    (root / "line\nbreak.jpg").touch()
    with open(os.fsencode(root) + b"/caf\xe9.jpg", "wb"):
        pass
    assert contents(root) == TREE
    assert refusals(root) == {
        "line\ufffdbreak.jpg": "Its name holds a control character, such as a line break; rename it.",
        "caf?.jpg": "Its name holds bytes that are not text; rename it.",
    }


def test_folders_too_deep_are_refused_once(tmp_path: Path) -> None:
    deep = "/".join(["d"] * 25)
    root = folder_of(tmp_path / "it", {**TREE, f"{deep}/a.jpg": b"", f"{deep}/b.jpg": b""})
    assert contents(root) == TREE
    assert [reason for reason in refusals(root).values()] == [
        "It lies more than 20 folders deep; move it further up."
    ]


def entry(name: str, **changes: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    for key, value in changes.items():
        setattr(info, key, value)
    return info


HOSTILE: list[tuple[zipfile.ZipInfo | str, bytes, str]] = [
    ("../../etc/passwd", b"x", "leads out of the zip"),
    ("a/../../b.jpg", b"x", "leads out of the zip"),
    ("..\\up.jpg", b"x", "leads out of the zip"),
    ("/abs.jpg", b"x", "absolute path"),
    ("C:\\windows\\a.jpg", b"x", "absolute path"),
    (entry("link.jpg", external_attr=(stat.S_IFLNK | 0o777) << 16), b"/etc/passwd", "It is a link"),
    (entry("pipe.jpg", external_attr=(stat.S_IFIFO | 0o777) << 16), b"", "not an ordinary file"),
    ("bomb.jpg", b"\0" * 2_000_000, "decompression bomb"),
    ("a\nb.jpg", b"x", "control character"),
    ("n" * 1100 + ".jpg", b"x", "1104 bytes long"),
    ("/".join(["d"] * 22) + "/a.jpg", b"x", "folders deep"),
    (entry("lzma.jpg", compress_type=zipfile.ZIP_LZMA), b"x", "compression method"),
]


@pytest.mark.parametrize(("info", "data", "reason"), HOSTILE, ids=[r for _, _, r in HOSTILE])
def test_a_hostile_entry_is_refused_and_the_rest_is_read(
    info: zipfile.ZipInfo | str, data: bytes, reason: str, tmp_path: Path
) -> None:
    path = zip_of(tmp_path / "a.zip", TREE)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(info, data)
    assert contents(path) == TREE
    [(location, found)] = refusals(path).items()
    assert reason in found
    assert "\n" not in location


def patched(path: Path, name: bytes, at: int, value: bytes, local_at: int | None = None) -> Path:
    """Overwrite a field in the directory's record of an entry, and in its local header too if asked."""
    data = bytearray(path.read_bytes())
    record = data.rindex(b"PK\x01\x02", 0, data.rindex(name))
    data[record + at : record + at + len(value)] = value
    if local_at is not None:
        start = data.rindex(b"PK\x03\x04", 0, data.index(name))
        data[start + local_at : start + local_at + len(value)] = value
    path.write_bytes(data)
    return path


def test_an_encrypted_entry_is_refused(tmp_path: Path) -> None:
    path = patched(zip_of(tmp_path / "a.zip", TREE), b"dog/a.jpg", 8, b"\x01\x00", 6)
    assert set(contents(path)) == set(TREE) - {"dog/a.jpg"}
    assert refusals(path) == {"dog/a.jpg": "It is encrypted; make a zip without a password."}


def test_an_entry_that_claims_to_be_huge_is_refused(tmp_path: Path) -> None:
    path = patched(zip_of(tmp_path / "a.zip", TREE), b"dog/a.jpg", 24, struct.pack("<I", 300 * 1024**2))
    assert refusals(path) == {"dog/a.jpg": "It is 300 MiB large; 200 MiB are allowed."}


def test_the_first_of_two_equal_names_is_kept(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", TREE)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("cat/a.jpg", b"second")
    assert contents(path) == TREE
    assert refusals(path) == {"cat/a.jpg": "The zip holds this name twice; the first is used."}


def test_entries_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", {"a.jpg": b"1" * 40, "b.jpg": b"1" * 40}, zipfile.ZIP_STORED)
    path = patched(path, b"b.jpg", 42, struct.pack("<I", 4))
    assert "overlap" in refusals(path)["b.jpg"]


def test_damage_shows_while_reading_and_names_the_member(tmp_path: Path) -> None:
    files = {"good.jpg": b"good", "bad.jpg": bytes(range(256)) * 40}
    path = zip_of(tmp_path / "a.zip", files, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.index(files["bad.jpg"]) + 5000] ^= 1
    path.write_bytes(data)
    with open_source(path) as source:
        with source.open("good.jpg") as file:
            assert file.read() == b"good"
        with (
            source.open("bad.jpg") as file,
            pytest.raises(PluginError, match=r"`bad\.jpg` in `a\.zip` is damaged"),
        ):
            file.read()


@pytest.mark.parametrize("size", [10, 5000, 60_000])
def test_an_entry_that_lies_about_its_size_is_damaged(size: int, tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", {"a.jpg": os.urandom(20_000), "b.jpg": b"b"})
    path = patched(path, b"a.jpg", 24, struct.pack("<I", size), 22)
    with (
        open_source(path) as source,
        source.open("a.jpg") as file,
        pytest.raises(PluginError, match=r"`a\.jpg` in `a\.zip` is damaged"),
    ):
        while piece := file.read(1000):
            assert len(piece) <= 1000


def test_a_zip_cut_anywhere_is_refused_or_names_what_is_damaged(tmp_path: Path) -> None:
    whole = zip_of(tmp_path / "a.zip", {f"{n}.jpg": os.urandom(200) for n in range(5)}).read_bytes()
    for length in range(4, len(whole), 37):
        (tmp_path / "b.zip").write_bytes(whole[:length])
        with pytest.raises(FieldmarkError, match=r"`b\.zip`"):
            contents(tmp_path / "b.zip")


def test_any_flipped_byte_gives_the_files_or_a_sentence(tmp_path: Path) -> None:
    files = {"a.jpg": os.urandom(60), "d/b.jpg": b"b" * 60}
    whole = zip_of(tmp_path / "a.zip", files).read_bytes()
    for at in range(len(whole)):
        (tmp_path / "b.zip").write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            found = contents(tmp_path / "b.zip")
        except FieldmarkError as error:
            assert "`" in str(error)
        else:
            assert set(found.values()) <= set(files.values())


def test_too_many_entries_are_refused_before_they_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zip_source, "MAX_ENTRIES", 10)
    zip_of(tmp_path / "ten.zip", {f"{n}.jpg": b"" for n in range(10)})
    assert len(contents(tmp_path / "ten.zip")) == 10
    zip_of(tmp_path / "more.zip", {f"{n}.jpg": b"" for n in range(11)})
    with pytest.raises(FieldmarkError, match=r"`more\.zip` holds more than 10 entries"):
        open_source(tmp_path / "more.zip")


def test_a_zip_that_would_fill_the_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_source, "MAX_TOTAL", 9)
    with pytest.raises(FieldmarkError, match="would unpack to"):
        open_source(zip_of(tmp_path / "a.zip", TREE))


def test_windows_names_and_names_without_the_utf8_flag(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    zip_of(path, {"cat\\a.jpg": b"1", "cat\\XXXXXX.jpg": b"2"})
    data = path.read_bytes()
    path.write_bytes(data.replace(b"XXXXXX", "äöü".encode()))
    assert contents(path) == {"a.jpg": b"1", "äöü.jpg": b"2"}


def test_a_name_in_the_old_dos_encoding(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", {"XXX.jpg": b"1"})
    path.write_bytes(path.read_bytes().replace(b"XXX", "äöü".encode("cp437")))
    assert contents(path) == {"äöü.jpg": b"1"}


def test_a_zip_with_64_bit_fields(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive, archive.open("a.jpg", "w", force_zip64=True) as file:
        file.write(b"content")
    assert contents(path) == {"a.jpg": b"content"}


def test_a_zip_inside_a_zip_is_an_ordinary_file(tmp_path: Path) -> None:
    inner = zip_of(tmp_path / "inner.zip", TREE).read_bytes()
    assert contents(zip_of(tmp_path / "outer.zip", {"inner.zip": inner})) == {"inner.zip": inner}
