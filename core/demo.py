"""The demo: real handwritten digits that come with scikit-learn, most of them labelled, some left to do."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fieldmark.core.jobs.files import Step
from fieldmark.core.projects import create_project
from fieldmark.core.registry import Registry
from fieldmark.core.train import TrainRequest, train
from fieldmark.core.upload import UploadWishes, upload
from fieldmark.storage import models, projects
from fieldmark.storage.images import counts_by_state
from fieldmark.storage.models import Model
from fieldmark.storage.projects import Project
from fieldmark.storage.workspace import Workspace

PROJECT = "digits"
MODEL = "digits-1"
IMAGES = 1797
UNLABELLED = 200
SIDE = 64
"""Pixels: the 8 x 8 originals are enlarged to this."""
DEMO_TRAINING = TrainRequest(task="single-label", name=MODEL, offline=True)


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo's project and model."""

    project: Project
    model: Model
    accuracy: float
    """Of `best` on the validation images, 0..1."""
    seconds: float
    """Wall time of what was still to do."""
    labelled: int
    unlabelled: int
    reused: bool


def run_demo(
    workspace: Workspace,
    registry: Registry,
    tell: Callable[[Step], None] = lambda step: None,
) -> Demo:
    """Make what is missing of the demo: its project, its images, its model; do nothing that is done already."""
    started = time.monotonic()

    def checked(images: int) -> None:
        tell(Step(stage="check", done=images))

    project = demo_project(workspace, registry, checked)
    model = models.model_by_name(workspace.database, project.id, MODEL)
    reused = model is not None
    if model is None:
        model, _ = train(workspace, registry, project, DEMO_TRAINING, tell)
    states = counts_by_state(workspace.database, project.id)
    report = json.loads(models.evaluations(workspace.database, model.id, "best")["validation"])
    return Demo(
        project,
        model,
        report["accuracy"],
        time.monotonic() - started,
        states.get("labelled", 0),
        states.get("unlabelled", 0),
        reused,
    )


def demo_project(
    workspace: Workspace, registry: Registry, progress: Callable[[int], None] = lambda seen: None
) -> Project:
    """Return the demo's project, made with its images where it is missing."""
    project = projects.project_by_name(workspace.database, PROJECT) or create_project(workspace, PROJECT)
    if sum(counts_by_state(workspace.database, project.id).values()) < IMAGES:
        with workspace.staging() as folder:
            labelled, unlabelled = _write_digits(folder)
            upload(workspace, registry, project, [labelled], UploadWishes(labels_from_folder=True), progress)
            upload(workspace, registry, project, [unlabelled], UploadWishes(), progress)
    return project


def _write_digits(folder: Path) -> tuple[Path, Path]:
    """Write the digits as PNG files: those to label by their folder, and those left without a label."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    labelled, unlabelled = folder / "labelled", folder / "unlabelled"
    unlabelled.mkdir()
    for number, (pixels, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
        image = Image.fromarray((255 - pixels * (255 / 16)).astype("uint8"))
        image = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        home = unlabelled if number >= len(digits.target) - UNLABELLED else labelled / str(digit)
        home.mkdir(parents=True, exist_ok=True)
        image.save(home / f"digit-{number:04d}.png")
    return labelled, unlabelled
