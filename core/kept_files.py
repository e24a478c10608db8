"""Files that options name, such as weights: copied into the workspace, so that a model doesn't depend on a download
folder that somebody tidies up."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from fieldmark.core.contracts.plugin import Options
from fieldmark.core.options import stored_options
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.files import CHUNK, replacing
from fieldmark.storage.workspace import Workspace


def keep_files(workspace: Workspace, options: Options) -> Mapping[str, Any]:
    """Return options as stored, with every existing file, or folder of files, replaced by the workspace's copy.

    A path that isn't there stays as it is: the plugin says what is wrong with it. Raises `FieldmarkError` when a
    file can't be read or copied.
    """
    stored = stored_options(options)
    for name, value in options:
        if isinstance(value, Path) and value.exists():
            stored[name] = str(_kept(workspace, value.absolute()))
    return stored


def kept_options(workspace: Workspace, options: Options) -> Mapping[str, Any]:
    """Return what `keep_files` would, but copy nothing; raises `FieldmarkError` when a file can't be read."""
    stored = stored_options(options)
    for name, value in options:
        if not (isinstance(value, Path) and value.exists()) or value.is_relative_to(workspace.weights):
            continue
        path = value.absolute()
        try:
            files = _files(path)
            digest = _remembered_digest(
                tuple((file, (state := file.stat()).st_size, state.st_mtime_ns) for file in files)
            )
        except OSError as error:
            raise FieldmarkError(f"{path} can't be read: {error.strerror or error}") from error
        folder = workspace.weights / digest
        stored[name] = str(folder / path.name if path.is_file() else folder)
    return stored


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(child for child in path.iterdir() if child.is_file())


@lru_cache(maxsize=16)
def _remembered_digest(files: tuple[tuple[Path, int, int], ...]) -> str:
    """Return the digest of files that still have this size and time of change; large ones take long to hash."""
    return _digest([path for path, _, _ in files])


def _kept(workspace: Workspace, path: Path) -> Path:
    if path.is_relative_to(workspace.weights):
        return path
    try:
        files = _files(path)
        folder = workspace.weights / _digest(files)
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            target = folder / file.name
            if not (target.is_file() and target.stat().st_size == file.stat().st_size):
                with file.open("rb") as source, replacing(target) as copy:
                    shutil.copyfileobj(source, copy, CHUNK)
    except OSError as error:
        raise FieldmarkError(
            f"{path} can't be copied into the workspace: {error.strerror or error}"
        ) from error
    return folder / path.name if path.is_file() else folder


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode("utf-8", "surrogateescape") + b"\0")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
