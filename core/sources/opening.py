"""Opens what a person handed over - a file, a folder or a zip - as one read-only `Source`."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from fieldmark.core.contracts.plugin import PluginError
from fieldmark.core.sources.rules import MAX_DEPTH, OpenSource, cause, is_litter, printable, unusable
from fieldmark.core.sources.zip_source import ZipSource
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.workspace import DATABASE_NAME

# Office documents are zips too; as files they get a sentence from the importer that is asked to read them.
_ZIP_BUT_A_DOCUMENT = frozenset({".xlsx", ".xlsm", ".ods", ".docx", ".pptx", ".odt", ".npz", ".pt", ".pth"})
_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")


def open_source(path: Path, *, label: str | None = None) -> OpenSource:
    """Open a file, folder or zip for reading; use the result as a context manager.

    `label` is what the person called it where `path` is only a copy, such as an upload. Raises
    `FieldmarkError` that says why when there is nothing to read, or a zip is damaged or too large.
    """
    path = Path(os.path.abspath(path))
    # A browser may send a whole path as an upload's name.
    shown = (label or "").replace("\\", "/").rstrip("/").rpartition("/")[2] or path.name or str(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return FolderSource(path, printable(shown))
        if not stat.S_ISREG(mode):
            raise FieldmarkError(f"`{printable(shown)}` is neither a file nor a folder. Choose one of these.")
        with path.open("rb") as file:
            magic = file.read(4)
    except (FileNotFoundError, NotADirectoryError):
        raise FieldmarkError(f"There is nothing at {printable(str(path))}. Check the path.") from None
    except (OSError, ValueError) as error:
        raise FieldmarkError(f"`{printable(shown)}` can't be opened: {cause(error)}.") from None
    suffix = Path(shown).suffix.lower()
    if suffix == ".zip" or (magic in _ZIP_MAGIC and suffix not in _ZIP_BUT_A_DOCUMENT):
        return ZipSource(path, printable(shown))
    return FileSource(path, shown)


class FileSource(OpenSource):
    """One file, known by its base name or the name it was uploaded with."""

    def __init__(self, path: Path, label: str) -> None:
        super().__init__(label)
        self._path = path
        reason = unusable(label)
        if reason:
            raise FieldmarkError(f"The file `{printable(label)}` can't be used. {reason}")

    def names(self) -> Iterator[str]:
        yield self.label

    def open(self, name: str) -> BinaryIO:
        if name != self.label:
            raise PluginError(f"There is no file `{printable(name)}` beside `{self.label}`.")
        return open_plain(str(self._path), name)


class FolderSource(OpenSource):
    """A folder and everything below it; links that lead out of it are refused."""

    def __init__(self, path: Path, label: str) -> None:
        super().__init__(label)
        self._root = os.path.realpath(path)
        if os.path.exists(os.path.join(self._root, DATABASE_NAME)):
            raise FieldmarkError(
                f"The folder `{label}` is a Fieldmark workspace. Choose one that holds images."
            )
        self._base = self._root
        wrapper = self._wrapper()
        if wrapper:
            self._base = os.path.join(self._root, wrapper)
        name = wrapper or os.path.basename(os.path.abspath(path))
        self.root_name = "" if unusable(name) else name
        if next(self.names(), None) is None and not self._refused:
            raise FieldmarkError(f"The folder `{label}` holds no files. Choose the folder that holds them.")

    def names(self) -> Iterator[str]:
        return self._walk(self._base, "")

    def open(self, name: str) -> BinaryIO:
        if unusable(name) or not all(part not in ("", ".", "..") for part in name.split("/")):
            raise PluginError(f"`{printable(name)}` is not the name of a file in `{self.label}`.")
        path = os.path.join(self._base, *name.split("/"))
        if not _inside(os.path.realpath(path), self._root):
            raise PluginError(
                f"`{name}` is a link that leads out of `{self.label}`; put the file itself there."
            )
        return open_plain(path, name)

    def _wrapper(self) -> str | None:
        """Return the one folder that all files share, or None; empty folders beside it don't count."""
        files, folders = self._entries(self._root, "")
        refused_at_the_top = dict(self._refused)
        if files:
            return None
        full = (name for name in folders if next(self._walk(os.path.join(self._root, name), name), None))
        first = next(full, None)
        alone = next(full, None) is None
        self._refused = refused_at_the_top
        return first if alone else None

    def _walk(self, folder: str, prefix: str) -> Iterator[str]:
        files, folders = self._entries(folder, prefix)
        # A folder sorts as its name with a slash, so that the whole walk comes in the order of full paths.
        for entry in sorted([*files, *(f"{name}/" for name in folders)]):
            path = f"{prefix}/{entry}" if prefix else entry
            if not entry.endswith("/"):
                yield path
            elif path.count("/") > MAX_DEPTH:
                self._refuse(path, f"It lies more than {MAX_DEPTH} folders deep; move it further up.")
            else:
                yield from self._walk(os.path.join(folder, entry[:-1]), path[:-1])

    def _entries(self, folder: str, prefix: str) -> tuple[list[str], list[str]]:
        files: list[str] = []
        folders: list[str] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if is_litter(entry.name):
                        continue
                    path = f"{prefix}/{entry.name}" if prefix else entry.name
                    reason = unusable(path) or self._wrong_kind(entry)
                    if reason:
                        self._refuse(path, reason)
                    else:
                        (folders if entry.is_dir(follow_symlinks=False) else files).append(entry.name)
        except OSError as error:
            self._refuse(prefix or self.label, f"The folder can't be read: {cause(error)}.")
        return files, folders

    def _wrong_kind(self, entry: os.DirEntry[str]) -> str | None:
        if not entry.is_symlink():
            if entry.is_dir(follow_symlinks=False) and os.path.exists(
                os.path.join(entry.path, DATABASE_NAME)
            ):
                return "It is a Fieldmark workspace, and its files are not read again."
            usable = entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)
            return None if usable else "It is neither a file nor a folder."
        if not _inside(os.path.realpath(entry.path), self._root):
            return "It is a link that leads out of the folder; put the file itself there."
        try:
            mode = os.stat(entry.path).st_mode
        except OSError:
            return "It is a link that leads nowhere."
        if stat.S_ISDIR(mode):
            return "It is a link to a folder, which would be read twice."
        return None if stat.S_ISREG(mode) else "It is neither a file nor a folder."


def _inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)


def open_plain(path: str, name: str) -> BinaryIO:
    """Open a regular file; raises `PluginError` that says why it can't be read, by the name people know it by."""
    try:
        # Opening a pipe would wait for a writer.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise PluginError(f"`{name}` is not a file.")
        return open(path, "rb")
    except FileNotFoundError:
        raise PluginError(
            f"There is no file `{name}` any more. Start again from a folder that stays."
        ) from None
    except OSError as error:
        raise PluginError(f"`{name}` can't be read: {cause(error)}.") from None
