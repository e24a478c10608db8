"""What the Train page says about each kind of training: when it fits, and where the data disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fieldmark.core.contracts.terms import TASKS, Task
from fieldmark.core.registry import Registry
from fieldmark.core.train import trainer_for
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.labels import LabelCount, label_counts
from fieldmark.storage.projects import Project
from fieldmark.storage.training_facts import LabelledImages, labelled_images
from fieldmark.storage.workspace import Workspace

FEW = 10
"""Images below which a label's answers are unsteady."""
_NAMED = 5
_FITS: dict[Task, str] = {
    "single-label": "Each image shows one thing: dog breeds, moods, sound or broken.",
    "multi-label": "An image may show several things at once, or none of them: what is in a room, the signs of a disease.",
    "one-class": "All images show one thing, and the question is whether a new one does too: good parts, your own product.",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of training as a person chooses it."""

    task: Task
    trainer: str | None
    """The trainer that would do it; None: none is installed."""
    sentence: str
    """When it fits."""
    warning: str | None
    """Where the labels of the project disagree, and what to do."""


def kinds(workspace: Workspace, registry: Registry, project: Project) -> list[Kind]:
    """Return every kind with what the project's labels say about it."""
    counted = labelled_images(workspace.database, project.id)
    labels = [label for label in label_counts(workspace.database, project.id) if label.images]
    trainers = {task: _trainer(registry, task) for task in TASKS}
    able = frozenset(task for task, trainer in trainers.items() if trainer)
    found = []
    for task, trainer in trainers.items():
        said = [] if trainer else [f"No trainer for {task} is installed: 'fieldmark plugins' lists what is."]
        said += _disagreements(task, counted, labels, able)
        found.append(Kind(task, trainer, _FITS[task], " ".join(said) or None))
    return found


def _trainer(registry: Registry, task: Task) -> str | None:
    try:
        return trainer_for(registry, task)
    except FieldmarkError:
        return None


def _disagreements(
    task: Task, counted: LabelledImages, labels: Sequence[LabelCount], able: frozenset[Task]
) -> list[str]:
    if not counted.labelled:
        return ["No image is labelled yet: label some first, or import labels."]
    if task == "single-label":
        return [*_single(counted, labels, able), *_few([(label.name, label.default) for label in labels])]
    if task == "multi-label":
        return [*_multi(counted), *_few([(label.name, label.images) for label in labels])]
    return _one_class(labels, able)


def _single(counted: LabelledImages, labels: Sequence[LabelCount], able: frozenset[Task]) -> list[str]:
    said = []
    if counted.several:
        carry = "carries" if counted.several == 1 else "carry"
        instead = "consider multi-label" if "multi-label" in able else "check that it is the right one"
        said.append(
            f"{counted.several} of {counted.labelled} labelled images {carry} more than one label; single-label learns "
            f"the default label alone: {instead}."
        )
    if counted.none_of_these:
        images = "1 image is" if counted.none_of_these == 1 else f"{counted.none_of_these} images are"
        said.append(f"{images} marked 'none of these', which single-label leaves out.")
    used = [label.name for label in labels if label.default]
    if len(used) == 1:
        said.append(
            f"{used[0]!r} is the only default label, and single-label needs two: label some images otherwise, "
            "for example as 'background'."
        )
    return said


def _multi(counted: LabelledImages) -> list[str]:
    if counted.several:
        return []
    return ["No image carries two labels: single-label fits better, unless more labels are still to come."]


def _one_class(labels: Sequence[LabelCount], able: frozenset[Task]) -> list[str]:
    if len(labels) > 1:
        sentence = (
            f"There are {len(labels)} labels, and one-class learns to tell one thing from all else: "
            "choose one label, or single-label."
        )
        return [sentence]
    if "one-class" not in able:
        sentence = (
            f"{labels[0].name!r} is the only label: label some images otherwise, for example as 'background', "
            "and train single-label."
        )
        return [sentence]
    return _few([(labels[0].name, labels[0].images)])


def _few(counts: Sequence[tuple[str, int]]) -> list[str]:
    """Name the labels that a training would use and that few images carry."""
    few = [f"{name!r} ({count})" for name, count in counts if 0 < count < FEW]
    if not few:
        return []
    more = f" and {len(few) - _NAMED} more" if len(few) > _NAMED else ""
    return [
        f"Fewer than {FEW} images have {', '.join(few[:_NAMED])}{more}: expect unsteady answers, or label more."
    ]
