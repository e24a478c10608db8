"""What a person meets without images of their own: the demo, a run on every page, labels from a file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page


def go(tab: Page, name: str) -> None:
    tab.get_by_test_id("stSidebar").get_by_role("link", name=name, exact=True).click()


def test_the_demo_a_run_on_every_page_and_labels_from_a_file(
    tab: Page, serve: Callable[..., Any], rest_of: Callable[[Any], Any], tmp_path: Path
) -> None:
    from playwright.sync_api import expect

    server = serve(None, "--offline")
    rest = rest_of(server)
    tab.goto(server.address)
    tab.get_by_role("button", name="Set up the demo").click()
    expect(tab.get_by_role("heading", level=1, name="Label")).to_be_visible()
    for page in ("Upload", "Models"):
        go(tab, page)
        expect(tab.get_by_text("Training digits-1")).to_be_visible()
    tab.get_by_role("button", name="Curves").click()
    expect(tab.get_by_text("The curves begin").or_(tab.locator(".stVegaLiteChart")).first).to_be_visible()
    expect(tab.get_by_text("Training digits-1 has finished.")).to_be_visible()
    expect(tab.get_by_role("heading", name="digits-1")).to_be_visible()

    go(tab, "Train")
    tab.get_by_role("button", name="Start").click()
    expect(tab.get_by_text("Training single-label-1")).to_be_visible()
    tab.get_by_role("button", name="Cancel").click()
    expect(tab.get_by_text(re.compile("was cancelled"))).to_be_visible()
    assert [model["name"] for model in rest.ask("GET", "projects/digits/models")["models"]] == ["digits-1"]

    labels = tmp_path / "labels.csv"
    labels.write_text("image,label\ndigit-1597.png,two\nnope.png,two\n")
    go(tab, "Upload")
    tab.get_by_role("tab", name="Labels from another tool").click()
    here = tab.get_by_role("tabpanel").filter(has_text="Nothing is written before")
    here.locator(".uploader input").first.set_input_files(labels)
    tab.get_by_role("button", name="Show what would change").click()
    expect(tab.get_by_text("Nothing is written yet.")).to_be_visible()
    assert "two" not in [label["name"] for label in rest.ask("GET", "projects/digits/labels")["labels"]]
    tab.get_by_role("button", name="Read the labels in").click()
    expect(tab.get_by_role("heading", name="What became of the labels")).to_be_visible()
    counts = {label["name"]: label["images"] for label in rest.ask("GET", "projects/digits/labels")["labels"]}
    assert counts["two"] == 1
