"""The Train page: what it says before there is anything to learn, what it asks, what it starts, what becomes of it."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from streamlit.testing.v1 import AppTest

from fieldmark.core.labelling import label_images
from fieldmark.core.open_app import OpenApp
from fieldmark.core.projects import create_project
from fieldmark.core.upload import UploadWishes, upload
from fieldmark.storage import images, models, runs
from fieldmark.storage.database import Cursor
from fieldmark.storage.edits import Edit
from fieldmark.storage.images import Content
from fieldmark.storage.projects import Project
from fieldmark.storage.validation_set import marked_images
from fieldmark.storage.workspace import Workspace
from fieldmark.ui.shell import script
from fieldmark.ui.training.label_table import USE, LabelTable

if TYPE_CHECKING:
    from conftest import Served
    from playwright.sync_api import APIRequestContext, Browser

COLOURS = [(20, 40, 200), (200, 40, 20), (20, 180, 60)]
SCRIPT = "<script>alert(1)</script>"


def fill(workspace: Workspace, counts: dict[str, int], unlabelled: int = 0) -> tuple[Project, list[int]]:
    """Make a project of images, whose files nobody opens, with so many of each label; return it with their ids."""
    project = create_project(workspace, f"p{time.time_ns()}")
    names = [label for label, count in counts.items() for _ in range(count)] + [""] * unlabelled
    shas = [f"{project.id:032x}{number:032x}" for number in range(len(names))]

    def change(cursor: Cursor) -> list[int]:
        images.add_contents(cursor, [Content(sha, 1, "PNG", 7, 5, 1, 1, "RGB", None, ()) for sha in shas])
        named = [(f"{number}.png", sha) for number, sha in enumerate(shas)]
        return [image_id for image_id, _ in images.add_images(cursor, project.id, named, "me")]

    ids = workspace.database.write(change)
    for label in counts:
        chosen = [image_id for image_id, name in zip(ids, names, strict=True) if name == label]
        label_images(workspace, project, chosen, Edit(add=(label,)))
    return project, ids


def draw(folder: Path, counts: dict[str, int]) -> Path:
    """Write pictures of one colour per label, no two alike, each label in a folder of its name."""
    for place, (label, count) in enumerate(counts.items()):
        (folder / label).mkdir(parents=True)
        for number in range(count):
            picture = Image.new("RGB", (40, 40), COLOURS[place])
            picture.paste((255, 255, 255), (number % 6 * 6, number // 6 * 6, number % 6 * 6 + 6, 40))
            picture.save(folder / label / f"{number}.png")
    return folder


def open_page(**address: str) -> AppTest:
    at = AppTest.from_file(str(script()), default_timeout=30)
    for name, value in address.items():
        at.query_params[name] = value
    at.run()
    at.switch_page("../pages/train.py").run()
    assert not at.exception
    return at


def unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text.replace(":small[]", ""))


def words(at: AppTest) -> str:
    parts = [*at.info, *at.warning, *at.error, *at.success, *at.caption, *at.markdown]
    return "\n".join(unescaped(part.value) for part in parts)


def links(at: AppTest) -> list[str]:
    return [link.label for link in at.main.get("page_link")]


def widget(at: AppTest, label: str) -> Any:
    found = [element for element in at.main if getattr(element, "label", None) == label]
    assert len(found) == 1, f"{len(found)} widgets are labelled {label}"
    return found[0]


def figures(at: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in at.metric}


def test_without_project_images_or_labels_the_page_says_what_to_do(open_app: OpenApp) -> None:
    at = open_page()
    assert "There is no project yet" in words(at)
    assert links(at) == ["Home"]
    create_project(open_app.workspace, "empty")
    at = open_page()
    assert "no images in this project yet: upload some" in words(at)
    assert links(at) == ["Upload images"]
    fill(open_app.workspace, {}, unlabelled=3)
    at = open_page()
    assert "No image is labelled yet" in words(at)
    assert links(at) == ["Label images", "Upload labels from a file"]
    assert not at.button, "there is nothing to start"


def test_one_label_has_nothing_to_be_told_apart_from(open_app: OpenApp) -> None:
    fill(open_app.workspace, {"cat": 12})
    at = open_page()
    assert "same label, so there is nothing to tell apart" in words(at)
    assert "Label images" in links(at)
    assert widget(at, "Start").disabled
    assert "Single-label needs 2 labels with at least 2 images each" in words(at)


def test_the_basic_view_asks_for_kind_name_and_minutes_and_says_what_it_will_take(open_app: OpenApp) -> None:
    fill(open_app.workspace, {"cat": 20, "dog": 20}, unlabelled=3)
    at = open_page()
    assert widget(at, "Kind of training").value == "single-label"
    assert widget(at, "Name of the model").placeholder == "single-label-1"
    assert widget(at, "Minutes").value == 1
    assert "**Labels** · 2 of 2 to learn" in words(at)
    assert "If an image has more than one label, only the default one is used." in words(at)
    assert figures(at)["To learn from"] == "32" and figures(at)["To check with"] == "8"
    assert "about **200 steps**" in words(at)
    assert "3 images have no label yet and are left out" in words(at)
    assert "40 images to embed first, which the minutes do not count" in words(at)
    assert not widget(at, "Start").disabled
    assert not [element for element in at.main if getattr(element, "label", None) == "Learning rate"]


def test_a_kind_that_nothing_here_can_train_is_shown_and_not_started(open_app: OpenApp) -> None:
    fill(open_app.workspace, {"cat": 20, "dog": 20})
    at = open_page()
    widget(at, "Kind of training").set_value("multi-label").run()
    assert "No trainer for multi-label is installed" in words(at)
    assert "No image carries two labels: single-label fits better" in words(at)
    assert "What is installed" in links(at)
    assert not at.button


def test_a_warning_says_where_the_labels_disagree_and_shows_names_as_text(open_app: OpenApp) -> None:
    project, ids = fill(open_app.workspace, {"cat": 20, SCRIPT: 20, "**few**": 3})
    label_images(open_app.workspace, project, ids[:4], Edit(add=(SCRIPT,)))
    at = open_page()
    warning = at.warning[0].value
    assert unescaped(warning).startswith("4 of 43 labelled images carry more than one label")
    assert "<script>" not in warning and "**few**" not in warning
    assert SCRIPT not in words(at).replace(unescaped(warning), "")


def test_labels_too_rare_to_learn_are_left_out_and_named_when_ticked(open_app: OpenApp) -> None:
    fill(open_app.workspace, {"cat": 20, "dog": 20, "rare": 1})
    at = open_page()
    assert "**Labels** · 2 of 3 to learn" in words(at)
    assert "1 label has fewer than 2 images" in words(at)
    assert not widget(at, "Start").disabled
    widget(at, "All").click().run()
    assert "**Labels** · 3 of 3 to learn" in words(at)
    assert "Untick, or label more of: 'rare' (1)." in words(at)
    assert widget(at, "Start").disabled
    widget(at, "None").click().run()
    assert "Tick at least 2 labels." in words(at)


def test_the_table_of_labels_keeps_its_ticks_when_labels_change() -> None:
    rows = (("a", 5), ("b", 5), ("c", 1))
    table = LabelTable(rows, frozenset("c"), frozenset("c"))
    table.take({0: {USE: False}, 2: {USE: True}})
    assert table.ticked == {"b": 5, "c": 1}
    table.take({2: {USE: True}})
    assert table.ticked == {"a": 5, "b": 5, "c": 1}, "ticks are told against what the table was given"
    table.take({1: {USE: False}})
    version = table.version
    table.fit(rows, anew=False)
    assert table.version == version, "the same labels need no new table"
    table.fit((("0", 9), ("a", 5), ("b", 6), ("c", 4), ("d", 1)), anew=False)
    assert table.version > version
    assert table.ticked == {"0": 9, "a": 5, "c": 4}, "c has grown, b was unticked, d is too rare"
    table.fit(table.rows, anew=True)
    assert table.ticked == {"0": 9, "a": 5, "c": 4}, "coming back to the page"
    assert table.learnable == 4


def test_what_was_chosen_in_the_advanced_view_survives_closing_it(open_app: OpenApp) -> None:
    fill(open_app.workspace, {"cat": 20, "dog": 20})
    at = open_page()
    widget(at, "Advanced view").set_value(True).run()
    widget(at, "Validation set size (%)").set_value(50)
    widget(at, "Learning rate").set_value(0.5).run()
    assert figures(at)["To check with"] == "20"
    widget(at, "Advanced view").set_value(False).run()
    assert "From the advanced view: validation 50%, learning rate 0.5." in words(at)
    assert figures(at)["To check with"] == "20", "what is hidden still holds"
    widget(at, "Advanced view").set_value(True).run()
    assert widget(at, "Validation set size (%)").value == 50
    assert widget(at, "Learning rate").value == 0.5


def test_the_user_defined_set_is_counted_and_needed(open_app: OpenApp) -> None:
    project, ids = fill(open_app.workspace, {"cat": 20, "dog": 20})
    at = open_page()
    widget(at, "Advanced view").set_value(True).run()
    widget(at, "Validation images").set_value("User-defined set").run()
    assert "No image is in the user-defined validation set yet" in words(at)
    assert widget(at, "Start").disabled
    label_images(open_app.workspace, project, ids[:7], Edit(split="validation"))
    at.run()
    assert "7 images are in the user-defined validation set." in words(at)
    assert figures(at)["To check with"] == "7"
    assert widget(at, "Look at the images")
    found = marked_images(open_app.workspace.database, project.id)
    assert found.images == 7 and [(label.name, label.default) for label in found.labels] == [("cat", 7)]


def test_every_backbone_is_offered_with_its_options_and_offline_is_said(open_app: OpenApp) -> None:
    fill(open_app.workspace, {"cat": 20, "dog": 20})
    at = open_page()
    widget(at, "Advanced view").set_value(True).run()
    backbone = widget(at, "Backbone")
    assert backbone.options[0] == "embedded (the project's own)"
    assert set(backbone.options[1:]) == {p.name for p in open_app.registry.of_kind("backbone")} - {"embedded"}
    assert "a pretrained backbone, which has learned from a million of them" in words(at)
    assert "This app runs offline" in words(at)
    backbone.set_value("timm").run()
    assert "runs offline and fetches nothing: give a file or folder of weights" in words(at)
    widget(at, "Architecture").set_value("resnet18").run()
    assert "timm:resnet18 has embedded no image here yet" in words(at)


def test_a_refusal_stands_at_start_and_the_rest_of_the_page_stays(open_app: OpenApp) -> None:
    fill(open_app.workspace, {"cat": 20, "dog": 20})
    at = open_page()
    widget(at, "Name of the model").set_value("my model").run()
    assert "'my model' can't be a model's name" in words(at) and "'my-model' is free" in words(at)
    widget(at, "Start").click().run()
    assert "'my model' can't be a model's name" in words(at)
    assert not open_app.runs.active()
    assert widget(at, "Name of the model").value == "my model"
    assert widget(at, "Minutes").value == 1


def test_a_training_is_started_followed_and_leads_to_its_statistics(
    open_app: OpenApp, tmp_path: Path
) -> None:
    project = create_project(open_app.workspace, "colours")
    folder = draw(tmp_path / "images", {"blue": 12, "red": 12})
    upload(open_app.workspace, open_app.registry, project, [folder], UploadWishes(labels_from_folder=True))
    at = open_page()
    widget(at, "Name of the model").set_value("mine")
    widget(at, "Advanced view").set_value(True).run()
    widget(at, "Steps").set_value(30).run()
    widget(at, "Start").click().run()
    assert "**mine** is being trained" in words(at) and "close it" in words(at)
    assert widget(at, "Name of the model").value == "", "the next one gets another name"
    (view,) = open_app.runs.active()
    assert open_app.runs.wait(view.id, 60).status == "finished"
    at.run()
    assert "**mine** is ready." in words(at)
    assert links(at)[-2:] == ["Statistics of mine", "Predict with it"]
    model = models.model_by_name(open_app.workspace.database, project.id, "mine")
    assert model is not None and set(model.labels) == {"blue", "red"}
    assert model.trainer_options["steps"] == 30


def test_a_failed_training_is_told_with_its_reason(open_app: OpenApp, tmp_path: Path) -> None:
    project = create_project(open_app.workspace, "colours")
    folder = draw(tmp_path / "images", {"blue": 6, "red": 6})
    upload(open_app.workspace, open_app.registry, project, [folder], UploadWishes(labels_from_folder=True))
    at = open_page()
    widget(at, "Advanced view").set_value(True).run()
    widget(at, "Backbone").set_value("timm").run()
    widget(at, "Weights").set_value(str(tmp_path / "none.safetensors")).run()
    widget(at, "Start").click().run()
    (run,) = runs.latest_runs(open_app.workspace.database, project.id, 5) or open_app.runs.active()
    assert open_app.runs.wait(run.id, 60).status == "failed"
    at.run()
    assert "The training of single-label-1 failed:" in words(at)
    assert "none.safetensors" in words(at) and "press Start again" in words(at)


def send(rest: APIRequestContext, address: str, folder: Path) -> int:
    """Upload a folder through the routes, labelled by its subfolders, into a new project; return its id."""
    project: int = rest.post(f"{address}/projects", data={"name": "colours"}).json()["id"]
    token = rest.post(f"{address}/uploads").json()["upload"]
    for path in sorted(folder.rglob("*.png")):
        name = path.relative_to(folder).as_posix()
        sent = rest.put(
            f"{address}/uploads/{token}/files", params={"name": f"all/{name}"}, data=path.read_bytes()
        )
        assert sent.ok, sent.text()
    wishes = {"upload": token, "labels_from_folder": True}
    run = rest.post(f"{address}/projects/{project}/images", data=wishes).json()["run"]
    while rest.get(f"{address}/runs/{run}").json()["status"] == "running":
        time.sleep(0.05)
    return project


def test_ticks_and_a_double_click_in_the_browser(chromium: Browser, served: Served, tmp_path: Path) -> None:
    """What only a browser shows: the tick boxes, values that outlive another page, one start for two clicks."""
    page = chromium.new_page(viewport={"width": 1280, "height": 1000})
    rest, address = page.request, f"{served.address}/api/v1"
    project = send(rest, address, draw(tmp_path / "images", {"blue": 6, "red": 6, "green": 6}))
    page.goto(f"{served.address}/train?project={project}")
    page.get_by_text("3 of 3 to learn").wait_for()
    page.get_by_text("from Start to the model").wait_for()
    box = page.get_by_test_id("stDataFrame").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 40, box["y"] + 38 + 17)
    page.get_by_text("2 of 3 to learn").wait_for()
    page.get_by_role("link", name="Home").click()
    page.get_by_role("heading", name="Home").wait_for()
    page.get_by_role("link", name="Train", exact=True).first.click()
    page.get_by_text("2 of 3 to learn").wait_for()
    page.get_by_role("button", name="Start").dblclick()
    page.get_by_text("is being trained").wait_for()
    page.get_by_text("is ready").wait_for(timeout=150_000)
    page.get_by_role("link", name="Statistics of single-label-1").click()
    page.wait_for_url("**/statistics?**model=single-label-1**")
    trained = rest.get(f"{address}/projects/{project}/models").json()["models"]
    page.close()
    assert [(model["name"], model["labels"]) for model in trained] == [("single-label-1", ["green", "red"])]
