"""Every page, whatever there is to show: without a project, with an empty one, with images, with a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from fieldmark.core.active_runs import ActiveRuns
from fieldmark.core.open_app import OpenApp, hold
from fieldmark.core.projects import create_project
from fieldmark.core.registry import load_registry
from fieldmark.core.train import TrainRequest, train
from fieldmark.core.upload import UploadWishes, upload
from fieldmark.storage.workspace import create_workspace
from fieldmark.ui.navigation import JOURNEY
from fieldmark.ui.shell import script

PAGES = sorted(path.stem for path in (script().parents[1] / "pages").glob("*.py") if path.stem != "__init__")
LONGEST = 40
"""Lines of a page's file: what it shows lies elsewhere."""


def opened(page: str) -> AppTest:
    at = AppTest.from_file(str(script()), default_timeout=60)
    at.switch_page(str(script().parents[1] / "pages" / f"{page}.py"))
    return at.run()


def check(at: AppTest, page: str) -> None:
    assert not at.exception
    assert [title.value for title in at.title] == [JOURNEY[page][0]]


def test_the_navigation_holds_every_page() -> None:
    assert sorted(JOURNEY) == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_thin(page: str) -> None:
    assert len((script().parents[1] / "pages" / f"{page}.py").read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize("page", PAGES)
def test_without_a_project_a_page_says_what_to_do(open_app: OpenApp, page: str) -> None:
    at = opened(page)

    check(at, page)
    assert not at.error
    if page not in ("home", "plugins"):
        assert at.markdown or at.info


@pytest.mark.parametrize("page", PAGES)
def test_with_an_empty_project(open_app: OpenApp, page: str) -> None:
    create_project(open_app.workspace, "**bold** <b>x</b>")

    at = opened(page)

    check(at, page)
    assert not at.error


@pytest.mark.parametrize("page", PAGES)
def test_with_images_and_a_model(filled_app: OpenApp, page: str) -> None:
    at = opened(page)

    check(at, page)
    assert not at.error and not at.warning


@pytest.fixture(scope="module")
def filled_app(
    tmp_path_factory: pytest.TempPathFactory, draw_into: Callable[[Path], Path]
) -> Iterator[OpenApp]:
    """Hold a workspace open with two labels of twelve images each, and a model of them."""
    folder = tmp_path_factory.mktemp("filled")
    workspace, registry = create_workspace(folder / "ws"), load_registry()
    project = create_project(workspace, "shapes")
    upload(workspace, registry, project, [draw_into(folder)], UploadWishes(labels_from_folder=True))
    train(workspace, registry, project, TrainRequest(task="single-label", name="m", offline=True))
    app = OpenApp(workspace, registry, ActiveRuns(workspace, registry, offline=True))
    hold(app)
    yield app
    app.runs.close()
    hold(None)
    workspace.close()
