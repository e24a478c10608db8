"""Runs that go on while nobody looks, with real workers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fieldmark.core.active_runs import ActiveRuns
from fieldmark.core.export import export_run
from fieldmark.core.models import find_model
from fieldmark.core.projects import create_project
from fieldmark.core.registry import load_registry
from fieldmark.core.sources.received import Received
from fieldmark.core.train import TrainRequest
from fieldmark.core.upload import UploadWishes, upload
from fieldmark.storage import runs as stored
from fieldmark.storage.errors import FieldmarkError, NotFound
from fieldmark.storage.projects import Project
from fieldmark.storage.workspace import Workspace, create_workspace

REQUEST = TrainRequest(task="single-label", name="m", offline=True)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = create_workspace(tmp_path / "ws")
    yield opened
    opened.close()


@pytest.fixture
def runs(workspace: Workspace) -> Iterator[ActiveRuns]:
    active = ActiveRuns(workspace, load_registry(), offline=True)
    yield active
    for view in active.active():
        active.cancel(view.id)
    active.close()


@pytest.fixture
def project(workspace: Workspace, shapes: Path) -> Project:
    made = create_project(workspace, "p")
    upload(workspace, load_registry(), made, [shapes], UploadWishes(labels_from_folder=True))
    return made


def send(runs: ActiveRuns, files: dict[str, bytes]) -> Received:
    received = runs.inbox.new()
    for name, content in files.items():
        part = received.place()
        part.write_bytes(content)
        received.keep(name, part, len(content))
    return received


def test_an_upload_is_stored_in_the_background_and_reported(
    workspace: Workspace, runs: ActiveRuns, shapes: Path
) -> None:
    project = create_project(workspace, "p")
    files = {f"shapes/{path.relative_to(shapes)}": path.read_bytes() for path in shapes.rglob("*.png")}
    received = send(
        runs, {**files, "shapes/disc/broken.png": b"\x89PNG\r\n\x1a\nno", "shapes/notes.txt": b"hello"}
    )

    view = runs.wait(runs.upload(project, received, UploadWishes(labels_from_folder=True)))

    report = runs.report(view.id)
    assert report is not None and view.status == "finished"
    assert (report.stored, len(report.refused), len(report.skipped)) == (24, 1, 1)
    assert report.labels == 24
    assert not received.folder.exists()
    with pytest.raises(NotFound):
        runs.inbox.find(received.token)


def test_a_training_shows_its_curve_and_leaves_a_model(
    workspace: Workspace, runs: ActiveRuns, project: Project
) -> None:
    run = runs.train(project, REQUEST)
    seen = []
    while (view := runs.view(run)).active:
        seen.append(view.percent or 0.0)
        time.sleep(0.02)

    assert view.status == "finished" and find_model(workspace, project, "m")
    assert seen == sorted(seen) and seen[-1] < 100
    assert {point.split for point in view.curve} == {"train", "validation"}
    assert runs.active() == []


def test_a_cancelled_training_leaves_no_model_and_no_process(
    workspace: Workspace, runs: ActiveRuns, project: Project
) -> None:
    run = runs.train(project, REQUEST)
    pid = _worker(workspace, run)
    runs.cancel(run)

    assert runs.wait(run).status == "cancelled"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(FieldmarkError, match="there is no model"):
        find_model(workspace, project, "m")


def test_a_worker_that_was_killed_is_named(workspace: Workspace, runs: ActiveRuns, project: Project) -> None:
    run = runs.train(project, REQUEST)
    os.kill(_worker(workspace, run), signal.SIGKILL)

    view = runs.wait(run)
    assert view.status == "failed"
    assert "killed" in view.sentence


def test_predicted_files_are_kept_for_another_model_and_for_more_files(
    workspace: Workspace,
    runs: ActiveRuns,
    project: Project,
    shapes: Path,
    tmp_path: Path,
    draw: Callable[..., Path],
) -> None:
    runs.wait(runs.train(project, REQUEST))
    runs.wait(runs.train(project, TrainRequest(task="single-label", name="n", offline=True)))
    one, two = find_model(workspace, project, "m"), find_model(workspace, project, "n")
    fresh = [draw(tmp_path / f"{number}.png", "disc", number) for number in (40, 41)]

    first = runs.wait(runs.predict_files(one, "best", received=send(runs, {"a.png": fresh[0].read_bytes()})))
    second = runs.wait(
        runs.predict_files(
            two, "last", received=send(runs, {"a.png": fresh[1].read_bytes()}), earlier=first.id
        )
    )

    outcome = runs.predicted(second.id)
    assert outcome is not None and (outcome.predicted, outcome.model.name) == (2, "n")
    made = export_run(workspace, runs, load_registry().exporter("csv", {}), second.id)
    assert sorted(line.split(",")[0] for line in made.path.read_text().splitlines()[1:]) == [
        "a (2).png",
        "a.png",
    ]
    with pytest.raises(NotFound):
        runs.predicted_basket(9999)


def test_a_run_that_fails_inside_says_so(workspace: Workspace, runs: ActiveRuns, project: Project) -> None:
    runs.wait(runs.train(project, REQUEST))
    model = find_model(workspace, project, "m")
    for path in workspace.model_folder(model.id).glob("best/*"):
        path.write_bytes(b"damaged")

    view = runs.wait(runs.predict_images(model, "best"))

    assert view.status == "failed" and "is not what was saved" in view.sentence
    assert stored.running(workspace.database) == []


def _worker(workspace: Workspace, run: int) -> int:
    path = workspace.run_folder(run) / "worker.pid"
    deadline = time.monotonic() + 60
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return int(path.read_text())
