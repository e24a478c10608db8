"""What a training will take is said before Start, agrees with what it then takes, and costs next to nothing."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from fieldmark import Classifier, Options, Progress, Trainer, TrainingSet
from fieldmark.core.checks.contract_rules import HEAVY
from fieldmark.core.estimates import (
    GUESSED_IMAGES_PER_SECOND,
    LOAD_SECONDS,
    START_SECONDS,
    Estimate,
    estimate,
)
from fieldmark.core.jobs.features import recall
from fieldmark.core.kept_files import keep_files, kept_options
from fieldmark.core.learning.dataset import gather
from fieldmark.core.registry import Registered, Registry, load_registry
from fieldmark.core.train import TrainRequest, start_training, train
from fieldmark.storage import annotations, images, runs
from fieldmark.storage.annotations import Statement
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.images import Content
from fieldmark.storage.models import model_by_name
from fieldmark.storage.projects import Project, create_project
from fieldmark.storage.workspace import Workspace, create_workspace

REGISTRY = load_registry()


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = create_workspace(tmp_path / "ws")
    yield opened
    opened.close()


@pytest.fixture
def project(workspace: Workspace) -> Project:
    return create_project(workspace.database, "p", "embedded")


def add(workspace: Workspace, project: Project, labels: Sequence[str | None], seed: int = 0) -> list[int]:
    """Store one picture for each label, red where it is 'red' and blue otherwise, and return the image ids."""
    rng = np.random.default_rng(seed)
    shas = []
    for label in labels:
        pixels = rng.integers(0, 90, (32, 32, 3), dtype=np.uint8)
        pixels[..., 0 if label == "red" else 2] += 150
        picture = workspace.root / "picture.png"
        Image.fromarray(pixels).save(picture)
        shas.append(hashlib.sha256(picture.read_bytes()).hexdigest())
        target = workspace.image_path(shas[-1])
        target.parent.mkdir(exist_ok=True)
        picture.replace(target)

    def record(cursor: Any) -> list[int]:
        images.add_contents(cursor, [Content(sha, 1, "PNG", 32, 32, 1, 1, "RGB", None, ()) for sha in shas])
        names = [(f"{seed}/{number}.png", sha) for number, sha in enumerate(shas)]
        ids = [image_id for image_id, _ in images.add_images(cursor, project.id, names, "me")]
        said = [Statement(i, (label,)) for i, label in zip(ids, labels, strict=True) if label]
        annotations.apply_statements(cursor, project.id, said, "human", "me")
        return ids

    return workspace.database.write(record)


def say(workspace: Workspace, project: Project, *statements: Statement) -> None:
    workspace.database.write(
        lambda cursor: annotations.apply_statements(cursor, project.id, statements, "human", "me")
    )


def ask(workspace: Workspace, project: Project, registry: Registry = REGISTRY, **choices: Any) -> Estimate:
    return estimate(workspace, registry, project, TrainRequest("single-label", **choices))


REFUSED: dict[str, tuple[list[str | None], dict[str, Any]]] = {
    "no image": ([], {}),
    "no label": ([None] * 4, {}),
    "one label": (["red"] * 4, {}),
    "one image of a label": (["red"] * 4 + ["blue"], {}),
    "an unknown label": (["red", "blue"] * 2, {"labels": ("green",)}),
    "no time": (["red", "blue"] * 2, {"minutes": 0.0}),
    "no user-defined set": (["red", "blue"] * 2, {"validation": None}),
    "no such trainer": (["red", "blue"] * 2, {"trainer": "single-labl"}),
    "no such option": (["red", "blue"] * 2, {"trainer_options": {"l2": -1}}),
    "no such backbone": (["red", "blue"] * 2, {"backbone": "imbedded"}),
    "a bad name": (["red", "blue"] * 2, {"name": "a/b"}),
    "no such images": (["red", "blue"] * 2, {"images": (1, 2, 3, 77, 99)}),
    "no images chosen": (["red", "blue"] * 2, {"images": ()}),
}


@pytest.mark.parametrize(("labels", "choices"), REFUSED.values(), ids=REFUSED)
def test_what_would_be_refused_is_refused_before_in_the_same_words(
    workspace: Workspace, project: Project, labels: list[str | None], choices: dict[str, Any]
) -> None:
    add(workspace, project, labels)
    with pytest.raises(FieldmarkError) as before:
        ask(workspace, project, **choices)
    with pytest.raises(FieldmarkError) as at_start:
        start_training(workspace, REGISTRY, project, TrainRequest("single-label", **choices))
    assert str(before.value) == str(at_start.value)
    assert runs.running(workspace.database) == []


@pytest.mark.parametrize(
    ("task", "trainer"), [("multi-label", None), ("one-class", None), ("one-class", "single-label")]
)
def test_a_kind_that_nobody_does_is_refused(
    workspace: Workspace, project: Project, task: Any, trainer: str | None
) -> None:
    add(workspace, project, ["red", "blue"] * 4)
    with pytest.raises(FieldmarkError, match=r"no trainer here does|does single-label, not one-class"):
        estimate(workspace, REGISTRY, project, TrainRequest(task, trainer=trainer))


def test_it_counts_what_the_training_will_get(workspace: Workspace, project: Project) -> None:
    ids = add(workspace, project, ["red", "blue", "blue"] * 10 + [None] * 3)
    say(workspace, project, Statement(ids[0], split="test"), Statement(ids[1], split="test"))
    said = ask(workspace, project, validation=0.25)
    dataset = gather(workspace, project, "single-label", (), 0.25, 0)
    assert said.label_counts == dataset.counts
    assert said.images == {"train": 21, "validation": 7, "test": 2}
    assert (
        set(dataset.notes) < set(said.notes) and "3 images have no label yet and are left out" in said.notes
    )


def test_it_sees_every_change(workspace: Workspace, project: Project) -> None:
    ids = add(workspace, project, ["red", "blue"] * 5)
    first = ask(workspace, project)
    say(workspace, project, Statement(ids[0], ("blue",), default="blue"))
    second = ask(workspace, project)
    assert sum(first.label_counts["blue"].values()) == 5
    assert sum(second.label_counts["blue"].values()) == 6
    say(workspace, project, Statement(ids[1], split="test"))
    assert ask(workspace, project).images["test"] == 1
    add(workspace, project, ["red"], seed=1)
    assert sum(ask(workspace, project).images.values()) == 11
    assert sum(ask(workspace, project, labels=("red", "blue"), validation=0.0).images.values()) == 11
    assert ask(workspace, project, validation=0.0).images["validation"] == 0
    workspace.database.write(
        lambda cursor: cursor.execute("update label set name = 'teal' where name = 'blue'").fetchall()
    )
    assert sorted(ask(workspace, project).label_counts) == ["red", "teal"]


def test_only_chosen_images_count_and_are_trained_on(workspace: Workspace, project: Project) -> None:
    ids = add(workspace, project, ["red", "blue", "blue"] * 8)
    chosen = tuple(ids[:12])
    said = ask(workspace, project, images=chosen)
    assert (sum(said.images.values()), said.images_to_embed) == (12, 12)
    request = TrainRequest("single-label", minutes=0.05, images=chosen)
    _, training = train(workspace, REGISTRY, project, request)
    assert set(training.dataset.table["image_id"].to_pylist()) == set(chosen)
    assert training.dataset.counts == said.label_counts


def test_a_guess_is_said_to_be_one_until_this_machine_has_shown_its_pace(
    workspace: Workspace, project: Project
) -> None:
    add(workspace, project, ["red", "blue"] * 20)
    guess = ask(workspace, project)
    assert (guess.images_to_embed, guess.embed_measured, guess.train_measured) == (40, False, False)
    assert guess.embed_seconds == 40 / GUESSED_IMAGES_PER_SECOND
    assert any(note.startswith("embedded has embedded no image here yet") for note in guess.notes)

    model, _ = train(workspace, REGISTRY, project, TrainRequest("single-label", name="m"))
    known = recall(REGISTRY, "embedded", {}, workspace.embeddings)
    assert known is not None and known.images_per_second is not None
    # The job's own clock also counts reading and writing the cache, so the two differ, but not by much.
    assert known.images_per_second == pytest.approx(40 / model.embed_seconds, rel=0.5)

    again = ask(workspace, project)
    assert (again.images_to_embed, again.embed_seconds, again.embed_measured) == (0, 0.0, True)
    assert again.train_measured and again.train_seconds == pytest.approx(model.train_seconds)
    assert again.seconds == START_SECONDS + again.train_seconds and again.notes == ()

    add(workspace, project, ["red", "blue"] * 3, seed=1)
    more = ask(workspace, project)
    assert (more.images_to_embed, more.embed_measured) == (6, True)
    assert more.embed_seconds == pytest.approx(6 / known.images_per_second)
    assert more.start_seconds == START_SECONDS + LOAD_SECONDS
    assert more.train_seconds == pytest.approx(again.train_seconds * 46 / 40, rel=0.1)

    train(workspace, REGISTRY, project, TrainRequest("single-label", minutes=0.05))
    kept = recall(REGISTRY, "embedded", {}, workspace.embeddings)
    assert kept == known, "six images say nothing about the pace, and don't make it forgotten"


def test_what_was_remembered_before_there_were_paces_is_still_known(
    workspace: Workspace, project: Project
) -> None:
    add(workspace, project, ["red", "blue"] * 4)
    train(workspace, REGISTRY, project, TrainRequest("single-label", minutes=0.05))
    known = recall(REGISTRY, "embedded", {}, workspace.embeddings)
    assert known is not None and known.images_per_second is None
    for path in workspace.embeddings.glob("*/backbone-*.json"):
        old = json.loads(path.read_text())
        del old["images_per_second"]
        path.write_text(json.dumps(old))
    assert recall(REGISTRY, "embedded", {}, workspace.embeddings) == known
    add(workspace, project, ["red"], seed=1)
    said = ask(workspace, project)
    assert (said.images_to_embed, said.embed_measured) == (1, False)
    assert any(note.startswith("embedded has never embedded 32 images in one go") for note in said.notes)


def test_the_minutes_bound_the_training(workspace: Workspace, project: Project) -> None:
    add(workspace, project, ["red", "blue"] * 20)
    ample, short = ask(workspace, project), ask(workspace, project, minutes=1e-5)
    assert ample.steps == 200 and 0 < ample.train_seconds < 60
    assert short.steps is not None and 1 <= short.steps < 200
    assert short.train_seconds == pytest.approx(6e-4)
    assert short.embed_seconds == ample.embed_seconds


class _Silent(Classifier):
    def logits(self, inputs: Any) -> Any:
        return np.zeros((len(inputs), 2), np.float32)

    def save(self, folder: Path) -> None:
        (folder / "nothing.json").write_text("{}")


class Silent(Trainer[Options]):
    """Says nothing before it starts."""

    name, summary, tasks = "silent", "Says nothing", frozenset({"single-label"})

    def fit(self, data: TrainingSet) -> Generator[Progress, Any, Classifier]:
        yield Progress(1, 1, _Silent())
        return _Silent()

    @classmethod
    def restore(cls, folder: Path) -> Classifier:
        return _Silent()


class Broken(Silent):
    name = "broken"

    def planned_steps(self, images: int, labels: int, seconds: float) -> int:
        raise ZeroDivisionError("division by zero")


def with_trainer(trainer: type[Trainer[Any]]) -> Registry:
    taken_in = Registered("trainer", trainer.name, trainer, "plugin", "1", trainer.summary)
    return Registry([*REGISTRY.plugins, taken_in])


def test_a_trainer_that_says_nothing_may_take_all_the_time(workspace: Workspace, project: Project) -> None:
    add(workspace, project, ["red", "blue"] * 20)
    said = ask(workspace, project, with_trainer(Silent), trainer="silent", minutes=3)
    assert (said.steps, said.train_seconds, said.train_measured) == (None, 180, False)


def test_a_trainer_that_fails_is_named(workspace: Workspace, project: Project) -> None:
    add(workspace, project, ["red", "blue"] * 20)
    with pytest.raises(FieldmarkError, match="the trainer 'broken' failed"):
        ask(workspace, project, with_trainer(Broken), trainer="broken")


def test_only_trainings_with_the_same_options_tell_the_pace(workspace: Workspace, project: Project) -> None:
    add(workspace, project, ["red", "blue"] * 20)
    train(workspace, REGISTRY, project, TrainRequest("single-label", name="m", trainer_options={"l2": 0.1}))
    assert model_by_name(workspace.database, project.id, "m") is not None
    assert not ask(workspace, project).train_measured
    assert ask(workspace, project, trainer_options=["l2=0.1"]).train_measured


def test_it_loads_nothing_heavy(workspace: Workspace, project: Project) -> None:
    add(workspace, project, ["red", "blue"] * 20)
    train(workspace, REGISTRY, project, TrainRequest("single-label", minutes=0.05))
    root = workspace.root
    workspace.close()
    code = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from fieldmark.core.advice import kinds\n"
        "from fieldmark.core.estimates import estimate\n"
        "from fieldmark.core.projects import find_project\n"
        "from fieldmark.core.registry import load_registry\n"
        "from fieldmark.core.train import TrainRequest\n"
        "from fieldmark.storage.workspace import open_workspace\n"
        "heavy, root = json.load(sys.stdin)\n"
        "workspace, registry = open_workspace(Path(root)), load_registry()\n"
        "project = find_project(workspace, 'p')\n"
        "said = estimate(workspace, registry, project, TrainRequest('single-label'))\n"
        "kinds(workspace, registry, project)\n"
        "timm = TrainRequest('single-label', backbone='timm:mobilenetv2_100')\n"
        "other = estimate(workspace, registry, project, timm)\n"
        "workspace.close()\n"
        "loaded = [module for module in heavy if module in sys.modules]\n"
        "print(json.dumps([said.images_to_embed, other.images_to_embed, loaded]))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps([HEAVY, str(root)]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout) == [0, 40, []]


def test_weights_are_found_where_a_training_would_keep_them_and_nothing_is_copied(
    workspace: Workspace, tmp_path: Path
) -> None:
    file, folder = tmp_path / "head.safetensors", tmp_path / "weights"
    folder.mkdir()
    save_file({"a": np.zeros(3, np.float32)}, file)
    save_file({"a": np.ones(3, np.float32)}, folder / "model.safetensors")
    for path in (file, folder):
        options = REGISTRY.backbone("timm:resnet18", {"weights": str(path)}).options
        there = set(workspace.weights.glob("*"))
        before = kept_options(workspace, options)
        assert set(workspace.weights.glob("*")) == there and not Path(before["weights"]).exists()
        assert keep_files(workspace, options) == before and Path(before["weights"]).exists()
        settled = REGISTRY.backbone("timm:resnet18", before).options
        assert kept_options(workspace, settled) == keep_files(workspace, settled)
    save_file({"a": np.full(3, 2, np.float32)}, folder / "model.safetensors")
    assert kept_options(workspace, options)["weights"] != before["weights"]
