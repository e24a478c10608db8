"""Runs that go on while nobody looks, with real workers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fieldmark.core import train as training
from fieldmark.core.active_runs import ActiveRuns
from fieldmark.core.export import export_run
from fieldmark.core.models import delete_model, find_model
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
    return runs.inbox.take(received.token)


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
    group = Path(f"/proc/{pid}/autogroup")
    if group.exists():  # Linux weighs sessions before it looks at the niceness inside them
        assert group.read_text().split()[-2:] == ["nice", "10"]
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


def test_two_predictions_at_once_on_the_same_files_each_hold_all_of_them(
    workspace: Workspace,
    runs: ActiveRuns,
    project: Project,
    shapes: Path,
    draw: Callable[..., Path],
    tmp_path: Path,
) -> None:
    runs.wait(runs.train(project, REQUEST))
    model = find_model(workspace, project, "m")
    many = {f"{path.parent.name}-{path.name}": path.read_bytes() for path in shapes.rglob("*.png")}
    one_more = {"new.png": draw(tmp_path / "new.png", "disc", 70).read_bytes()}

    first = runs.predict_files(model, "best", received=send(runs, many))
    second = runs.predict_files(model, "best", received=send(runs, one_more), earlier=first)

    counts = []
    for run in (first, second):
        assert runs.wait(run).status == "finished"
        outcome = runs.predicted(run)
        assert outcome is not None
        counts.append((outcome.seen, outcome.predicted))
    assert counts == [(24, 24), (25, 25)]


def test_two_trainings_at_once_get_two_names(
    workspace: Workspace, runs: ActiveRuns, project: Project
) -> None:
    unnamed = TrainRequest(task="single-label", offline=True)
    with ThreadPoolExecutor(2) as pool:
        started = list(pool.map(lambda _: runs.train(project, unnamed), range(2)))

    assert {runs.wait(run).status for run in started} == {"finished"}
    assert {runs.view(run).name for run in started} == {"single-label-1", "single-label-2"}


def test_a_training_that_cannot_be_launched_is_recorded_as_failed(
    workspace: Workspace, runs: ActiveRuns, project: Project
) -> None:
    folder = workspace.runs
    folder.rename(folder.with_name("elsewhere"))
    folder.write_text("in the way")

    with pytest.raises(FieldmarkError, match="could not start"):
        runs.train(project, REQUEST)

    folder.unlink()
    folder.with_name("elsewhere").rename(folder)
    assert stored.running(workspace.database) == []
    assert runs.wait(runs.train(project, REQUEST)).status == "finished"


def test_a_result_that_cannot_be_used_ends_its_run(
    workspace: Workspace, runs: ActiveRuns, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(folder: Path) -> None:
        raise FieldmarkError("the model can't be used: its model.json is damaged")

    monkeypatch.setattr(training, "read_model_file", damaged)

    view = runs.wait(runs.train(project, REQUEST))

    assert (view.status, view.active) == ("failed", False) and "damaged" in view.sentence
    assert stored.running(workspace.database) == []


def test_a_model_that_predicts_cannot_be_deleted(
    workspace: Workspace, runs: ActiveRuns, project: Project
) -> None:
    runs.wait(runs.train(project, REQUEST))
    model = find_model(workspace, project, "m")
    run = runs.predict_images(model, "best")
    with pytest.raises(FieldmarkError, match="is predicting"):
        delete_model(workspace, model)
    assert runs.wait(run).status == "finished"
    delete_model(workspace, model)
    with pytest.raises(NotFound):
        export_run(workspace, runs, load_registry().exporter("csv", {}), run)


def test_a_cancelled_upload_keeps_what_is_stored_and_counts_only_what_was_looked_at(
    workspace: Workspace, runs: ActiveRuns, shapes: Path, draw: Callable[..., Path], tmp_path: Path
) -> None:
    project = create_project(workspace, "many")
    files = {
        f"{number}.png": draw(tmp_path / "many" / f"{number}.png", "disc", number).read_bytes()
        for number in range(400)
    }
    run = runs.upload(project, send(runs, files), UploadWishes())
    while (runs.view(run).percent or 0) == 0:
        time.sleep(0.005)
    runs.cancel(run)

    view, report = runs.wait(run), runs.report(run)
    assert report is not None
    assert report.seen == report.stored + len(report.duplicates) + len(report.refused) + len(report.skipped)
    assert (view.status == "cancelled") == report.cut_short == (report.seen < 400)


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
