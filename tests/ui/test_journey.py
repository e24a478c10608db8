"""The whole journey as a person walks it: upload, label, train, read the statistics, predict, download."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fieldmark.storage.images import image_rows
from fieldmark.storage.workspace import open_workspace

if TYPE_CHECKING:
    from playwright.sync_api import Page


def go(tab: Page, name: str) -> None:
    """Follow a link of the sidebar, as a person does."""
    from playwright.sync_api import expect

    tab.get_by_test_id("stSidebar").get_by_role("link", name=name, exact=True).click()
    expect(tab.get_by_role("heading", level=1, name=name, exact=True)).to_be_visible()


def label_tiles(tab: Page, label: str, tiles: list[str]) -> None:
    """Select tiles one by one and give them a new label."""
    from playwright.sync_api import expect

    for place, name in enumerate(tiles):
        tile = tab.get_by_role("gridcell", name=re.compile(re.escape(name)))
        tile.scroll_into_view_if_needed()
        tile.locator("img").click(modifiers=["ControlOrMeta"] if place else [])
    expect(tab.locator(".gallery .count")).to_contain_text(f"{len(tiles)} selected")
    field = tab.get_by_label("New label")
    field.fill(label)
    field.press("Enter")
    expect(tab.get_by_test_id("stText").get_by_text(label, exact=True)).to_be_visible()
    expect(
        tab.get_by_role("gridcell", name=re.compile(re.escape(tiles[-1]))).locator(".default")
    ).to_have_text(label)


def test_from_a_folder_to_predictions(
    tab: Page,
    serve: Callable[..., Any],
    fieldmark: Callable[..., Any],
    draw: Callable[..., Path],
    tmp_path: Path,
) -> None:
    from playwright.sync_api import expect

    photos = tmp_path / "photos"
    truth = {}
    for number in range(8):
        for shape in ("disc", "square"):
            name = f"{shape}-{number:02}.png"
            draw(photos / name, shape, number)
            truth[name] = shape
    server = serve(fieldmark.workspace, "--offline")  # type: ignore[attr-defined]

    tab.goto(server.address)
    expect(tab.get_by_role("heading", level=1, name="Home")).to_be_visible()
    tab.get_by_label("Name").fill("Shapes")
    tab.get_by_role("button", name="Create project").click()
    expect(tab.get_by_role("heading", level=1, name="Upload")).to_be_visible()

    tab.locator(".uploader input").nth(1).set_input_files(photos)
    tab.get_by_role("button", name="Store 16 files").click()
    expect(tab.get_by_role("heading", name="What became of the files")).to_be_visible()
    expect(tab.get_by_test_id("stMetric").filter(has_text="Stored")).to_contain_text("16")

    go(tab, "Label")
    label_tiles(tab, "disc", [name for name in truth if name.startswith("disc")])
    label_tiles(tab, "square", [name for name in truth if name.startswith("square")])
    expect(tab.get_by_text(re.compile("All 16 images|16 of 16"))).to_be_visible()

    go(tab, "Train")
    name_field = tab.get_by_role("textbox", name="Name of the model")
    name_field.fill("shapes-1")
    name_field.press("Enter")
    tab.get_by_role("button", name="Start").click()
    expect(tab.get_by_text("Training shapes-1")).to_be_visible()
    expect(tab.get_by_role("link", name=re.compile("Statistics of"))).to_be_visible()

    tab.get_by_role("link", name=re.compile("Statistics of")).click()
    expect(tab.get_by_role("heading", level=1, name="Statistics")).to_be_visible()
    shown = tab.get_by_role("tabpanel").get_by_test_id("stMetric").filter(has_text="Accuracy").first
    expect(shown).to_contain_text("%")
    accuracy = re.search(r"[\d.]+(?=%)", shown.inner_text())
    assert accuracy is not None

    go(tab, "Predict")
    fresh = tmp_path / "fresh"
    for number in (60, 61):
        draw(fresh / f"new-{number}.png", "disc", number)
    tab.locator(".uploader input").nth(1).set_input_files(fresh)
    expect(tab.get_by_role("heading", name="What shapes-1 (best) says")).to_be_visible()
    expect(tab.get_by_role("gridcell")).to_have_count(2)
    files = {name: _download(tab, name, tmp_path) for name in ("json", "csv", "grouped-zip")}
    _holds_every_image(files, {path.name for path in fresh.iterdir()})

    assert server.stop() == 0
    workspace = open_workspace(fieldmark.workspace)  # type: ignore[attr-defined]
    stored = {row.name: row.labels for row in image_rows(workspace.database, 1)}
    workspace.close()
    assert stored == {name: (label,) for name, label in truth.items()}
    stats = fieldmark("stats", "shapes-1", "--project", "Shapes").document
    assert accuracy.group() == f"{stats['validation']['accuracy'] * 100:.1f}"


def _download(tab: Page, name: str, folder: Path) -> Path:
    with tab.expect_download() as coming:
        tab.get_by_role("link", name=name, exact=True).click()
    target = folder / coming.value.suggested_filename
    coming.value.save_as(target)
    return target


def _holds_every_image(files: dict[str, Path], names: set[str]) -> None:
    text = files["json"].read_text("utf-8")
    assert all(Counter(re.findall(r"new-\d+\.png", text))[name] >= 1 for name in names), text
    assert json.loads(text)
    rows = list(csv.reader(io.StringIO(files["csv"].read_text("utf-8"))))
    assert {row[0] for row in rows[1:]} == names
    with zipfile.ZipFile(files["grouped-zip"]) as archive:
        assert {name.rpartition("/")[2] for name in archive.namelist() if name.endswith(".png")} == names
