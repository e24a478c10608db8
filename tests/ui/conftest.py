"""An open workspace for pages, and a browser for what only a browser shows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fieldmark.core.active_runs import ActiveRuns
from fieldmark.core.open_app import OpenApp, hold
from fieldmark.core.registry import load_registry
from fieldmark.storage.workspace import create_workspace

if TYPE_CHECKING:
    from playwright.sync_api import Browser


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
