"""Reads a zip member by member, never unpacking it, with limits on what a hostile one can cost."""

from __future__ import annotations

import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, Final, cast

from fieldmark.core.contracts.plugin import PluginError
from fieldmark.core.sources.rules import OpenSource, cause, is_litter, printable, unusable
from fieldmark.storage.errors import FieldmarkError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_ENTRIES = 50_000
MAX_TOTAL = 20 * 1024**3
MAX_ENTRY = 200 * 1024**2
MAX_RATIO = 200
# Below this size no ratio hurts anyone.
_RATIO_FLOOR = 64 * 1024
_MAX_DIRECTORY = 64 * 1024**2
# LZMA is left out: its window alone may ask for 4 GiB.
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2})
_ENCRYPTED: Final = 0x1 | 0x40 | 0x2000
_PATCH: Final = 0x20
_UTF8: Final = 0x800
_DRIVE = re.compile(r"[A-Za-z]:(/|$)")
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    struct.error,
)


class ZipSource(OpenSource):
    """A zip whose usable members are known after opening; `refused` lists the others."""

    def __init__(self, path: Path, label: str) -> None:
        super().__init__(label)
        try:
            _check_directory(path, label)
            self._zip = zipfile.ZipFile(path)
        except OSError as error:
            raise FieldmarkError(f"`{label}` can't be read: {cause(error)}.") from None
        except _DAMAGE:
            raise FieldmarkError(
                f"`{label}` is not a zip or is damaged. Make or download it again."
            ) from None
        try:
            self._members = self._without_wrapper(self._usable())
            if not self._members and not self._refused:
                raise FieldmarkError(f"The zip `{label}` holds no files. Zip the folder that holds them.")
        except BaseException:
            self._zip.close()
            raise

    def close(self) -> None:
        self._zip.close()

    def names(self) -> Iterator[str]:
        return iter(self._members)

    def open(self, name: str) -> BinaryIO:
        info = self._members.get(name)
        if info is None:
            raise PluginError(f"There is no usable file `{printable(name)}` in `{self.label}`.")
        try:
            stream = self._zip.open(info)
        except (*_DAMAGE, OSError):
            raise _damaged(name, self.label) from None
        return cast(BinaryIO, io.BufferedReader(_Member(stream, info.file_size, name, self.label)))

    def _usable(self) -> dict[str, zipfile.ZipInfo]:
        members: dict[str, zipfile.ZipInfo] = {}
        total = 0
        overlapping = _overlapping(self._zip.infolist())
        for info in self._zip.infolist():
            raw = _full_name(info)
            parts = [part for part in raw.split("/") if part not in ("", ".")]
            if raw.endswith("/") and ".." not in parts:
                continue
            reason = _unsafe_path(raw, parts)
            if not reason and any(is_litter(part) for part in parts):
                continue
            name = "/".join(parts)
            reason = reason or unusable(name) or _unreadable(info)
            if not reason and info.header_offset in overlapping:
                reason = "Its bytes overlap those of another entry, which no honest zip does."
            if not reason and name in members:
                reason = "The zip holds this name twice; the first is used."
            if reason:
                self._refuse(raw, reason)
                continue
            members[name] = info
            total += info.file_size
        if total > MAX_TOTAL:
            raise FieldmarkError(
                f"`{self.label}` would unpack to {total / 1024**3:.1f} GiB; {MAX_TOTAL // 1024**3} GiB are "
                "allowed. Split it into smaller zips."
            )
        return members

    def _without_wrapper(self, members: dict[str, zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
        tops = {name.split("/", 1)[0] if "/" in name else "" for name in members}
        wrapper = tops.pop() if len(tops) == 1 else ""
        if not wrapper:
            return members
        self.root_name = wrapper
        return {name[len(wrapper) + 1 :]: info for name, info in members.items()}


class _Member(io.RawIOBase):
    """One member's bytes; ends with a `PluginError` when they are not what the directory promised."""

    def __init__(self, stream: IO[bytes], size: int, name: str, zip_label: str) -> None:
        self._stream = stream
        self._left = size
        self._name = name
        self._zip_label = zip_label

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        try:
            # One byte more than promised shows an entry that lies about its size.
            data = self._stream.read(min(len(view), self._left + 1))
        except (*_DAMAGE, OSError):
            raise _damaged(self._name, self._zip_label) from None
        if len(data) > self._left or (not data and self._left and len(view)):
            raise _damaged(self._name, self._zip_label)
        self._left -= len(data)
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        with suppress(*_DAMAGE, OSError):
            self._stream.close()
        super().close()


def _damaged(name: str, zip_label: str) -> PluginError:
    return PluginError(f"`{name}` in `{zip_label}` is damaged or cut short. Make the zip again.")


def _full_name(info: zipfile.ZipInfo) -> str:
    """Return the stored name, decoded as UTF-8 where it is, with slashes only."""
    name = info.orig_filename
    if not info.flag_bits & _UTF8 and not name.isascii():
        # Many programs write UTF-8 without saying so.
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")


def _unsafe_path(raw: str, parts: list[str]) -> str | None:
    if raw.startswith("/") or _DRIVE.match(raw):
        return "Its name is an absolute path; names must stay inside the zip."
    if ".." in parts:
        return "Its name leads out of the zip with `..`."
    return None if parts else "It has no name."


def _unreadable(info: zipfile.ZipInfo) -> str | None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "It is a link; zip the file itself."
    if kind not in (0, stat.S_IFREG):
        return "It is not an ordinary file."
    if info.flag_bits & _ENCRYPTED:
        return "It is encrypted; make a zip without a password."
    if info.compress_type not in _METHODS or info.flag_bits & _PATCH:
        return f"Its compression method ({info.compress_type}) can't be read; use the usual one, deflate."
    if info.file_size > MAX_ENTRY:
        return f"It is {info.file_size / 1024**2:.0f} MiB large; {MAX_ENTRY // 1024**2} MiB are allowed."
    if info.file_size > _RATIO_FLOOR and info.file_size > MAX_RATIO * info.compress_size:
        return f"It would grow more than {MAX_RATIO} times when unpacked, as a decompression bomb does."
    return None


def _overlapping(infos: list[zipfile.ZipInfo]) -> set[int]:
    """Return the header offsets of entries that begin inside the one before, or share its place."""
    ordered = sorted((info.header_offset, info.compress_size) for info in infos)
    # 30 bytes is the shortest header that precedes an entry's data.
    return {second[0] for first, second in pairwise(ordered) if second[0] < first[0] + 30 + first[1]}


def _check_directory(path: Path, label: str) -> None:
    """Refuse a huge directory before `zipfile` makes an object of every entry in it.

    The zip's own count of entries may lie, so the records themselves are counted.
    """
    with path.open("rb") as file:
        length = file.seek(0, io.SEEK_END)
        start = max(0, length - 65_557)
        file.seek(start)
        tail = file.read()
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) - at < 22:
            raise zipfile.BadZipFile
        size = int.from_bytes(tail[at + 12 : at + 16], "little")
        end = start + at
        if at >= 20 and tail[at - 20 : at - 16] == b"PK\x06\x07" and end >= 76:
            file.seek(end - 76)
            record = file.read(56)
            if record[:4] == b"PK\x06\x06":
                size = int.from_bytes(record[40:48], "little")
                end -= 76
        if size > end:
            raise zipfile.BadZipFile
        if size <= _MAX_DIRECTORY:
            file.seek(end - size)
            directory = file.read(size)
    if size > _MAX_DIRECTORY or _records(directory) > MAX_ENTRIES:
        raise FieldmarkError(
            f"`{label}` holds more than {MAX_ENTRIES:,} entries. Split it into smaller zips or upload the folder."
        )


def _records(directory: bytes) -> int:
    count = at = 0
    while count <= MAX_ENTRIES and directory[at : at + 4] == b"PK\x01\x02" and at + 46 <= len(directory):
        name, extra, comment = struct.unpack_from("<HHH", directory, at + 28)
        at += 46 + name + extra + comment
        count += 1
    return count
