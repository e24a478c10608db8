"""Class folders: the folder that an image lies in is its label (ImageFolder, CVAT, Keras, Ultralytics)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

from pydantic import Field

from fieldmark import (
    IMAGE_SUFFIXES,
    Description,
    Example,
    Importer,
    Options,
    PluginError,
    Source,
    Split,
    hookimpl,
)

_SPLITS: dict[str, Split] = {
    "train": "train",
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
    "test": "test",
}
_ANNOTATIONS = frozenset({".json", ".jsonl", ".ndjson", ".xml", ".csv", ".tsv", ".txt"}) | frozenset(
    {".yaml", ".yml", ".manifest", ".parquet"}
)
_SIDE_FILES = frozenset(
    {"readme", "license", "licence", "classes", "labels", "class_names", "words", "requirements"}
)


class ClassFolderOptions(Options):
    """Which folder names the label."""

    label_from: Literal["first-folder", "last-folder", "path"] = Field(
        default="first-folder",
        description="The folder that names the label: the first one, the last one, or all of them as a path",
    )
    unlabelled_folders: list[str] = Field(
        default=["no_label", "unlabeled", "unlabelled", "_unknown_"],
        description="Folders whose images have no label, in any case",
    )


@dataclass(slots=True)
class _Tree:
    """What one walk over the names of a source finds."""

    images: int = 0
    in_root: int = 0
    others: int = 0
    annotations: int = 0
    tops: Counter[str] = field(default_factory=Counter)
    """Images below each folder of the root."""
    nested: bool = False
    """A folder of the root holds folders that hold images."""

    @property
    def split(self) -> bool:
        """A vehicle called `train` is a class: only a root of nothing but split folders is a split."""
        return self.nested and all(top.lower() in _SPLITS for top in self.tops)


class ClassFolders(Importer[ClassFolderOptions]):
    """Takes labels, and splits where there are any, from the folders that images lie in."""

    name = "class-folders"
    summary = "Labels from the names of folders"

    @classmethod
    def recognises(cls, source: Source) -> float:
        tree = _walk(source)
        if not tree.tops:
            return 0.0 if not tree.images else 0.2 if source.root_name else 0.1
        if tree.annotations:
            return 0.3
        if tree.split:
            return 0.95
        if all(top.lower() in _SPLITS for top in tree.tops):
            return 0.3
        return 0.9 if len(tree.tops) > 1 else 0.5

    def describe(self, source: Source) -> Description:
        tree = _walk(source)
        if not tree.images:
            raise PluginError(
                f"`{source.label}` holds no images. Choose a folder or zip with one folder per class."
            )
        labels: Counter[str] = Counter()
        for example in self._examples(source, tree):
            labels.update(example.labels)
        return Description(
            images=tree.images, labels=dict(sorted(labels.items())), notes=_notes(source, tree)
        )

    def read(self, source: Source) -> Iterator[Example]:
        tree = _walk(source)
        if not tree.images:
            raise PluginError(
                f"`{source.label}` holds no images. Choose a folder or zip with one folder per class."
            )
        yield from self._examples(source, tree)

    def _examples(self, source: Source, tree: _Tree) -> Iterator[Example]:
        unlabelled = {name.casefold() for name in self.options.unlabelled_folders}
        flat = tree.in_root == tree.images
        for name in source.names():
            if not _is_image(name):
                continue
            *folders, _ = name.split("/")
            location = "/".join([*folders, ""])
            split = _SPLITS[folders.pop(0).lower()] if tree.split and folders else None
            if flat and source.root_name:
                folders = [source.root_name]
            chosen = {"first-folder": folders[:1], "last-folder": folders[-1:], "path": folders}
            parts = chosen[self.options.label_from]
            labels = () if {part.casefold() for part in parts} & unlabelled else ("/".join(parts),)
            yield Example(name, labels if parts else (), split=split, location=location or source.label)


@hookimpl
def register_importers() -> list[type[Importer[Any]]]:
    """Offer the importer to the application."""
    return [ClassFolders]


def _is_image(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def _walk(source: Source) -> _Tree:
    tree = _Tree()
    for name in source.names():
        if not _is_image(name):
            tree.others += 1
            path = PurePosixPath(name)
            tree.annotations += path.suffix.lower() in _ANNOTATIONS and path.stem.lower() not in _SIDE_FILES
            continue
        tree.images += 1
        top, *below = name.split("/")
        if below:
            tree.tops[top] += 1
            tree.nested = tree.nested or len(below) > 1
        else:
            tree.in_root += 1
    return tree


def _notes(source: Source, tree: _Tree) -> tuple[str, ...]:
    notes = []
    named = sorted(top for top in tree.tops if top.lower() in _SPLITS)
    if tree.split:
        notes.append(f"The folders {_listed(named)} were read as splits.")
        if tree.in_root:
            notes.append(
                f"{tree.in_root} images lie beside the split folders and have neither split nor label."
            )
    elif named:
        notes.append(
            f"Folders called {_listed(named)} were read as classes, because not all folders are splits."
        )
    elif source.root_name.lower() in _SPLITS and tree.tops:
        notes.append(
            f"The folder itself is called `{source.root_name}`, which gives no split; to import splits, choose "
            "the folder that holds train and test together."
        )
    if tree.in_root == tree.images and source.root_name:
        notes.append(f"No image lies in a folder, so all take the label `{source.root_name}`.")
    elif tree.in_root and not tree.split:
        notes.append(f"{tree.in_root} images lie in no folder and stay unlabelled.")
    if tree.others:
        notes.append(f"{tree.others} files are no images and were left out.")
    return tuple(notes)


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names[:10])
