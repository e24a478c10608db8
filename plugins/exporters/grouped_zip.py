"""Images grouped into a folder for each predicted label, as a zip."""

from __future__ import annotations

import re
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from fieldmark import (
    ExportContext,
    Exporter,
    LabelledImage,
    Options,
    PluginError,
    PredictedImage,
    hookimpl,
)

_NO_LABEL = "_none"
_CHUNK = 1 << 20
_LONGEST_PART = 80
_LONGEST_PATH = 120
# What Windows forbids in a name, and the marks that make `gpj.exe` read as `exe.jpg`.
_FORBIDDEN = re.compile('[<>:"/\\\\|?*\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]')
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.IGNORECASE)


class GroupedZip(Exporter[Options]):
    """The image files, byte for byte, in a folder for each label that was predicted for them.

    An image with several predicted labels lies in each of their folders, one without any in `_none`. Below the
    label's folder an image keeps the folders of its own name. Names are made safe for every system: characters
    that Windows forbids become `_`, a device name such as `CON` gets a `_` in front, dots and spaces at the end
    go, long parts are cut, and where two names would be the same but for upper and lower case, the later one
    gets ` (2)`. Files are stored, not compressed again.
    """

    name = "grouped-zip"
    summary = "The images themselves, in one folder for each predicted label"
    exports = "predictions"
    suffix = ".zip"
    media_type = "application/zip"

    def loses(self, context: ExportContext) -> list[str]:
        """Name each label whose folder is called differently, and what the folders can't say."""
        folders = _Folders(context.labels)
        renamed = [(label, folders.of(label)) for label in context.labels if folders.of(label) != label]
        sentences = [
            f"The folder of the label '{label}' is called '{folder}'." for label, folder in renamed[:20]
        ]
        if len(renamed) > 20:
            sentences.append(f"The folders of {len(renamed) - 20} more labels are called differently, too.")
        return [
            "The scores are not in the file, nor which of several predicted labels had the highest.",
            "Image names that Windows can't hold are changed.",
            *sentences,
        ]

    def write(
        self,
        records: Iterable[LabelledImage] | Iterable[PredictedImage],
        context: ExportContext,
        target: BinaryIO,
    ) -> None:
        """Copy each image as it comes; raises `PluginError` naming an image that can't be read."""
        folders = _Folders(context.labels)
        places = _Places()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            for record in records:
                if isinstance(record, PredictedImage):
                    for folder in [folders.of(label) for label in record.predicted] or [_NO_LABEL]:
                        _copy(record, archive, places.take(folder, record.image))


def _copy(record: PredictedImage, archive: zipfile.ZipFile, name: str) -> None:
    try:
        source = record.open()
    except OSError as error:
        raise _unreadable(record, error) from None
    with source:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = 0o644 << 16
        # The size isn't known before the end, so every entry has room for more than 4 GiB.
        with archive.open(entry, "w", force_zip64=True) as copy:
            for chunk in _chunks(record, source):
                copy.write(chunk)


def _chunks(record: PredictedImage, source: BinaryIO) -> Iterator[bytes]:
    while True:
        try:
            chunk = source.read(_CHUNK)
        except OSError as error:
            raise _unreadable(record, error) from None
        if not chunk:
            return
        yield chunk


def _unreadable(record: PredictedImage, error: OSError) -> PluginError:
    reason = error.strerror or type(error).__name__
    return PluginError(f"Image '{record.image}' can't be read ({reason}): upload it again or remove it.")


class _Folders:
    """A safe folder for each label, distinct on every file system."""

    def __init__(self, labels: Iterable[str]) -> None:
        self._names = _Names()
        self._names.add(_NO_LABEL)
        self._folders: dict[str, str] = {}
        for label in labels:
            self.of(label)

    def of(self, label: str) -> str:
        if label not in self._folders:
            self._folders[label] = self._names.add(self._names.free(_safe(label)))
        return self._folders[label]


class _Places:
    """A free path for each image, where no file is called like another file or folder."""

    def __init__(self) -> None:
        self._files = _Names()
        self._all = _Names()

    def take(self, folder: str, image: str) -> str:
        *parents, file = [_safe(part) for part in image.split("/") if part] or ["_"]
        if sum(map(len, parents)) + len(parents) + len(file) > _LONGEST_PATH:
            parents = []
        path = self._all.add(folder)
        for parent in parents:
            path = self._all.add(self._files.free(f"{path}/{parent}"))
        return self._files.add(self._all.add(self._all.free(*_split(f"{path}/{file}"))))


class _Names:
    """Names that are taken, compared as a file system compares them that ignores case and Unicode forms."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._numbers: dict[str, int] = {}

    def add(self, name: str) -> str:
        self._taken.add(_folded(name))
        return name

    def free(self, stem: str, suffix: str = "") -> str:
        key = _folded(stem + suffix)
        free = stem + suffix
        while _folded(free) in self._taken:
            self._numbers[key] = self._numbers.get(key, 1) + 1
            free = f"{stem} ({self._numbers[key]}){suffix}"
        return free


def _safe(part: str) -> str:
    name = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", part)).strip(" ").rstrip(". ")
    if len(name) > _LONGEST_PART or len(name.encode()) > 2 * _LONGEST_PART:
        stem, suffix = _split(name)
        room = 2 * _LONGEST_PART - len(suffix.encode())
        stem = stem[: _LONGEST_PART - len(suffix)].encode()[:room].decode(errors="ignore")
        name = (stem + suffix).rstrip(". ")
    if not name or _DEVICE.fullmatch(name):
        name = f"_{name}"
    return name


def _split(path: str) -> tuple[str, str]:
    stem, dot, suffix = path.rpartition(".")
    return (stem, dot + suffix) if stem and suffix.isalnum() and len(suffix) <= 10 else (path, "")


def _folded(path: str) -> str:
    """Return what a file system that ignores case and Unicode forms would compare."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


@hookimpl
def register_exporters() -> list[type[GroupedZip]]:
    """Offer the exporter `grouped-zip`."""
    return [GroupedZip]
