"""An open workspace for pages, and a browser for what only a browser shows."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fieldmark.core.active_runs import ActiveRuns
from fieldmark.core.open_app import OpenApp, hold
from fieldmark.core.registry import load_registry
from fieldmark.storage.workspace import create_workspace

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page

PATIENCE = 120_000
"""Milliseconds: two cores may be busy with a training."""


@pytest.fixture
def open_app(tmp_path: Path) -> Iterator[OpenApp]:
    """Hold an empty workspace open in this process, as the server does for its pages."""
    workspace = create_workspace(tmp_path / "workspace")
    registry = load_registry()
    app = OpenApp(workspace, registry, ActiveRuns(workspace, registry, offline=True))
    hold(app)
    yield app
    app.runs.close()
    hold(None)
    workspace.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A headless Chromium; without one the test is skipped by name, except where it must be there."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        if os.environ.get("FIELDMARK_NEEDS_CHROMIUM"):
            pytest.fail("Chromium is missing, and FIELDMARK_NEEDS_CHROMIUM says that it must not be")
        pytest.skip("needs Chromium: install the package chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium: Browser) -> Iterator[Page]:
    """A tab that fails the test when it asks another host, when a script fails, or when one opens a dialog."""
    from playwright.sync_api import expect

    context = chromium.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    context.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    asked: list[str] = []
    wrong: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    context.on("weberror", lambda error: wrong.append(str(error.error)))

    def answer(dialog: Dialog) -> None:
        if dialog.type != "beforeunload":  # which our own uploader may ask
            wrong.append(f"a dialog: {dialog.message}")
        dialog.accept()

    context.on("dialog", answer)
    yield context.new_page()
    context.close()
    expect.set_options(timeout=5_000)
    foreign = [url for url in asked if not re.match(r"(data|blob|http://127\.0\.0\.1)[:/]", url)]
    assert foreign == []
    assert wrong == []


@pytest.fixture
def shapes_project(draw: Callable[..., Path], tmp_path: Path) -> Callable[..., int]:
    """`shapes_project(rest, "name")` makes a project of eight pictures with two labels."""

    def make(rest: Any, name: str) -> int:
        labels = {f"{n}.png": ("disc", "square")[n % 2] for n in range(8)}
        pictures = {
            called: draw(tmp_path / "drawn" / called, label, int(called[:-4]))
            for called, label in labels.items()
        }
        return rest.project(name, pictures, labels)

    return make
