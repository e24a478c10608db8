"""Everything that should not be uploaded: each gets a sentence, the good part goes in, nothing is lost."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import zipfile
from pathlib import Path

import pytest
from PIL import Image


def png(colour: int) -> bytes:
    buffer = io.BytesIO()
    image = Image.new("RGB", (30, 20), (colour, 90, 30))
    image.putpixel((colour % 30, colour % 20), (255, 255, 255))
    image.save(buffer, "PNG")
    return buffer.getvalue()


def adds_up(report: dict) -> None:
    assert report["seen"] == report["stored"] + report["duplicates"] + len(report["refused"]) + len(
        report["skipped"]
    )


def test_hostile_images_are_refused_and_odd_ones_stored(
    fieldmark, hostile_images: Path, odd_images: Path
) -> None:
    fieldmark("project", "create", "p")
    bad = fieldmark("upload", "p", hostile_images, code=1).document
    adds_up(bad)
    assert bad["stored"] == 0
    reasons = {item["name"]: item["reason"] for item in bad["refused"]}
    assert all(reasons.values())
    assert not any(str(fieldmark.workspace) in reason or "Error" in reason for reason in reasons.values())
    good = fieldmark("upload", "p", odd_images).document
    adds_up(good)
    assert good["refused"] == []
    assert good["stored"] > 10
    said = " ".join(note["reason"] for note in good["notes"])
    for word in ("first", "16", "CMYK", "upright"):
        assert word in said


def test_a_zip_full_of_traps(fieldmark, tmp_path: Path) -> None:
    path = tmp_path / "traps.zip"
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("cats/good.png", png(1))
        archive.writestr("cats/wrong-crc.png", png(2))
        archive.writestr("../outside.png", png(3))
        archive.writestr("/absolute.png", png(4))
        archive.writestr(link, "/etc/passwd")
        archive.writestr("bomb.png", b"\0" * 60_000_000)
        archive.writestr("a\nb.png", png(5))
        archive.writestr("x" * 300 + ".png", png(6))
        archive.writestr("🐱/ראש.png", png(7))
        archive.writestr("__MACOSX/cats/._good.png", b"litter")
    content = bytearray(path.read_bytes())
    at = content.find(b"cats/wrong-crc.png", content.find(b"PK\x01\x02"))
    content[at - 46 + 16] ^= 0xFF
    path.write_bytes(content)
    fieldmark("project", "create", "p")
    report = fieldmark("upload", "p", path, "--labels-from-folder").document
    adds_up(report)
    refused = " ".join(item["name"] for item in report["refused"])
    for name in ("wrong-crc", "outside", "absolute", "link", "bomb"):
        assert name in refused
    assert report["stored"] >= 3
    assert "🐱" in {row["name"] for row in fieldmark("labels", "list", "p").document["labels"]}
    assert not list(tmp_path.glob("**/outside.png"))


def test_zips_that_are_refused_whole(fieldmark, tmp_path: Path) -> None:
    fieldmark("project", "create", "p")
    many = tmp_path / "many.zip"
    with zipfile.ZipFile(many, "w") as archive:
        for number in range(50_001):
            archive.writestr(f"{number}.png", b"")
    assert "50" in fieldmark("upload", "p", many, code=1).document["refused"][0]["reason"]
    broken = tmp_path / "broken.zip"
    broken.write_bytes(many.read_bytes()[:1000])
    assert fieldmark("upload", "p", broken, code=1).document["refused"]


def test_the_same_name_twice_and_odd_names(fieldmark, tmp_path: Path) -> None:
    for folder, colour in (("one", 10), ("two", 20)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.png").write_bytes(png(colour))
    (tmp_path / "one" / "new\nline.png").write_bytes(png(30))
    (tmp_path / "one" / "\u202egnp.png").write_bytes(png(40))
    with open(os.fsencode(tmp_path) + b"/one/\xff\xfe.png", "wb") as file:
        file.write(png(50))
    fieldmark("project", "create", "p")
    report = fieldmark("upload", "p", tmp_path / "one", tmp_path / "two").document
    adds_up(report)
    assert report["stored"] == 3
    assert len(report["refused"]) == 2
    assert report["renamed"] == [
        {"name": "a.png", "reason": "the name was taken by another picture: stored as a (2).png"}
    ]


def test_what_is_not_there_or_empty(fieldmark, tmp_path: Path) -> None:
    fieldmark("project", "create", "p")
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "nowhere", tmp_path / "empty"):
        assert fieldmark("upload", "p", path, code=1).err.startswith("fieldmark: nothing was stored")
    assert "can't be empty" in fieldmark("upload", "p", tmp_path, "--label", " ", code=1).err


@pytest.mark.parametrize(
    ("content", "labels"),
    [
        (b"\xef\xbb\xbfimage,label\na.png,caf\xc3\xa9\n", ["café"]),
        ("image;label\na.png;NA\n".encode("utf-16"), ["NA"]),
        (b"image,label\r\na.png,01\r\n", ["01"]),
        (b"image,label\na.png,<script>\nb.png,\n", ["<script>"]),
        (b"a.png,one,two\n", ["one", "two"]),
    ],
    ids=["bom", "utf-16", "leading zero", "markup and empty", "no header"],
)
def test_label_files_as_programs_write_them(
    fieldmark, tmp_path: Path, content: bytes, labels: list[str]
) -> None:
    (tmp_path / "a.png").write_bytes(png(1))
    fieldmark("project", "create", "p")
    fieldmark("upload", "p", tmp_path / "a.png")
    (tmp_path / "labels.csv").write_bytes(content)
    fieldmark("labels", "import", "p", tmp_path / "labels.csv", "--format", "csv")
    assert [row["name"] for row in fieldmark("labels", "list", "p").document["labels"]] == labels


@pytest.fixture
def small_disk(tmp_path: Path):
    mount = tmp_path / "small"
    mount.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", mount], check=False, capture_output=True
    )
    if done.returncode:
        pytest.skip("mounting a small disk needs root")
    yield mount
    subprocess.run(["umount", mount], check=True)


def test_a_full_disk_loses_nothing_that_was_stored(fieldmark, small_disk: Path, tmp_path: Path) -> None:
    source = tmp_path / "large"
    source.mkdir()
    for number in range(30):
        noise = Image.frombytes("RGB", (600, 500), os.urandom(900_000))
        noise.save(source / f"{number:02}.png")
    fieldmark.workspace = small_disk / "ws"
    fieldmark("project", "create", "p")
    report = fieldmark("upload", "p", source, code=None).document
    adds_up(report)
    assert report["refused"]
    assert "disk is full" in report["refused"][0]["reason"]
    stored = report["stored"]
    assert fieldmark("projects").document["projects"][0]["images"] == stored
    subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)
    again = fieldmark("upload", "p", source).document
    assert again["stored"] + again["duplicates"] == 30
    assert again["duplicates"] == stored
    assert again["refused"] == []
