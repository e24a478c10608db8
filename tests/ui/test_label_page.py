"""The Label page: filter in the address, labels on and off the selection, names as text, and what comes next."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from fieldmark.api.images import router
from fieldmark.core.default_label import make_default
from fieldmark.core.labelling import create_label, label_images
from fieldmark.core.open_app import OpenApp
from fieldmark.core.projects import create_project, delete_project
from fieldmark.core.registry import load_registry
from fieldmark.core.upload import UploadWishes, upload
from fieldmark.storage import images
from fieldmark.storage.browse import ImageFilter, image_page
from fieldmark.storage.database import Cursor
from fieldmark.storage.edits import Edit
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.images import Content
from fieldmark.storage.labels import LabelCount, label_counts
from fieldmark.storage.projects import Contents, Project
from fieldmark.storage.workspace import Workspace, create_workspace, open_workspace
from fieldmark.ui.labelling.filters import SHOWN, Shown, read_address
from fieldmark.ui.labelling.panel import MOST_SHOWN, shortlist
from fieldmark.ui.labelling.progress import said
from fieldmark.ui.labelling.sentences import everywhere, sentence
from fieldmark.ui.shell import script

if TYPE_CHECKING:
    from conftest import Served
    from playwright.sync_api import Browser, Page

ODD_NAMES = [
    "**bold**", "<script>alert(1)</script>", ":smile: :streamlit:", "$x$", ":red[x]", "a -> b -- c", "www.x.org",
    "[a](http://b.c)", "`d` \\* ~~e~~", ":material/home:", "&amp; me@x.org", "1. 'one'",
]  # fmt: skip


def fill(workspace: Workspace, count: int, name: str = "birds") -> tuple[Project, list[int]]:
    """Make a project with images, whose files nobody looks at, and return it with their ids."""
    project = create_project(workspace, name)
    shas = [f"{project.id:032x}{number:032x}" for number in range(count)]

    def change(cursor: Cursor) -> list[int]:
        images.add_contents(cursor, [Content(sha, 1, "PNG", 7, 5, 1, 1, "RGB", None, ()) for sha in shas])
        named = [(f"{number}.png", sha) for number, sha in enumerate(shas)]
        return [image_id for image_id, _ in images.add_images(cursor, project.id, named, "me")]

    return project, workspace.database.write(change)


def open_page(**address: str) -> AppTest:
    at = AppTest.from_file(str(script()), default_timeout=30)
    for name, value in address.items():
        at.query_params[name] = value
    at.run()
    at.switch_page("../pages/label.py").run()
    assert not at.exception
    return at


def words(at: AppTest) -> str:
    parts = [*at.info, *at.warning, *at.error, *at.caption, *at.markdown, *at.text]
    return "\n".join(re.sub(r"\\(.)", r"\1", part.value) for part in parts)


def test_without_project_or_images_the_page_says_what_to_do(open_app: OpenApp) -> None:
    assert "There is no project yet" in words(open_page())
    project = create_project(open_app.workspace, "empty")
    at = open_page()
    assert "has no images yet: upload some" in words(at)
    assert [link.label for link in at.main.get("page_link")] == ["Upload images"]
    assert at.query_params["project"] == str(project.id)


def test_the_labels_are_listed_with_their_counts(open_app: OpenApp) -> None:
    project, ids = fill(open_app.workspace, 4)
    label_images(open_app.workspace, project, ids[:3], Edit(add=("wren",)))
    label_images(open_app.workspace, project, ids[2:], Edit(add=("Owl",)))
    create_label(open_app.workspace, project, "**new**")
    at = open_page()
    assert [text.value for text in at.text] == ["**new**", "Owl", "wren"]
    assert [caption.value for caption in at.caption] == ["0 images", "2 images, 1 default", "3 images"]
    assert at.button(key=f"label_add/{project.id}/wren").disabled, "nothing is selected"
    assert "Train a model" not in [link.label for link in at.main.get("page_link")]
    label_images(open_app.workspace, project, ids[2:3], Edit(default="Owl"))
    at.run()
    assert [caption.value for caption in at.caption] == ["0 images", "2 images", "3 images, 2 default"]
    assert "Train a model" in [link.label for link in at.main.get("page_link")]


def test_the_filter_is_kept_in_the_address(open_app: OpenApp) -> None:
    project, ids = fill(open_app.workspace, 3)
    label_images(open_app.workspace, project, ids[:1], Edit(add=("a & b",)))
    at = open_page(show="label", label="a & b", name="1.p")
    assert (at.selectbox(key="label_show").value, at.selectbox(key="label_label").value) == ("label", "a & b")
    assert at.text_input(key="label_name").value == "1.p"
    at.selectbox(key="label_show").select("unlabelled").run()
    assert (at.query_params["show"], at.query_params["name"]) == ("unlabelled", "1.p")
    assert "label" not in at.query_params
    at.selectbox(key="label_show").select("default").run()
    assert (at.query_params["show"], at.query_params["label"]) == ("default", "a & b")
    at.text_input(key="label_name").input("").run()
    at.selectbox(key="label_show").select("all").run()
    assert set(at.query_params) == {"project"}


def test_a_link_to_what_is_not_there_shows_all_and_says_so(open_app: OpenApp) -> None:
    fill(open_app.workspace, 1)
    at = open_page(show="label", label="**gone**")
    assert "no label '**gone**', so all images are shown" in words(at)
    assert at.selectbox(key="label_show").value == "all"
    assert "no choice 'rubbish'" in words(open_page(show="rubbish"))


def test_every_choice_is_one_that_the_images_can_be_asked_for(open_app: OpenApp) -> None:
    project, ids = fill(open_app.workspace, 7)
    cat, owl, none, ignored, validation, test, _ = ids
    for chosen, edit in (
        ([cat, owl], Edit(add=("a&b=c d",))),
        ([owl], Edit(add=("owl",))),
        ([owl], Edit(default="owl")),
        ([none], Edit(state="none-of-these")),
        ([ignored], Edit(state="ignored")),
        ([validation], Edit(split="validation")),
        ([test], Edit(split="test")),
    ):
        label_images(open_app.workspace, project, chosen, edit)
    expected = {
        "all": ids, "unlabelled": ids[4:], "labelled": [cat, owl], "label": [cat, owl], "default": [cat],
        "none-of-these": [none], "ignored": [ignored], "validation": [validation], "test": [test],
    }  # fmt: skip
    api = FastAPI()
    api.include_router(router, prefix="/api/v1")
    found = {}
    with TestClient(api) as client:
        for show in SHOWN:
            asked = Shown(show, "a&b=c d" if show in ("label", "default") else "", "PNG")
            address = {"show": asked.show, "label": asked.label, "name": asked.name}
            assert read_address(address, ["a&b=c d"]) == (asked, "")
            answer = client.get("/" + asked.source(project.id)).json()
            found[show] = [image["id"] for image in answer["images"]]
        assert client.get("/" + Shown(name="3.p").source(project.id)).json()["total"] == 1
    assert found == expected


def test_a_deleted_project_is_named(open_app: OpenApp) -> None:
    fill(open_app.workspace, 1, "kept")
    gone, _ = fill(open_app.workspace, 1, "*gone*")
    at = open_page()
    at.text_input(key="label_new").input("late")
    delete_project(open_app.workspace, gone)
    at.button(key="FormSubmitter:label_new_form-Add label").click().run()
    assert not at.exception
    assert "The project *gone* (2) was deleted. This page is about kept (1) now." in words(at)
    assert open_app.workspace.database.rows("select count(*) from label") == [(0,)]


def test_a_new_label_is_made_and_a_bad_one_is_kept_to_be_mended(open_app: OpenApp) -> None:
    project, _ = fill(open_app.workspace, 1)
    at = open_page()

    def add(name: str) -> None:
        at.text_input(key="label_new").input(name)
        at.button(key="FormSubmitter:label_new_form-Add label").click().run()
        assert not at.exception

    add(" __wren__ ")
    assert "The label '__wren__' is ready" in words(at)
    assert at.text_input(key="label_new").value == ""
    add("__wren__")
    assert "There is a label '__wren__' already" in words(at)
    assert at.text_input(key="label_new").value == "__wren__"
    add("")
    assert "A label can't be empty" in words(at)
    assert label_counts(open_app.workspace.database, project.id) == [LabelCount("__wren__", 0, 0)]


def test_five_hundred_labels_stay_a_short_list(open_app: OpenApp) -> None:
    project, ids = fill(open_app.workspace, 2)
    names = [f"kind {number:03}" for number in range(500)]
    for name in names:
        create_label(open_app.workspace, project, name)
    label_images(open_app.workspace, project, ids, Edit(add=("kind 333",)))
    at = open_page()
    assert len(at.text) == MOST_SHOWN
    assert "kind 333" in [text.value for text in at.text]
    at.text_input(key="label_search").input("KIND 49").run()
    assert [text.value for text in at.text] == names[490:]


def test_the_short_list_holds_what_was_used_here_and_what_is_used_most() -> None:
    labels = [LabelCount(f"l{number:02}", number, number) for number in range(50)]
    listed = [label.name for label in shortlist(labels, {"l03"}, "")]
    assert listed == ["l03", *(f"l{number}" for number in range(21, 50))]
    many = [LabelCount("cat", 0, 0), *(LabelCount(f"cat {number}", 9, 9) for number in range(40))]
    assert "cat" in [label.name for label in shortlist(many, {}, "Cat ")]


def test_the_default_is_made_on_every_image_with_the_label(open_app: OpenApp) -> None:
    project, ids = fill(open_app.workspace, 4)
    workspace = open_app.workspace
    label_images(workspace, project, ids[:2], Edit(add=("cat", "dog")))
    label_images(workspace, project, ids[2:3], Edit(add=("dog",)))
    made = make_default(workspace, project, "dog")
    assert (made.carrying, made.changed) == (3, 2)
    assert (
        everywhere("dog", made) == "'dog' is the default now on all 3 images that carry it; it was not on 2."
    )
    rows, total = image_page(workspace.database, project.id, ImageFilter(default="dog"), 0, 9)
    assert ([row.id for row in rows], total) == (ids[:3], 3)
    assert everywhere("dog", make_default(workspace, project, "dog")).startswith("Nothing changed")
    with pytest.raises(FieldmarkError, match="no label 'cow'"):
        make_default(workspace, project, "cow")


@pytest.mark.parametrize(
    ("edit", "chosen", "expected"),
    [
        (Edit(add=("owl",)), slice(1, 3), "2 images carry 'owl' now, as their default label."),
        (Edit(add=("owl",)), slice(0, 2), "2 images carry 'owl' now; it is the default on 1."),
        (Edit(add=("owl",)), slice(0, 1), "1 image carries 'owl' now; another label stays the default."),
        (Edit(add=("cat",)), slice(0, 1), "Nothing changed: 'cat' is the default label of 1 image already."),
        (Edit(remove=("cat",)), slice(0, 3), "'cat' was taken off 1 image; 1 has no label now."),
        (Edit(remove=("cat",)), slice(1, 3), "Nothing changed: no selected image carries 'cat'."),
        (
            Edit(state="none-of-these"),
            slice(0, 3),
            "2 images are marked 'none of these' now. 1 image carries labels and stays labelled: take the labels off it first.",
        ),
        (Edit(state="unlabelled"), slice(1, 2), "Nothing changed: 1 image is marked 'unlabelled' already."),
        (Edit(split="validation"), slice(0, 2), "2 images are in the validation set now."),
        (Edit(split="none"), slice(0, 1), "Nothing changed: 1 image is in no set of your own already."),
    ],
)
def test_the_sentence_says_what_changed(open_app: OpenApp, edit: Edit, chosen: slice, expected: str) -> None:
    project, ids = fill(open_app.workspace, 3)
    label_images(open_app.workspace, project, ids[:1], Edit(add=("cat",)))
    assert sentence(edit, label_images(open_app.workspace, project, ids[chosen], edit)) == expected


@pytest.mark.parametrize(
    ("holds", "expected"),
    [
        (Contents(9, 0, 9, 0, 0, 0), "0 of 9 labelled · 9 left. Training needs two labels with at least two images each."),
        (Contents(2000, 1500, 400, 0, 2, 2), "1,500 of 2,000 labelled · 100 marked 'none of these' or ignored · 400 left."),
        (Contents(9, 9, 0, 0, 2, 2), "9 of 9 labelled. Nothing is left to label."),
    ],
)  # fmt: skip
def test_the_progress_says_how_far_it_is(holds: Contents, expected: str) -> None:
    assert said(holds) == expected


@pytest.fixture
def birds(tmp_path: Path) -> tuple[Path, Project, list[int]]:
    """Fill the workspace that `served` will open: six images, of which the last two carry labels."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(6):
        picture = Image.new("RGB", (48, 48), (20 * number, 90, 160))
        picture.paste((250, 250, 250), (number * 4, 0, number * 4 + 8, 48))
        picture.save(pictures / f"{number}.png")
    workspace = create_workspace(tmp_path / "workspace")
    project = create_project(workspace, "birds")
    report = upload(workspace, load_registry(), project, [pictures], UploadWishes())
    assert (report.stored, report.refused) == (6, [])
    ids = [row.id for row in images.image_rows(workspace.database, project.id)]
    label_images(workspace, project, ids[4:], Edit(add=("cat", "dog")))
    for name in ODD_NAMES:
        create_label(workspace, project, name)
    workspace.close()
    return workspace.root, project, ids


def test_labelling_in_a_browser(
    birds: tuple[Path, Project, list[int]], chromium: Browser, served: Served
) -> None:
    from playwright.sync_api import expect

    expect.set_options(timeout=20_000)
    root, project, ids = birds
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(f"{served.address}/label?project={project.id}")
    tiles = page.get_by_role("gridcell")
    expect(tiles).to_have_count(6)

    for name in ODD_NAMES:
        expect(page.get_by_text(name, exact=True), name).to_have_count(1)

    tiles.nth(0).click()
    tiles.nth(2).click(modifiers=["Shift"])
    new = page.get_by_role("textbox", name="New label")
    new.fill("*new*")
    new.press("Enter")
    expect(
        page.get_by_text("3 images carry '*new*' now, as their default label.", exact=True)
    ).to_be_visible()
    expect(new).to_have_value("")
    expect(page.get_by_text("3 selected")).to_be_visible()

    for name in ODD_NAMES[:3]:
        press(page, "add", project, name)
        told = f"3 images carry '{name}' now; another label stays the default."
        expect(page.get_by_text(told, exact=True)).to_be_visible()
    assert not dialogs
    expect(tiles.nth(0).get_by_text("**bold**", exact=True)).to_be_visible()
    press(page, "remove", project, "*new*")
    expect(page.get_by_text("'*new*' was taken off 3 images.", exact=True)).to_be_visible()
    expect(tiles.nth(0).get_by_text("*new*", exact=True)).to_have_count(0)

    # A chip makes its label the default, and the counts beside the grid follow.
    expect(page.get_by_text("2 images, 0 default")).to_have_count(1)
    tiles.nth(5).get_by_role("button", name="Make dog the default label").click()
    expect(page.get_by_text("2 images, 1 default")).to_have_count(2)

    _label_what_is_left(page, project)
    page.close()
    assert served.stop() == 0

    workspace = open_workspace(root)
    rows, _ = image_page(workspace.database, project.id, ImageFilter(), 0, 9)
    workspace.close()
    labels = {row.id: [(label.name, label.default) for label in row.labels] for row in rows}
    odd = [(name, place == 0) for place, name in enumerate(ODD_NAMES[:3])]
    assert labels == {
        ids[0]: odd, ids[1]: odd, ids[2]: odd, ids[3]: [("dog", True)],
        ids[4]: [("cat", True), ("dog", False)], ids[5]: [("cat", False), ("dog", True)],
    }  # fmt: skip


def _label_what_is_left(page: Page, project: Project) -> None:
    """Filter, come back by reload and by the browser's own buttons, and label the last image."""
    from playwright.sync_api import expect

    tiles = page.get_by_role("gridcell")
    show = page.get_by_label("Show")
    show.click()
    page.get_by_role("option", name="Unlabelled").click()
    expect(tiles).to_have_count(1)
    expect(page).to_have_url(re.compile("show=unlabelled"))
    page.reload()
    expect(tiles).to_have_count(1)
    page.go_back()
    expect(tiles).to_have_count(6)
    page.go_forward()
    expect(tiles).to_have_count(1)
    tiles.nth(0).click()
    press(page, "add", project, "dog")
    expect(page.get_by_text("No image matches this filter.")).to_be_visible()
    expect(page.get_by_text("Nothing is left to label.")).to_be_visible()


def press(page: Page, kind: str, project: Project, label: str) -> None:
    """Press a label's plus or minus, found by the class that Streamlit makes of its key."""
    from playwright.sync_api import expect

    name = re.sub(r"[^a-zA-Z0-9_-]", "-", f"label_{kind}/{project.id}/{label}")
    button = page.locator(f".st-key-{name} button:visible")
    expect(button).to_have_count(1)
    button.click()
