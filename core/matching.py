"""Finds the project's image for a reference that another tool wrote."""

from __future__ import annotations

import re
import unicodedata
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal, NamedTuple, TypeAlias
from urllib.parse import unquote

Step = Literal["path", "decoded path", "path ending", "base name", "undecorated name", "stem"]
MAX_NAMED = 20
_SEVERAL = -1

_BUCKET = re.compile(
    r"^(?:azureml://.*?/paths/|AmlDatastore://[^/]*/|.*/local-files/\?d=|file://[^/]*/"
    r"|[a-z][a-z0-9+.-]*://[^/]*/)",
    re.IGNORECASE,
)
_WEB = re.compile(r"^https?://", re.IGNORECASE)
_DRIVE = re.compile(r"^[A-Za-z]:/")
_HEX8 = r"[0-9a-f]{8}"
_PREFIXED = re.compile(rf"^{_HEX8}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}-|^{_HEX8}-")
_ROBOFLOW = re.compile(r"^(.+)_(jpe?g|png|webp|bmp|gif|tiff?)\.rf\.[0-9A-Za-z]{20,}(?=\.|$)", re.IGNORECASE)
_SUFFIX = re.compile(
    r"(?<=[^/])\.(?:jpe?g|jpe|jfif|png|webp|gif|bmp|tiff?|heic|heif|avif|jp2|dcm|xml|json|txt|csv|npy|mat)$",
    re.IGNORECASE,
)
_INVISIBLE = re.compile("[\u200b-\u200d\u2060\ufeff\uf000-\uf0ff]")


@dataclass(frozen=True, slots=True)
class Found:
    """One image fits."""

    image_id: int
    name: str
    """The name or alias by which the image was found."""
    step: Step


@dataclass(frozen=True, slots=True)
class Unmatched:
    """No image fits."""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Several images fit equally well, so none is taken."""

    names: tuple[str, ...]
    """Up to twenty of the names that fit."""
    step: Step


Match: TypeAlias = Found | Unmatched | Ambiguous


class _Fold(NamedTuple):
    """What two spellings may differ in and still be the same name."""

    case: bool = False
    invisible: bool = False
    stem: bool = False

    def apply(self, path: str) -> str:
        plain = path.isascii()
        if not plain:
            path = unicodedata.normalize("NFC", path)
            if self.invisible:
                path = _INVISIBLE.sub("", path)
        if self.stem:
            path = _SUFFIX.sub("", path)
        if self.case:
            path = path.casefold() if plain else unicodedata.normalize("NFC", path.casefold())
        return path


class _Index:
    """Names read from the right, sorted: those that share the longest ending with a path are neighbours.

    So a lookup costs one binary search, however many folders hold a file of the same name.
    """

    def __init__(self, names: list[str], fold: _Fold) -> None:
        keys = [_reverse(fold.apply(_slashes(name))) for name in names]
        self.order = array("l", sorted(range(len(names)), key=keys.__getitem__))
        self.keys = [keys[at] for at in self.order]

    def shared(self, key: str) -> int:
        """Return how many parts of the path, from the right, the best names share with it."""
        at = bisect_left(self.keys, key)
        return max((_shared_parts(key, near) for near in self.keys[max(0, at - 1) : at + 1]), default=0)

    def has(self, prefix: str) -> bool:
        """Return whether any key starts so."""
        at = bisect_left(self.keys, prefix)
        return at < len(self.keys) and self.keys[at].startswith(prefix)

    def ending(self, key: str) -> Iterator[int]:
        """Yield the positions of the names that end in the path of this key, whole ones first."""
        for at in range(bisect_left(self.keys, key), len(self.keys)):
            if not self.keys[at].startswith(key):
                return
            yield self.order[at]

    def whole(self, key: str) -> Iterator[int]:
        """Yield the positions of the names that are the path of this key."""
        for at in range(bisect_left(self.keys, key), len(self.keys)):
            if self.keys[at] != key:
                return
            yield self.order[at]


class ImageMatcher:
    """Looks up references among a project's image names and aliases.

    Each step is tried only when the ones before fit nothing, and a step that several images fit ends the
    search as ambiguous. Names are compared in Unicode's composed form, then without regard to case, and only
    when all steps failed without zero-width and private-use characters. `wrapper` is the folder that all
    references lie in, where the caller knows one (`common_folder`).
    """

    def __init__(self, images: Iterable[tuple[int, str]], wrapper: str = "") -> None:
        self._ids = array("q")
        self._names: list[str] = []
        self._exact: dict[str, int] = {}
        for image_id, name in images:
            at = self._exact.setdefault(name, len(self._names))
            if at >= 0 and at < len(self._names) and self._ids[at] != image_id:
                self._exact[name] = _SEVERAL
            self._ids.append(image_id)
            self._names.append(name)
        self._wrapper = wrapper.strip("/")
        self._own_wrapper = common_folder(self._names)
        self._indexes: dict[_Fold, _Index] = {}
        self._any_invisible = any(_INVISIBLE.search(name) for name in self._names)

    def match(self, reference: str) -> Match:
        """Find the image for a reference as it is written in a file."""
        if match := self._as_written(reference, "path"):
            return match
        raw = clean(reference)
        match = self._search(raw, invisible=False)
        if match is None and (self._any_invisible or _INVISIBLE.search(raw)):
            match = self._search(_INVISIBLE.sub("", raw), invisible=True)
        return match or Unmatched()

    def _as_written(self, name: str, step: Step) -> Match | None:
        at = self._exact.get(name, _SEVERAL)
        return None if at == _SEVERAL else Found(self._ids[at], self._names[at], step)

    def _search(self, raw: str, invisible: bool) -> Match | None:
        forms: list[tuple[Step, str]] = [("path", raw)]
        if "%" in raw and (decoded := clean(unquote(raw))) != raw:
            forms.append(("decoded path", decoded))
        forms = [(step, path) for step, path in forms if path]
        for step, path in forms:
            if match := self._whole(path, step, invisible):
                return match
        paths = [path for _, path in forms]
        bases = [path.rpartition("/")[2] for path in paths]
        plain = [base for base in map(undecorated, bases) if base not in bases]
        stems = [stem for path in [*paths, *plain] for stem in (path, _SUFFIX.sub("", path))]
        # Each row: the step, the paths to try, the parts that must agree, whether names are cut to their stem.
        steps: tuple[tuple[Step, list[str], int, bool], ...] = (
            ("path ending", paths, 2, False),
            ("base name", paths, 1, False),
            ("undecorated name", plain, 1, False),
            ("stem", stems, 1, True),
        )
        for step, tried, least, stem in steps:
            for path in tried:
                if match := self._ending(path, step, least, _Fold(invisible=invisible, stem=stem)):
                    return match
        return None

    def _whole(self, path: str, step: Step, invisible: bool) -> Match | None:
        """Compare whole paths: as written, without the references' wrapper, with the images' wrapper."""
        paths = [path]
        if self._wrapper and path.startswith(f"{self._wrapper}/"):
            paths.append(path[len(self._wrapper) + 1 :])
        if self._own_wrapper:
            paths.append(f"{self._own_wrapper}/{path}")
        for spelling in paths:
            if match := self._as_written(spelling, step):
                return match
        either_case = self._index(_Fold(True, invisible))
        for spelling in paths:
            key = _reverse(_Fold(True, invisible).apply(spelling))
            if not either_case.has(key):
                continue
            same_case = self._index(_Fold(False, invisible))
            match = self._decide(same_case.whole(_reverse(_Fold(False, invisible).apply(spelling))), step)
            if match := match or self._decide(either_case.whole(key), step):
                return match
        return None

    def _ending(self, path: str, step: Step, least: int, fold: _Fold) -> Match | None:
        """Compare endings of at least so many parts; the longest wins, equal case before any case."""
        index = self._index(_Fold(True, fold.invisible, fold.stem))
        key = _reverse(_Fold(True, fold.invisible).apply(path))
        parts = index.shared(key)
        if parts < least:
            return None
        same_case = self._index(fold)
        same_key = _reverse(_Fold(False, fold.invisible).apply(path))
        if same_case.shared(same_key) == parts:
            index, key = same_case, same_key
        return self._decide(index.ending("".join(f"{part}/" for part in key.split("/")[:parts])), step)

    def _decide(self, positions: Iterator[int], step: Step) -> Match | None:
        named: list[int] = []
        ids: set[int] = set()
        for at in positions:
            ids.add(self._ids[at])
            named.append(at)
            if len(ids) > 1:
                break
        if not named:
            return None
        if len(ids) == 1:
            return Found(self._ids[named[0]], self._names[named[0]], step)
        named = named[-2:] + list(islice(positions, MAX_NAMED - 2))
        return Ambiguous(tuple(sorted(self._names[at] for at in named)), step)

    def _index(self, fold: _Fold) -> _Index:
        if fold not in self._indexes:
            self._indexes[fold] = _Index(self._names, fold)
        return self._indexes[fold]


def clean(reference: str) -> str:
    """Return a reference as a relative POSIX path without scheme, bucket, drive, `.` and leading `..`."""
    path = reference.strip().replace("\\", "/")
    if _WEB.match(path):
        path = re.split(r"\?(?!d=)", path, maxsplit=1)[0]
    path = _DRIVE.sub("", _BUCKET.sub("", path))
    parts = [part for part in path.split("/") if part not in ("", ".")]
    while parts and parts[0] == "..":
        del parts[0]
    return "/".join(parts)


def undecorated(base: str) -> str:
    """Return a base name without what Label Studio, Labelbox or Roboflow put around it."""
    base = _PREFIXED.sub("", base)
    if renamed := _ROBOFLOW.match(base):
        return f"{renamed[1]}.{renamed[2]}"
    return base


def common_folder(paths: Iterable[str]) -> str:
    """Return the one top folder that all paths lie in, or an empty string."""
    common: str | None = None
    for path in paths:
        top, slash, _ = _slashes(path).partition("/")
        if not slash or (common is not None and top != common):
            return ""
        common = top
    return common or ""


def _slashes(name: str) -> str:
    return name.replace("\\", "/")


def _reverse(path: str) -> str:
    return "/".join(path.split("/")[::-1]) + "/"


def _shared_parts(one: str, other: str) -> int:
    count = 0
    for left, right in zip(one.split("/")[:-1], other.split("/")[:-1], strict=False):
        if left != right:
            break
        count += 1
    return count
