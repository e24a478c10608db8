"""Embeddings for a job: from the cache alone when it holds them all, else by loading the backbone.

Loading a backbone costs ten seconds of imports, only to learn its fingerprint; so what it said last time lies
beside its embeddings, in a file for each key of everything that could make it answer otherwise.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from fieldmark.core.embedding import EmbedItem, embed_images
from fieldmark.core.jobs.files import Stage, Step
from fieldmark.core.jobs.ready_backbone import ready_backbone
from fieldmark.core.options import stored_options
from fieldmark.core.registry import Registry
from fieldmark.core.worker import Work
from fieldmark.storage.embeddings import EmbeddingCache
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.files import replacing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FEWEST_FOR_A_RATE = 32
"""Images from which on a job says how fast this machine is; fewer only say how long it takes to start."""
COMPUTED_WITH = ("torch", "torchvision", "timm", "numpy", "pillow")


class Known(BaseModel):
    """What a backbone said of itself when it was loaded."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    fingerprint: str
    dim: int
    pretrained: bool
    options: dict[str, Any]
    """With every automatic choice made."""
    notices: list[str]
    images_per_second: float | None = None
    """Pace of the last job that computed many images; None where none has."""


@dataclass(frozen=True, slots=True)
class Features:
    """Embeddings of those items that could be read."""

    backbone: Known
    found: NDArray[np.bool_]
    """bool [n]."""
    matrix: NDArray[np.float32]
    """float32 [found, dim], in the order of the items."""
    failures: list[tuple[int, str]]
    """Index of an item, and why it has no vector; the sentence doesn't name the file, which is called by its hash."""
    computed: int
    """Images that went through the backbone now."""
    start_seconds: float
    """Until the backbone was loaded, or found not to be needed."""


def features(
    registry: Registry,
    name: str,
    options: Mapping[str, Any],
    items: Sequence[EmbedItem],
    embeddings: Path,
    work: Work,
    *,
    offline: bool,
    stage: Stage = "embed",
    expected: str | None = None,
) -> Features:
    """Return embeddings for items, computing and caching those that are missing.

    `expected` is the fingerprint that a model was trained on. Raises `FieldmarkError` when the backbone can't be
    loaded or gives other vectors, or when the work is cancelled; then what was computed stays cached.
    """
    key = _key(registry, name, options)
    known = _recall(embeddings, key)
    if known and known.fingerprint == (expected or known.fingerprint):
        found, matrix = EmbeddingCache(embeddings / known.fingerprint).read([item.sha256 for item in items])
        if found.all():
            work.tell(Step(stage=stage, done=len(items), total=len(items)))
            return Features(known, found, matrix, [], 0, work.seconds())
    backbone = ready_backbone(registry, name, options, work, offline=offline)
    start_seconds = work.seconds()
    if expected and backbone.fingerprint != expected:
        raise FieldmarkError(
            f"the backbone {name} gives other vectors here than those the model was trained on (other weights, "
            "precision, device or version): bring the old one back, or train the model again"
        )
    folder = embeddings / backbone.fingerprint
    said = Known(
        key=key,
        fingerprint=backbone.fingerprint,
        dim=backbone.dim,
        pretrained=backbone.pretrained,
        options=stored_options(backbone.settled_options()),
        notices=list(backbone.notices()),
        images_per_second=known.images_per_second if known else None,
    )
    settled_key = _key(registry, name, said.options)
    _remember(
        folder, said, settled_key
    )  # before the work, so that what a cancelled job computed is found again
    embedded = embed_images(
        backbone,
        items,
        EmbeddingCache(folder),
        report=lambda done, total: work.tell(Step(stage=stage, done=done, total=total)),
        cancelled=work.cancelled,
    )
    if work.cancelled():
        raise FieldmarkError("cancelled while embedding; the embeddings computed so far are kept")
    if embedded.computed >= FEWEST_FOR_A_RATE:
        said = said.model_copy(update={"images_per_second": embedded.computed / embedded.seconds})
        _remember(folder, said, settled_key)
    file_names = {item.sha256: item.path.name for item in items}
    failures = [
        (index, reason.replace(f"The image {file_names[items[index].sha256]} ", "The image "))
        for index, reason in embedded.failures
    ]
    return Features(said, embedded.found, embedded.matrix, failures, embedded.computed, start_seconds)


def recall(registry: Registry, name: str, options: Mapping[str, Any], embeddings: Path) -> Known | None:
    """Return what a backbone said when it was last loaded with these options, or None; costs some milliseconds."""
    return _recall(embeddings, _key(registry, name, options))


def _remember(folder: Path, said: Known, settled_key: str) -> None:
    """Write down what a backbone said, also under the options it settled on: those a model is asked with."""
    folder.mkdir(parents=True, exist_ok=True)
    for key in {said.key, settled_key}:
        with replacing(folder / _file_name(key)) as file:
            file.write(said.model_copy(update={"key": key}).model_dump_json(indent=2).encode())


def _file_name(key: str) -> str:
    return f"backbone-{key[:16]}.json"


def _recall(embeddings: Path, key: str) -> Known | None:
    for path in embeddings.glob(f"*/{_file_name(key)}"):
        try:
            known = Known.model_validate_json(path.read_text("utf-8"))
        except (OSError, ValueError, ValidationError):
            continue
        if known.key == key and known.fingerprint == path.parent.name:
            return known
    return None


def _key(registry: Registry, name: str, options: Mapping[str, Any]) -> str:
    """Hash everything that could change what the backbone answers: its code, options, files and machine."""
    plugin = registry.find("backbone", name.split(":")[0])
    parts: list[Any] = [name, plugin.distribution, plugin.version, platform.node(), platform.processor()]
    parts += [f"{package} {_version(package)}" for package in COMPUTED_WITH]
    for option, value in sorted(options.items()):
        parts.append([option, value])
        if isinstance(value, str) and Path(value).is_absolute():
            parts += [_state(path) for path in sorted([Path(value), *Path(value).glob("*")])]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _state(path: Path) -> list[Any]:
    try:
        status = path.stat()
    except OSError:
        return [str(path), None]
    return [str(path), status.st_size, status.st_mtime_ns]
