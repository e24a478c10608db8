"""What a dead process left is settled once, whatever state it is in."""

from __future__ import annotations

import pytest

from fieldmark.core.jobs.control import recover
from fieldmark.core.jobs.files import ERROR, RESULT
from fieldmark.core.jobs.model_folder import MODEL_FILE
from fieldmark.core.models import free_name
from fieldmark.core.train import take_in
from fieldmark.storage import models, runs
from fieldmark.storage.errors import FieldmarkError, NotSaved
from fieldmark.storage.projects import create_project


def ends(workspace) -> dict[str, tuple[str, str | None]]:
    rows = workspace.database.rows("select name, status, message from run")
    return {name: (status, message) for name, status, message in rows}


def left_folders(workspace) -> list[str]:
    return [path.name for place in (workspace.runs, workspace.models) for path in place.iterdir()]


def test_a_result_that_cannot_be_taken_in_fails_its_run_and_no_other(workspace) -> None:
    project = create_project(workspace.database, "p", "embedded")
    started = {
        name: runs.start_run(workspace.database, project.id, "train", name)
        for name in ("damaged", "renamed", "odd", "killed")
    }
    result = workspace.run_folder(started["damaged"].id) / RESULT
    result.mkdir(parents=True)
    (result / MODEL_FILE).write_text("{")
    workspace.model_folder(started["renamed"].model_id).mkdir()
    (workspace.run_folder(started["odd"].id) / RESULT).mkdir(parents=True)
    killed = workspace.run_folder(started["killed"].id)
    killed.mkdir()
    (killed / ERROR).write_text("not JSON")

    def settle(run: runs.Run) -> None:
        if run.name == "odd":
            raise KeyError("row")
        take_in(workspace, run)

    told = recover(workspace, settle)
    assert [sentence.split("'")[1] for sentence in told] == ["damaged", "renamed", "odd", "killed"]
    assert "model.json is missing, damaged" in told[0] and "train again" in told[0]
    ended = ends(workspace)
    assert {name: status for name, (status, _) in ended.items()} == {
        "damaged": "failed", "renamed": "failed", "odd": "failed", "killed": "interrupted",
    }  # fmt: skip
    assert ended["damaged"][1] == told[0]
    assert left_folders(workspace) == []
    assert models.models(workspace.database) == []
    assert recover(workspace, settle) == []


def test_a_prediction_that_was_cut_off_leaves_its_model_alone(workspace) -> None:
    project = create_project(workspace.database, "p", "embedded")
    workspace.model_folder(7).mkdir()
    run = runs.start_run(workspace.database, project.id, "predict", "m", 7)
    (workspace.run_folder(run.id) / RESULT).mkdir(parents=True)
    assert recover(workspace, lambda run: take_in(workspace, run)) == ["the prediction 'm' was interrupted"]
    assert left_folders(workspace) == ["7"]


def test_the_name_of_a_training_that_runs_is_not_said_to_be_a_model(workspace) -> None:
    project = create_project(workspace.database, "p", "embedded")
    runs.start_run(workspace.database, project.id, "train", "m")
    with pytest.raises(FieldmarkError, match="'m' is being trained now; 'm-1' is free"):
        free_name(workspace, project, "single-label", "m")


def test_a_result_that_only_the_disk_refused_waits_for_another_time(workspace) -> None:
    project = create_project(workspace.database, "p", "embedded")
    run = runs.start_run(workspace.database, project.id, "train", "m")
    (workspace.run_folder(run.id) / RESULT).mkdir(parents=True)

    def full(_: runs.Run) -> None:
        raise NotSaved("nothing was saved: the disk is full")

    (told,) = recover(workspace, full)
    assert "could not be taken in yet" in told
    assert ends(workspace)["m"][0] == "running"
    assert (workspace.run_folder(run.id) / RESULT).is_dir()
