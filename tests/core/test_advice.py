"""What the Train page says about each kind, and that it only warns where the labels disagree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import pytest

from fieldmark import Options, Trainer
from fieldmark.core.advice import Kind, kinds
from fieldmark.core.contracts.terms import TASKS, Task
from fieldmark.core.registry import Registered, Registry, load_registry
from fieldmark.storage import annotations, images
from fieldmark.storage.annotations import Statement
from fieldmark.storage.images import Content
from fieldmark.storage.projects import Project, create_project
from fieldmark.storage.workspace import Workspace, create_workspace


class Everything(Trainer[Options]):
    """Stands for an installed plugin; advice only asks which tasks it does."""

    name, summary, tasks = "everything", "Does all tasks", frozenset(TASKS)

    def fit(self, data: Any) -> Any:
        raise AssertionError("advice must not train")

    @classmethod
    def restore(cls, folder: Path) -> Any:
        raise AssertionError("advice must not load a model")


BUILT_IN = load_registry()
ALL = Registry([Registered("trainer", "everything", Everything, "plugin", "1", "Does all tasks")])


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = create_workspace(tmp_path / "ws")
    yield opened
    opened.close()


def filled(
    workspace: Workspace, name: str, rows: Sequence[tuple[str, ...]], none_of_these: int = 0
) -> Project:
    """Make a project whose images carry these labels, the default one first, and some that carry none."""
    project = create_project(workspace.database, name, "embedded")
    shas = [f"{name}{number}".encode().hex().zfill(64) for number in range(len(rows) + none_of_these)]

    def add(cursor: Any) -> None:
        images.add_contents(cursor, [Content(sha, 1, "PNG", 2, 2, 1, 1, "RGB", None, ()) for sha in shas])
        added = images.add_images(cursor, project.id, [(f"{n}.png", sha) for n, sha in enumerate(shas)], "me")
        said = [Statement(image_id, labels) for (image_id, _), labels in zip(added, rows, strict=False)]
        said += [Statement(image_id, state="none-of-these") for image_id, _ in added[len(rows) :]]
        annotations.apply_statements(cursor, project.id, said, "human", "me")

    workspace.database.write(add)
    return project


def advice(workspace: Workspace, registry: Registry, project: Project) -> dict[Task, Kind]:
    return {kind.task: kind for kind in kinds(workspace, registry, project)}


def test_every_kind_has_a_sentence_and_says_who_does_it(workspace: Workspace) -> None:
    project = filled(workspace, "p", [("a",), ("b",)] * 10)
    found = kinds(workspace, BUILT_IN, project)
    assert [kind.task for kind in found] == list(get_args(Task))
    assert all(kind.sentence.endswith(".") for kind in found)
    single, multi, one = found
    assert (single.trainer, single.warning) == ("single-label", None)
    assert multi.trainer is one.trainer is None
    assert multi.warning and multi.warning.startswith("No trainer for multi-label is installed")
    assert {kind.trainer for kind in kinds(workspace, ALL, project)} == {"everything"}


def test_another_project_of_the_workspace_has_no_say(workspace: Workspace) -> None:
    filled(workspace, "other", [("a", "b"), ("c",)] * 3)
    project = filled(workspace, "p", [("a",), ("b",)] * 10)
    assert advice(workspace, ALL, project)["single-label"].warning is None


def test_images_with_several_labels_speak_for_multi_label(workspace: Workspace) -> None:
    project = filled(workspace, "p", [("a",)] * 20 + [("b", "a")] * 12 + [("b",)])
    found = advice(workspace, ALL, project)
    assert found["single-label"].warning == (
        "12 of 33 labelled images carry more than one label; single-label learns the default label alone: "
        "consider multi-label."
    )
    assert found["multi-label"].warning is None
    alone = advice(workspace, BUILT_IN, project)["single-label"].warning
    assert alone is not None and alone.endswith("the default label alone: check that it is the right one.")


def test_one_image_is_told_in_the_singular(workspace: Workspace) -> None:
    project = filled(workspace, "p", [("a",), ("b",)] * 10 + [("a", "b")], none_of_these=1)
    said = advice(workspace, ALL, project)["single-label"].warning
    assert said is not None and said.startswith("1 of 21 labelled images carries more than one label;")
    assert said.endswith("1 image is marked 'none of these', which single-label leaves out.")


def test_images_with_one_label_each_speak_for_single_label(workspace: Workspace) -> None:
    project = filled(workspace, "p", [("a",), ("b",)] * 10)
    said = advice(workspace, ALL, project)["multi-label"].warning
    assert said is not None and said.startswith("No image carries two labels: single-label fits better")


def test_one_label_alone_fits_one_class_or_needs_a_background(workspace: Workspace) -> None:
    project = filled(workspace, "p", [("good part",)] * 30)
    found = advice(workspace, ALL, project)
    assert found["one-class"].warning is None
    assert found["single-label"].warning == (
        "'good part' is the only default label, and single-label needs two: label some images otherwise, "
        "for example as 'background'."
    )
    without = advice(workspace, BUILT_IN, project)["one-class"].warning
    assert without is not None and without.endswith(
        "'good part' is the only label: label some images otherwise, for example as 'background', "
        "and train single-label."
    )


def test_many_labels_do_not_fit_one_class(workspace: Workspace) -> None:
    project = filled(workspace, "p", [("a",), ("b",)] * 10)
    said = advice(workspace, ALL, project)["one-class"].warning
    assert said is not None and said.startswith("There are 2 labels, and one-class")


def test_labels_with_few_images_are_named_as_each_kind_counts_them(workspace: Workspace) -> None:
    project = filled(workspace, "p", [("a", "b")] * 10 + [("b",)] * 3 + [("c",)] * 10)
    found = advice(workspace, ALL, project)
    said = found["single-label"].warning
    assert said is not None and "Fewer than 10 images have 'b' (3): expect unsteady answers" in said
    assert found["multi-label"].warning is None, "13 images carry b, ten of them not as their default"


def test_of_many_labels_with_few_images_some_are_named(workspace: Workspace) -> None:
    project = filled(workspace, "p", [(f"label {n}", "all") for n in range(8)])
    said = advice(workspace, ALL, project)["multi-label"].warning
    assert said is not None and "'label 3' (1) and 4 more: expect unsteady answers" in said


@pytest.mark.parametrize("none_of_these", [0, 4])
def test_without_a_label_every_kind_says_so(workspace: Workspace, none_of_these: int) -> None:
    project = filled(workspace, "p", [], none_of_these)
    for kind in kinds(workspace, ALL, project):
        assert kind.warning == "No image is labelled yet: label some first, or import labels."
