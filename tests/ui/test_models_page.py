"""The Models page: what was trained, renaming and deleting it, and what ended without a result."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from fieldmark.core import models as core_models
from fieldmark.core.learning.report import Evaluation
from fieldmark.core.open_app import OpenApp
from fieldmark.core.past_runs import runs_without_result
from fieldmark.core.projects import create_project
from fieldmark.storage import models, predictions, runs
from fieldmark.storage.database import Cursor
from fieldmark.storage.models import Checkpoint, Model
from fieldmark.storage.predictions import Prediction
from fieldmark.storage.projects import Project
from fieldmark.storage.runs import RunKind, RunStatus
from fieldmark.storage.workspace import Workspace
from fieldmark.ui.model_cards import SHOWN
from fieldmark.ui.moments import length
from fieldmark.ui.shell import script


def add_model(
    workspace: Workspace,
    project: Project,
    name: str,
    accuracy: float | None = 0.98765,
    trainer: str = "single-label",
) -> Model:
    """Record a model as a training would have left it."""
    run = runs.start_run(workspace.database, project.id, "train", name)
    assert run.model_id is not None
    distribution = "fieldmark" if trainer == "single-label" else "fieldmark-gone"
    model = Model(
        run.model_id, project.id, run.id, name, "single-label", trainer, {}, distribution, "0.1", "embedded", {},
        "fieldmark", "print", ("a", "b"), 1.0, 2.0, "finished", (), datetime(2026, 11, 24, 12, 15),
    )  # fmt: skip
    report = Evaluation(task="single-label", count=81 if accuracy else 0, accuracy=accuracy, labels=[])

    def record(cursor: Cursor) -> None:
        found = {("best", "validation"): report.model_dump_json()}
        models.add_model(cursor, model, [Checkpoint("best", 3, 1.0)], [], [], found)
        runs.finish_run(cursor, run.id, "finished")

    workspace.database.write(record)
    workspace.model_folder(model.id).mkdir(parents=True)
    return model


def add_run(
    workspace: Workspace, project: Project, kind: RunKind, status: RunStatus, message: str | None
) -> None:
    run = runs.start_run(workspace.database, project.id, kind, f"{kind}-{status}", 1)
    workspace.database.write(lambda cursor: runs.finish_run(cursor, run.id, status, message))


def open_page() -> AppTest:
    at = AppTest.from_file(str(script()), default_timeout=30).run()
    at.switch_page("../pages/models.py").run()
    assert not at.exception
    return at


def words(elements: Iterable[Any]) -> list[str]:
    """What is read, without the marks that keep a text from being Markdown."""
    return [re.sub(r"\\(.)|:small\[\]", r"\1", element.value) for element in elements]


def names(at: AppTest) -> list[str]:
    return words(at.subheader)


def press(at: AppTest, key: str) -> AppTest:
    at.button(key=key).click().run()
    assert not at.exception
    return at


def submit(at: AppTest, label: str) -> AppTest:
    next(
        button for button in at.button if button.label == label and "FormSubmitter" in button.key
    ).click().run()
    assert not at.exception
    return at


def links(at: AppTest) -> list[tuple[str, str]]:
    return [(link.proto.label, link.proto.query_string) for link in at.main.get("page_link")]


def test_an_empty_project_says_what_to_do(open_app: OpenApp) -> None:
    assert "none yet" in at_words(open_page())
    create_project(open_app.workspace, "birds")
    at = open_page()
    assert "No model yet." in at_words(at)
    assert [label for label, _ in links(at)] == ["Train a model"]


def at_words(at: AppTest) -> str:
    return "\n".join(
        words([*at.markdown, *at.caption, *at.text, *at.error, *at.warning, *at.success, *at.info])
    )


def test_models_are_listed_with_their_accuracy_and_links(open_app: OpenApp) -> None:
    project = create_project(open_app.workspace, "birds")
    add_model(open_app.workspace, project, "first")
    add_model(open_app.workspace, project, "_second_.v2", accuracy=None)
    at = open_page()
    assert names(at) == ["_second_.v2", "first"]
    assert [metric.value for metric in at.metric] == ["none", "98.8%"]
    assert "single-label · 2 labels · backbone embedded · trained 24 Nov 2026, 12:15" in at_words(at)
    assert [label for label, _ in links(at)] == ["Statistics", "Predict"] * 2
    assert all(f"project={project.id}" in query and "model=" in query for _, query in links(at))


def test_a_model_whose_plugin_is_gone_says_so_and_offers_no_prediction(open_app: OpenApp) -> None:
    project = create_project(open_app.workspace, "birds")
    add_model(open_app.workspace, project, "old", trainer="gone-trainer")
    at = open_page()
    assert "This model can't be used now" in words(at.warning)[0] and "gone-trainer" in words(at.warning)[0]
    assert [label for label, _ in links(at)] == ["Statistics"]


def test_renaming_refuses_a_taken_name_with_a_free_one(open_app: OpenApp) -> None:
    project = create_project(open_app.workspace, "birds")
    for name in ("one", "two"):
        add_model(open_app.workspace, project, name)
    at = press(open_page(), "rename_one")
    assert at.text_input(key="new_name_one").value == "one"
    at.text_input(key="new_name_one").set_value("two")
    submit(at, "Rename")
    assert words(at.error) == ["there is a model called 'two' already; 'two-1' is free"]
    assert at.text_input(key="new_name_one").value == "two", "what was typed stays"
    at.text_input(key="new_name_one").set_value("a b/c")
    submit(at, "Rename")
    assert "'a-b-c' is free" in words(at.error)[0]
    at.text_input(key="new_name_one").set_value("three")
    submit(at, "Rename")
    assert names(at) == ["two", "three"]
    assert words(at.success) == ["one is called three now."]
    assert not at.text_input
    assert [model.name for model in models.models(open_app.workspace.database)] == ["three", "two"]


def test_deleting_says_what_is_lost_and_asks(open_app: OpenApp) -> None:
    workspace = open_app.workspace
    project = create_project(workspace, "birds")
    model = add_model(workspace, project, "one")
    run = runs.start_run(workspace.database, project.id, "predict", "one", model.id)
    later = [
        Prediction(run.id, model.id, "best", None, f"{number}.png", "0" * 64, None, None, ("a",), (1.0, 0.0), (0.7, 0.3))
        for number in range(3)
    ]  # fmt: skip
    workspace.database.write(lambda cursor: predictions.add_predictions(cursor, later))
    workspace.database.write(lambda cursor: runs.finish_run(cursor, run.id, "finished"))
    at = press(open_page(), "delete_one")
    assert "statistics and the 3 predictions it has made since are lost for good" in words(at.warning)[0]
    press(at, "keep_one")
    assert names(at) == ["one"] and not at.warning
    press(press(at, "delete_one"), "delete_for_good_one")
    assert not names(at) and words(at.success) == ["one is deleted."]
    assert not models.models(workspace.database) and not workspace.model_folder(model.id).exists()


@pytest.mark.parametrize("action", ["rename", "delete"])
def test_a_model_that_another_tab_deleted_is_named(open_app: OpenApp, action: str) -> None:
    project = create_project(open_app.workspace, "birds")
    model = add_model(open_app.workspace, project, "one")
    add_model(open_app.workspace, project, "two")
    at = press(open_page(), f"{action}_one")
    core_models.delete_model(open_app.workspace, model)
    if action == "rename":
        at.text_input(key="new_name_one").set_value("three")
        submit(at, "Rename")
    else:
        press(at, "delete_for_good_one")
    assert names(at) == ["two"]
    assert "there is no model 'one'" in words(at.error)[0]


def test_only_the_latest_of_many_models_are_shown_at_first(open_app: OpenApp) -> None:
    project = create_project(open_app.workspace, "birds")
    for number in range(SHOWN + 3):
        add_model(open_app.workspace, project, f"model-{number}")
    at = open_page()
    assert len(names(at)) == SHOWN and names(at)[0] == f"model-{SHOWN + 2}"
    press(at, "more_models")
    assert len(names(at)) == SHOWN + 3


def test_runs_that_left_nothing_are_told_with_their_sentence(open_app: OpenApp) -> None:
    workspace = open_app.workspace
    project, other = create_project(workspace, "birds"), create_project(workspace, "other")
    add_run(workspace, project, "train", "failed", "too few images of '<b>x</b>'")
    add_run(workspace, project, "predict", "cancelled", None)
    add_run(workspace, project, "train", "interrupted", None)
    add_run(workspace, project, "train", "finished", None)
    add_run(workspace, project, "upload", "failed", "the disk is full")
    add_run(workspace, other, "train", "failed", "elsewhere")
    found = runs_without_result(workspace, project)
    assert [(run.kind, run.status) for run in found] == [
        ("train", "interrupted"), ("predict", "cancelled"), ("train", "failed"),
    ]  # fmt: skip
    assert "interrupted" in found[0].sentence and "start it again" in found[0].sentence
    assert "nothing of it was kept" in found[1].sentence
    assert len(runs_without_result(workspace, project, most=1)) == 1
    at = AppTest.from_file(str(script()), default_timeout=30)
    at.query_params["project"] = str(project.id)
    at.run()
    at.switch_page("../pages/models.py").run()
    assert "too few images of '<b>x</b>'" in [text.value for text in at.text]
    assert at.expander[0].label == "Ended without a result (3)"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.04, "0.0 s"), (12.34, "12.3 s"), (59.96, "1 min 00 s"), (200, "3 min 20 s"), (3900, "1 h 05 min")],
)
def test_a_length_of_time_is_read_at_once(seconds: float, said: str) -> None:
    assert length(seconds) == said
