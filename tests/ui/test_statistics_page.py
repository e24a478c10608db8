"""The Statistics page, held to what `fieldmark stats --json` says of a model that was really trained."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from fieldmark.core.active_runs import ActiveRuns
from fieldmark.core.labelling import label_images
from fieldmark.core.mistakes import Mistake, mistakes
from fieldmark.core.models import delete_model, find_model
from fieldmark.core.open_app import OpenApp, hold
from fieldmark.core.prediction_pages import training_predictions
from fieldmark.core.projects import create_project, find_project
from fieldmark.core.registry import load_registry
from fieldmark.core.train import TrainRequest, train
from fieldmark.core.upload import UploadWishes, upload
from fieldmark.storage.browse import ImageFilter, image_page
from fieldmark.storage.edits import Edit
from fieldmark.storage.projects import Project
from fieldmark.storage.workspace import create_workspace, open_workspace
from fieldmark.ui.definitions import DEFINITIONS
from fieldmark.ui.shell import script
from fieldmark.ui.statistics.choice import Choice
from fieldmark.ui.statistics.figures import shown
from fieldmark.ui.statistics.predictions import predictions_source
from fieldmark.ui.statistics.summary import how_best_was_chosen

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LABELS = {"<b>x</b>": (210, 60, 60), "a & b?c=d#e": (60, 60, 210), "**third**": (70, 180, 70)}
PER_LABEL = 20


@dataclass(frozen=True, slots=True)
class Trained:
    """A closed workspace with two trained models, and what the command line says of each."""

    folder: Path
    stats: dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Train on colours of which every fourth lies, so that right and wrong predictions are there."""
    home = tmp_path_factory.mktemp("statistics")
    workspace, registry = create_workspace(home / "workspace"), load_registry()
    project = create_project(workspace, "colours")
    rng = random.Random(4)
    for place, label in enumerate(LABELS):
        folder = home / str(place)
        folder.mkdir()
        for number in range(PER_LABEL):
            colour = rng.choice(list(LABELS.values())) if number % 4 == 0 else LABELS[label]
            picture = Image.new("RGB", (48, 48), colour)
            for _ in range(900):
                picture.putpixel((rng.randrange(48), rng.randrange(48)), tuple(rng.randbytes(3)))
            picture.save(folder / f"{place}-{number}.png")
        upload(workspace, registry, project, [folder], UploadWishes(labels=(label,)))
        rows = image_page(workspace.database, project.id, ImageFilter(labels=(label,)), 0, 4)[0]
        label_images(workspace, project, [row.id for row in rows], Edit(split="test"))
    asked = {"with-validation": 0.4, "without": 0.0}
    for name, validation in asked.items():
        request = TrainRequest("single-label", name=name, minutes=0.2, validation=validation, offline=True)
        train(workspace, registry, project, request)
    workspace.close()
    stats = {
        (name, checkpoint): _stats(home / "workspace", name, checkpoint)
        for name, checkpoint in (
            ("with-validation", "best"),
            ("with-validation", "last"),
            ("without", "best"),
        )
    }
    return Trained(home / "workspace", stats)


def _stats(folder: Path, model: str, checkpoint: str) -> dict[str, Any]:
    command = [
        sys.executable, "-m", "fieldmark", "stats", model, "--project", "colours", "--checkpoint", checkpoint,
        "--workspace", str(folder), "--json",
    ]  # fmt: skip
    found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return found


@pytest.fixture
def app(trained: Trained, tmp_path: Path) -> Iterator[OpenApp]:
    """A copy of the trained workspace, held open as the server does."""
    shutil.copytree(trained.folder, tmp_path / "workspace")
    workspace, registry = open_workspace(tmp_path / "workspace"), load_registry()
    app = OpenApp(workspace, registry, ActiveRuns(workspace, registry, offline=True))
    hold(app)
    yield app
    app.runs.close()
    hold(None)
    workspace.close()


def open_page(**address: str) -> AppTest:
    at = AppTest.from_file(str(script()), default_timeout=60)
    for name, value in address.items():
        at.query_params[name] = value
    at.run()
    at.switch_page("../pages/statistics.py").run()
    assert not at.exception
    return at


def words(at: AppTest) -> str:
    parts = [*at.markdown, *at.caption, *at.info, *at.warning, *at.text]
    return "\n".join(re.sub(r"\\(.)|:small\[\]", r"\1", part.value) for part in parts)


def metrics(at: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in at.metric}


def links(at: AppTest) -> list[str]:
    return [link.proto.label for link in at.main.get("page_link")]


def project_of(app: OpenApp) -> Project:
    return find_project(app.workspace, "colours")


@pytest.mark.parametrize("checkpoint", ["best", "last"])
def test_the_figures_are_those_of_the_command_line(app: OpenApp, trained: Trained, checkpoint: str) -> None:
    found = trained.stats["with-validation", checkpoint]
    at = open_page(model="with-validation", checkpoint=checkpoint, view="advanced")
    report = found["validation"]
    said = metrics(at)
    assert report["accuracy"] < 1, "a set without a mistake would prove little"
    assert said["Accuracy"] == f"{report['accuracy']:.1%}"
    assert said["Precision (macro)"] == f"{report['precision']:.1%}"
    assert said["Recall (macro)"] == f"{report['recall']:.1%}"
    assert said["F1 (macro)"] == f"{report['f1']:.1%}"
    assert said["Cross-entropy"] == f"{report['cross_entropy']:.3f}"
    assert said["Matthews correlation"] == f"{report['matthews']:.1%}"
    assert f"step {found['saved']['best']['step']}" in said["Best saved at"]
    right = round(report["accuracy"] * report["count"])
    assert f"{report['count']} images, of which {right} were decided right" in words(at)
    assert all(metric.help for metric in at.metric)
    assert DEFINITIONS["accuracy"] in [metric.help for metric in at.metric]


def test_each_set_has_its_own_figures_and_pictures(app: OpenApp, trained: Trained) -> None:
    at = open_page(model="with-validation", view="advanced")
    assert [tab.label for tab in at.tabs] == ["Training", "Validation", "Test"]
    found = trained.stats["with-validation", "best"]
    for name, split in (("training", "train"), ("test", "test"), ("validation", "validation")):
        at.session_state["statistics_set"] = name.capitalize()
        at.run()
        report = found[name]
        assert metrics(at)["Accuracy"] == f"{report['accuracy']:.1%}"
        at.toggle(key=f"statistics_pictures_{split}").set_value(True).run()
        right = round(report["accuracy"] * report["count"])
        verdicts = at.button_group(key=f"statistics_verdict_{split}")
        assert verdicts.options == [
            f"All ({report['count']})", f"✓ Correct ({right})", f"✗ Incorrect ({report['count'] - right})",
        ]  # fmt: skip
        verdicts.set_value("incorrect").run()
        assert not at.exception
        table = next(one.value for one in at.dataframe if "FN" in one.value.columns)
        assert list(table["Label"]) == sorted(LABELS)
        assert list(table["Images"]) == [row["count"] for row in report["labels"]]
        assert list(table["F1"]) == pytest.approx([100 * row["f1"] for row in report["labels"]])
        assert list(table["FN"]) == [row["false_negatives"] for row in report["labels"]]


def test_the_basic_view_shows_less_and_the_address_keeps_the_choice(app: OpenApp) -> None:
    at = open_page(model="with-validation")
    assert "Cross-entropy" not in metrics(at) and "Accuracy" in metrics(at)
    assert not [one.value for one in at.subheader if one.value != "Notes"]
    at.button_group(key="statistics_view").set_value("advanced").run()
    at.button_group(key="statistics_checkpoint").set_value("last").run()
    assert at.query_params["view"] == "advanced" and at.query_params["checkpoint"] == "last"
    assert {"Confusion matrix", "Each label", "Learning curves"} <= {one.value for one in at.subheader}
    at.selectbox(key="statistics_model").set_value("without").run()
    assert not at.exception
    assert at.query_params["model"] == "without" and at.query_params["checkpoint"] == "last"


def test_a_model_without_validation_images_says_so(app: OpenApp, trained: Trained) -> None:
    at = open_page(model="without", view="advanced")
    assert "There were no validation images" in words(at)
    assert "Accuracy" not in metrics(at), "nothing was measured"
    assert "lowest cross-entropy on the training images (there are no validation images)" in words(at)
    at.session_state["statistics_set"] = "Training"
    at.run()
    accuracy = trained.stats["without", "best"]["training"]["accuracy"]
    assert metrics(at)["Accuracy"] == f"{accuracy:.1%}"


def test_the_words_on_the_best_are_what_the_curve_says(trained: Trained) -> None:
    found = trained.stats["with-validation", "best"]
    assert "lowest cross-entropy on the validation images" in how_best_was_chosen(found)
    measured = [point for point in found["curve"] if point["split"] == "validation"]
    best = min(measured, key=lambda point: point["cross_entropy"])
    assert best["step"] == found["saved"]["best"]["step"]
    same = {**found, "saved": {"best": {"step": 3, "seconds": 1.0}, "last": {"step": 3, "seconds": 1.0}}}
    other = {**found, "saved": {"best": {"step": 3, "seconds": 1.0}, "last": {"step": 9, "seconds": 2.0}}}
    assert "best and last are the same" in how_best_was_chosen(same)
    assert "best and last are the same" not in how_best_was_chosen(other)


def test_every_mistake_in_the_list_leads_to_its_images(app: OpenApp, trained: Trained) -> None:
    report = trained.stats["with-validation", "best"]["validation"]
    found = mistakes(report["confusion"], [row["label"] for row in report["labels"]])
    model = find_model(app.workspace, project_of(app), "with-validation")
    assert (
        sum(one.images for one in found) == report["count"] - round(report["accuracy"] * report["count"]) > 0
    )
    for one in found:
        page = training_predictions(
            app.workspace, model, "best", split="validation", truth=one.truth, predicted=one.predicted
        )
        assert page.page.total == one.images
    at = open_page(model="with-validation", view="advanced")
    table = next(one.value for one in at.dataframe if "Truth" in one.value.columns)
    assert [tuple(row) for row in table.itertuples(index=False)] == [
        (one.truth, one.predicted, one.images) for one in found
    ]


def test_mistakes_are_sorted_by_images_then_by_share() -> None:
    matrix = [[5, 1, 0], [2, 0, 1], [1, 0, 0]]
    assert mistakes(matrix, ["a", "b", "c"]) == [
        Mistake("b", "a", 2), Mistake("c", "a", 1), Mistake("b", "c", 1), Mistake("a", "b", 1),
    ]  # fmt: skip
    assert len(mistakes(matrix, ["a", "b", "c"], most=2)) == 2
    assert mistakes([[3, 0], [0, 0]], ["a", "b"]) == []


def test_the_address_of_predictions_holds_any_name(app: OpenApp) -> None:
    project = project_of(app)
    model = find_model(app.workspace, project, "with-validation")
    choice = Choice(project, model, "last", advanced=True)
    source = predictions_source(choice, "validation", truth="a & b?c=d#e", predicted="<b>x</b>+%20")
    parts = urlsplit(source)
    assert parts.path == f"api/v1/projects/{project.id}/predictions" and not parts.fragment
    assert parse_qs(parts.query) == {
        "model": ["with-validation"], "checkpoint": ["last"], "set": ["validation"],
        "truth": ["a & b?c=d#e"], "predicted": ["<b>x</b>+%20"],
    }  # fmt: skip


def test_a_model_that_is_gone_and_a_project_without_models_say_what_to_do(app: OpenApp) -> None:
    project = project_of(app)
    at = open_page(model="with-validation")
    delete_model(app.workspace, find_model(app.workspace, project, "with-validation"))
    at.run()
    assert not at.exception
    assert "There is no model called with-validation in this project" in words(at)
    assert links(at) == ["All models of this project"] and not at.metric
    at.selectbox(key="statistics_model").set_value("without").run()
    assert "Best saved at" in metrics(at)
    delete_model(app.workspace, find_model(app.workspace, project, "without"))
    at.run()
    assert "No model yet" in words(at) and links(at) == ["Train a model"]


def test_another_project_chosen_at_the_side_shows_its_own_models(app: OpenApp) -> None:
    first, second = project_of(app), create_project(app.workspace, "second")
    at = open_page(project=str(first.id), model="with-validation")
    at.sidebar.selectbox[0].set_value(second.id).run()
    assert not at.exception and "No model yet" in words(at) and "model" not in at.query_params
    at.sidebar.selectbox[0].set_value(first.id).run()
    assert at.selectbox(key="statistics_model").value == "without", "the latest"


def test_a_model_that_is_still_training_is_named(app: OpenApp) -> None:
    run = app.runs.train(
        project_of(app), TrainRequest("single-label", name="coming", minutes=1, offline=True)
    )
    try:
        at = open_page(model="coming")
        assert "coming is still training" in words(at)
    finally:
        app.runs.cancel(run)
        app.runs.wait(run, 60)
    at.run()
    assert "There is no model called coming" in words(at)


@pytest.mark.parametrize(
    ("figure", "value", "said"),
    [("accuracy", None, "none"), ("accuracy", 0.98765, "98.8%"), ("matthews", -0.5, "-50.0%"), ("cross_entropy", 0.0234, "0.023")],
)  # fmt: skip
def test_figures_are_rounded_as_the_command_line_does(figure: str, value: float | None, said: str) -> None:
    assert shown(figure, value) == said


@pytest.fixture
def served(trained: Trained, tmp_path: Path) -> Iterator[str]:
    """The address of a real server around a copy of the trained workspace."""
    shutil.copytree(trained.folder, tmp_path / "workspace")
    command = [
        sys.executable, "-m", "fieldmark", "serve", "--no-browser", "--port", "0",
        "--workspace", str(tmp_path / "workspace"),
    ]  # fmt: skip
    with (tmp_path / "log").open("w") as log, subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=log, text=True
    ) as server:  # fmt: skip
        assert server.stdout is not None
        address = re.search(r"http://\S+", server.stdout.readline())
        assert address, (tmp_path / "log").read_text()
        yield address.group()
        server.terminate()


def test_a_click_on_a_cell_shows_its_images(trained: Trained, served: str, chromium: Browser) -> None:
    from playwright.sync_api import expect

    report = trained.stats["with-validation", "best"]["validation"]
    labels = [row["label"] for row in report["labels"]]
    page = chromium.new_page(viewport={"width": 1280, "height": 1600})
    page.set_default_timeout(30_000)
    page.goto(f"{served}/statistics?model=with-validation&view=advanced")
    expect(page.get_by_role("heading", name="Statistics", exact=True)).to_be_visible(timeout=30_000)
    assert page.title() == "Statistics · Fieldmark"
    truth = "a & b?c=d#e"
    row = report["confusion"][labels.index(truth)]
    predicted = labels[
        max(range(len(labels)), key=lambda place: row[place] if labels[place] != truth else -1)
    ]
    images = row[labels.index(predicted)]
    assert images, "the cell would be empty"
    cell = page.locator(f"[aria-label^='Predicted: {predicted}; Truth: {truth};']").first
    expect(cell).to_be_visible()
    cell.scroll_into_view_if_needed()
    with page.expect_response(lambda response: "/predictions?" in response.url) as answered:
        box = cell.bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    answer = answered.value.json()
    assert [(one["truth"], one["predicted"]) for one in answer["predictions"]] == [
        ([truth], [predicted])
    ] * images
    count = "1 image" if images == 1 else f"{images} images"
    expect(page.get_by_text(f"✗ {count} of {truth}, predicted as {predicted}")).to_be_visible()
    pictures = page.locator("[role=gridcell] img, [role=option] img, .tile img")
    expect(pictures).to_have_count(images)
    assert pictures.first.evaluate("one => one.decode().then(() => one.naturalWidth)") > 0
    page.close()
