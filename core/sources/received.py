"""Files that a browser or a script sends one by one, kept on disk until they are used: a source without a folder."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from fieldmark.core.contracts.plugin import PluginError
from fieldmark.core.sources.opening import open_plain, open_source
from fieldmark.core.sources.rules import OpenSource, is_litter, printable, unusable
from fieldmark.storage.errors import FieldmarkError, NotFound

KEPT_SECONDS = 12 * 3600
LARGEST_FILE = 20 * 2**30


@dataclass(slots=True)
class Received:
    """What arrived under one token. Files lie under numbers, so that no name can lead anywhere."""

    token: str
    folder: Path
    names: dict[str, Path] = field(default_factory=dict)
    """{POSIX path as it was sent: where its bytes lie}; the same name sent again replaces the first."""
    sizes: dict[str, int] = field(default_factory=dict)
    touched: float = field(default_factory=time.monotonic)
    closed: bool = False
    """True: what is here is being used, or was dropped; nothing more is taken in."""
    _numbers: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def place(self) -> Path:
        """Return a path of its own for a file that is about to arrive."""
        with self._lock:
            self._numbers += 1
            self.touched = time.monotonic()
            return self.folder / f"{self._numbers}.part"

    def keep(self, name: str, part: Path, size: int) -> None:
        """Count a file that has arrived whole; raises `NotFound` when the set was used or dropped meanwhile."""
        with self._lock:
            if self.closed:
                part.unlink(missing_ok=True)
                raise NotFound(f"{name} came too late: the upload was used or dropped before it had arrived")
            before = self.names.get(name)
            self.names[name] = part
            self.sizes[name] = size
            self.touched = time.monotonic()
        if before is not None:
            before.unlink(missing_ok=True)

    def close(self) -> None:
        """Take no more files in."""
        with self._lock:
            self.closed = True

    def remove(self) -> None:
        """Take no more files in, and remove those that are here."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def offers(self) -> list[ReceivedFiles | ReceivedFile]:
        """Return what there is to read: the plain files as one source, and each zip as one."""
        plain = {name: path for name, path in self.names.items() if not _is_zip(name)}
        zips = [ReceivedFile(name, path) for name, path in self.names.items() if _is_zip(name)]
        return [*([ReceivedFiles(plain)] if plain else []), *zips]

    def together(self) -> ReceivedFiles | ReceivedFile:
        """Return all of it as one thing to read: a lone file or zip, else everything under its names."""
        if len(self.names) == 1:
            return ReceivedFile(*next(iter(self.names.items())))
        return ReceivedFiles(self.names)

    def total(self) -> int:
        """Return how many files there are, those inside zips included; a zip that can't be opened counts as one."""
        count = 0
        for offer in self.offers():
            try:
                with offer.open() as source:
                    count += sum(1 for _ in source.names())
            except FieldmarkError:
                count += 1
        return count

    def title(self) -> str:
        """Return what was sent in a few words."""
        first = next(iter(self.names), "nothing")
        shown = printable(first.rpartition("/")[2])[:60]
        return shown if len(self.names) == 1 else f"{len(self.names)} files"


def _is_zip(name: str) -> bool:
    return name.lower().endswith(".zip")


def checked_name(name: str) -> str:
    """Return a file's name as a clean POSIX path; raises `FieldmarkError` for one that can't be used."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        raise FieldmarkError(f"the file name {printable(name)[:80]!r} can't be used: it names no file")
    reason = unusable("/".join(parts))
    if reason:
        raise FieldmarkError(f"the file {printable(name)[:80]!r} can't be taken. {reason}")
    return "/".join(parts)


class Inbox:
    """All received sets of a workspace; what nobody used for half a day is dropped."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sets: dict[str, Received] = {}
        self._lock = threading.Lock()

    def new(self) -> Received:
        """Make room for files to come."""
        token = secrets.token_urlsafe(16)
        folder = self._folder / f"received-{token}"
        folder.mkdir(parents=True)
        with self._lock:
            stale = [s for s in self._sets.values() if time.monotonic() - s.touched > KEPT_SECONDS]
            self._sets[token] = received = Received(token, folder)
        for old in stale:
            self.drop(old.token)
        return received

    def find(self, token: str) -> Received:
        """Return a received set; raises `FieldmarkError` when it is gone."""
        with self._lock:
            found = self._sets.get(token)
        if found is None:
            raise NotFound("the files of this upload are gone, as after a restart: choose them again")
        return found

    def take(self, token: str) -> Received:
        """Return a received set for use, once: nobody finds it again, and whoever took it removes it."""
        taken = self.find(token)
        with self._lock:
            self._sets.pop(token, None)
        taken.close()
        return taken

    def drop(self, token: str) -> None:
        """Remove a received set and its files."""
        with self._lock:
            gone = self._sets.pop(token, None)
        if gone is not None:
            gone.remove()


def folder_names(received: Received) -> list[str]:
    """Return the names of the folders that the plain files lie in, below what would be left out as a wrapper."""
    plain = {name: path for name, path in received.names.items() if not _is_zip(name)}
    if not plain:
        return []
    try:
        source = ReceivedSource(plain)
    except FieldmarkError:
        return []
    return sorted({name.rpartition("/")[0].rpartition("/")[2] for name in source.names() if "/" in name})


class ReceivedSource(OpenSource):
    """Received files under the names a folder source would give them.

    A browser names a chosen folder's files with the folder in front: that folder goes, and so does one more that
    holds everything, as for a folder on disk.
    """

    def __init__(self, names: dict[str, Path]) -> None:
        super().__init__("the uploaded files")
        self._files = {
            name: path for name, path in names.items() if not any(is_litter(part) for part in name.split("/"))
        }
        for _ in range(2):
            wrapper = _wrapper(list(self._files))
            if wrapper is None:
                break
            self.root_name = wrapper
            self._files = {name[len(wrapper) + 1 :]: path for name, path in self._files.items()}
        if not self._files:
            raise FieldmarkError("the upload holds no files: choose some images, a folder or a zip")

    def names(self) -> Iterator[str]:
        return iter(sorted(self._files))

    def open(self, name: str) -> BinaryIO:
        if name not in self._files:
            raise PluginError(f"There is no file `{printable(name)}` in the upload.")
        return open_plain(str(self._files[name]), name)


def _wrapper(names: Sequence[str]) -> str | None:
    heads = {name.partition("/")[0] if "/" in name else None for name in names}
    return heads.pop() if len(heads) == 1 else None


@dataclass(frozen=True, slots=True)
class ReceivedFiles:
    """The plain files of a received set."""

    files: dict[str, Path]
    label: str = "the uploaded files"

    def open(self) -> OpenSource:
        """Open them as one source; raises `FieldmarkError` when nothing usable is there."""
        return ReceivedSource(self.files)


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """One file or zip of a received set."""

    name: str
    path: Path

    @property
    def label(self) -> str:
        """What the person called it."""
        return printable(self.name.rpartition("/")[2])

    def open(self) -> OpenSource:
        """Open it; raises `FieldmarkError` when it is damaged or too large."""
        return open_source(self.path, label=self.label)
