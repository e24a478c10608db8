"""Chooses the tables in a source: one, or one for each split. Not an importer itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from fieldmark import PluginError, Source, Split
from fieldmark.plugins.importers.delimited import split_named, tables


@dataclass(frozen=True, slots=True)
class Part:
    """One table of a source."""

    file: str
    split: Split | None = None
    """What the file's folder or own name says, where several tables are read together."""
    folder: str = ""
    """Where the images of this table lie, where each split has a folder with its own table."""

    def reference(self, image: str) -> str:
        """Return an image's name as seen from the root of the source."""
        inside = not self.folder or "://" in image or image.startswith(f"{self.folder}/")
        return image if inside else f"{self.folder}/{image}"


def choose_parts(
    source: Source, file: str | None, sure: Callable[[str], float]
) -> tuple[list[Part], tuple[str, ...]]:
    """Return the tables to read, and notes about those left out.

    `sure` says how well a file fits, 0 to 1. Raises `PluginError` when nothing fits at all.
    """
    found = tables(source)
    if file:
        if file not in found and file not in set(source.names()):
            shown = ", ".join(found[:10]) or "none"
            raise PluginError(f"`{source.label}` holds no file `{file}`. The tables in it are: {shown}.")
        return [Part(file)], ()
    if not found:
        raise PluginError(f"`{source.label}` holds no table. Choose a CSV file or a folder that holds one.")
    if len(found) == 1:
        return [Part(found[0])], ()
    fits = {name: sure(name) for name in found}
    best = max(found, key=fits.__getitem__)
    by_folder, by_name = _by_split(found, fits, fits[best])
    for parts in (by_folder, by_name):
        if best in {part.file for part in parts} and len({part.split for part in parts}) > 1:
            return parts, ()
    others = [name for name in found if name != best and fits[name] >= 0.5]
    if not others:
        return [Part(best)], ()
    shown = ", ".join(f"`{name}`" for name in others[:5])
    return [Part(best)], (f"`{best}` was read; to read another, such as {shown}, set the option file.",)


def _by_split(found: list[str], fits: dict[str, float], best: float) -> tuple[list[Part], list[Part]]:
    by_folder: list[Part] = []
    by_name: list[Part] = []
    for file in found:
        path = PurePosixPath(file)
        if fits[file] < best - 0.15:
            continue
        if split := split_named(path.parent.name):
            by_folder.append(Part(file, split, str(path.parent)))
        if split := split_named(path.stem):
            by_name.append(Part(file, split))
    return by_folder, by_name
