"""What a training will take, said before Start: images, steps and time.

Asked again whenever a person changes a choice, so nothing is loaded here but numbers.
"""

from __future__ import annotations

import statistics
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from fieldmark.core.contracts.terms import SPLITS
from fieldmark.core.jobs.features import FEWEST_FOR_A_RATE, recall
from fieldmark.core.kept_files import kept_options
from fieldmark.core.learning.dataset import choose
from fieldmark.core.options import stored_options
from fieldmark.core.plugin_calls import blamed_on
from fieldmark.core.registry import Registry
from fieldmark.core.train import CheckedRequest, TrainRequest, check_request
from fieldmark.storage.embeddings import EmbeddingCache
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.projects import Project
from fieldmark.storage.training_facts import earlier_trainings, images_state
from fieldmark.storage.workspace import Workspace

if TYPE_CHECKING:
    from numpy.typing import NDArray

START_SECONDS = 4.0
"""A worker starts and evaluates in about this time: its imports, mostly."""
LOAD_SECONDS = 4.0
"""What loading a backbone adds: the imports of torch, mostly."""
GUESSED_IMAGES_PER_SECOND = 50.0
"""Where a backbone has not embedded enough images to know: between the embedded backbone's 80 to 90 and the 20 to 60
of small pretrained networks, all on two cores of a server's processor. A guess, and said to be one."""
_KEPT = 2


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a training will take; times are wall seconds."""

    images: dict[str, int]
    """{split: images}."""
    label_counts: dict[str, dict[str, int]]
    """{label: {split: images}}; a multi-label image counts under each of its labels."""
    images_to_embed: int
    """Images that the backbone has yet to see; the rest is in the cache."""
    embed_seconds: float
    """Apart from the minutes given, which bound the training itself."""
    embed_measured: bool
    """Whether the pace is this machine's own; else it is `GUESSED_IMAGES_PER_SECOND`."""
    steps: int | None
    """About how many steps the trainer will plan; None: it can't say before."""
    train_seconds: float
    """At most the minutes given."""
    train_measured: bool
    """Whether it follows from earlier trainings here; else it is the trainer's word, or all the time given."""
    start_seconds: float
    """To start the worker and load what it needs."""
    notes: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Wall time from Start to the model."""
        return self.start_seconds + self.embed_seconds + self.train_seconds


def estimate(workspace: Workspace, registry: Registry, project: Project, request: TrainRequest) -> Estimate:
    """Return what this training would take.

    Raises `FieldmarkError` with the sentence that `start_training` would refuse it with.
    """
    checked = check_request(workspace, registry, project, request)
    gathered = _gathered(workspace, project, request, checked.labels)
    to_embed, per_second, notes = _to_embed(workspace, registry, checked, gathered)
    images, labels, most = gathered.images["train"], len(gathered.label_counts), 60 * request.minutes
    with blamed_on(f"trainer '{checked.trainer_name}'"):
        steps = checked.trainer.planned_steps(images, labels, most)
        train_seconds, train_measured = _train_seconds(workspace, checked, images, labels)
    return Estimate(
        images=dict(gathered.images),
        label_counts=gathered.label_counts,
        images_to_embed=to_embed,
        embed_seconds=to_embed / (per_second or GUESSED_IMAGES_PER_SECOND),
        embed_measured=per_second is not None or not to_embed,
        steps=steps,
        train_seconds=most if train_seconds is None else min(most, train_seconds),
        train_measured=train_measured,
        start_seconds=START_SECONDS + (LOAD_SECONDS if to_embed else 0.0),
        notes=(*gathered.notes, *notes),
    )


@dataclass(slots=True)
class _Gathered:
    """What is left of a data set: a million `ImageRow` would be too much to keep."""

    images: dict[str, int]
    label_counts: dict[str, dict[str, int]]
    notes: tuple[str, ...]
    sha256s: NDArray[np.bytes_]
    counted: tuple[Path, frozenset[str], int] | None = field(default=None)
    """Folder of embeddings, the files in it, and how many of the images they lack."""


_kept: OrderedDict[tuple[Any, ...], _Gathered] = OrderedDict()
_lock = Lock()


def _gathered(
    workspace: Workspace, project: Project, request: TrainRequest, labels: tuple[str, ...]
) -> _Gathered:
    """Gather the images, or return what was gathered a moment ago from the same images for the same choices."""
    choices = (request.task, labels, request.validation, request.seed, request.images)
    key = (workspace.root, project.id, choices, images_state(workspace.database, project.id))
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    chosen = choose(
        workspace, project, request.task, labels, request.validation, request.seed, request.images
    )
    found = _Gathered(
        {split: int((chosen.splits == split).sum()) for split in SPLITS},
        chosen.counts,
        chosen.notes,
        np.array([row.sha256 for row in chosen.images], dtype="S64"),
    )
    with _lock:
        _kept[key] = found
        while len(_kept) > _KEPT:
            _kept.popitem(last=False)
    return found


def _to_embed(
    workspace: Workspace, registry: Registry, checked: CheckedRequest, gathered: _Gathered
) -> tuple[int, float | None, list[str]]:
    """Return how many images the backbone has yet to see, its pace here if known, and sentences about both."""
    options = kept_options(workspace, checked.backbone.options)
    known = recall(registry, checked.backbone_name, options, workspace.embeddings)
    if known is None:
        sentence = (
            f"{checked.backbone_name} has embedded no image here yet: the time for it is a guess, and a pretrained "
            "backbone may have to be fetched first"
        )
        return len(gathered.sha256s), None, [sentence]
    to_embed = _missing(gathered, workspace.embedding_folder(known.fingerprint))
    if to_embed and known.images_per_second is None:
        sentence = (
            f"{checked.backbone_name} has never embedded {FEWEST_FOR_A_RATE} images in one go here: "
            "the time for it is a guess"
        )
        return to_embed, None, [sentence]
    return to_embed, known.images_per_second, []


def _missing(gathered: _Gathered, folder: Path) -> int:
    files = frozenset(path.name for path in folder.glob("*.parquet"))
    known = gathered.counted
    if known is None or known[:2] != (folder, files):
        try:
            held = EmbeddingCache(folder).holds(gathered.sha256s.astype(str).tolist())
        except OSError as error:
            raise FieldmarkError(f"the embeddings in {folder} can't be read: {error.strerror}") from error
        known = gathered.counted = (folder, files, int(len(held) - held.sum()))
    return known[2]


def _train_seconds(
    workspace: Workspace, checked: CheckedRequest, images: int, labels: int
) -> tuple[float | None, bool]:
    """Return how long `fit` takes, and whether that follows from earlier trainings; None when nobody can say."""
    trainer = checked.trainer

    def work(images: int, labels: int) -> float:
        planned = trainer.planned_seconds(images, labels)
        return float(images * labels) if planned is None else planned

    earlier = earlier_trainings(
        workspace.database, checked.trainer_name, stored_options(trainer.options), checked.backbone_name
    )
    paces = [past.seconds / work(past.images, past.labels) for past in earlier if past.images and past.labels]
    if not paces:
        return trainer.planned_seconds(images, labels), False
    return statistics.median(paces) * work(images, labels), True
