"""The gallery in a real browser, against a real server around a real workspace."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from PIL import Image

from fieldmark.core.labelling import label_images
from fieldmark.core.projects import create_project
from fieldmark.core.registry import load_registry
from fieldmark.core.train import TrainRequest, train
from fieldmark.core.upload import UploadWishes, upload
from fieldmark.storage.edits import Edit
from fieldmark.storage.images import image_rows
from fieldmark.storage.workspace import Workspace
from fieldmark.ui.component_source import joined

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

SCRIPT = "<script>alert(1)</script>"
BIRDS = 260
COLOURS = {"red": (200, 60, 60), "blue": (60, 60, 200)}


def fill(workspace: Workspace, folder: Path) -> None:
    """1: birds, of which a few are labelled; 2: colours with a trained model; 3: nothing; 4: one with eight labels."""
    registry = load_registry()
    birds, colours, _, many = [
        create_project(workspace, name) for name in ("birds", "colours", "none", "many")
    ]
    (folder / "birds").mkdir()
    for number in range(BIRDS):
        colour = (number % 256, 200 - number % 200, number * 7 % 256)
        Image.new("RGB", (40 + number % 9, 30), colour).save(folder / "birds" / f"bird-{number:03}.png")
    upload(workspace, registry, birds, [folder / "birds"], UploadWishes())
    ids = [row.id for row in image_rows(workspace.database, birds.id)]
    label_images(workspace, birds, ids[:3], Edit(add=("tit",)))
    label_images(workspace, birds, ids[:2], Edit(add=(SCRIPT,)))
    for place, (label, colour) in enumerate(COLOURS.items()):
        for number in range(20):
            # Every fifth carries the other label, so that no model gets all right.
            said = list(COLOURS)[(place + (number % 5 == 0)) % 2]
            noise(folder / said / f"{label}-{number:02}.png", colour, place * 100 + number)
    for label in COLOURS:
        upload(workspace, registry, colours, [folder / label], UploadWishes(labels=(label,)))
    request = TrainRequest("single-label", name="tints", minutes=0.03, validation=0.4, offline=True)
    train(workspace, registry, colours, request)
    name = "a name that is so long that no tile can show it all " * 2 + "日本語.png"
    (folder / "many").mkdir()
    Image.new("RGB", (900, 200), (9, 99, 9)).save(folder / "many" / name)
    upload(workspace, registry, many, [folder / "many"], UploadWishes())
    eight = [f"label number {n} of eight" for n in range(7)] + ["**the default** " * 5]
    label_images(
        workspace, many, [row.id for row in image_rows(workspace.database, many.id)], Edit(tuple(eight))
    )


def noise(path: Path, colour: tuple[int, int, int], seed: int) -> None:
    dice = random.Random(seed)
    pixels = bytes(max(0, min(255, value + dice.randint(-120, 120))) for _ in range(576) for value in colour)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.frombytes("RGB", (24, 24), pixels).save(path)


def show(tab: Page, server, source: str, **more: str) -> None:
    """Open the gallery on a REST address below /api/v1."""
    parameters = "".join(f"&{name}={quote(value, safe='')}" for name, value in more.items())
    tab.goto(f"{server.address}/?show=gallery&source={quote('api/v1/' + source, safe='')}{parameters}")
    tab.locator(".gallery .scroller").wait_for()


def bird(tab: Page, number: int) -> Locator:
    return tab.get_by_role("gridcell", name=f"bird-{number:03}.png")


def picture(tab: Page, number: int) -> Locator:
    return bird(tab, number).locator("img")


def scroll(tab: Page, pixels: int) -> None:
    tab.locator(".scroller").evaluate("(scroller, pixels) => (scroller.scrollTop = pixels)", pixels)


def told(tab: Page, selected: list[int], opened: int | None = None) -> None:
    """Wait until the page in Python has been told this."""
    from playwright.sync_api import expect

    said = json.dumps({"selected": selected, "opened": opened})
    expect(tab.get_by_test_id("stText")).to_have_text(said, timeout=15_000)


def test_it_loads_what_is_looked_at_and_keeps_few_tiles(tab, component_server):
    from playwright.sync_api import expect

    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    show(tab, component_server, "projects/1/images")
    expect(picture(tab, 0)).to_have_js_property("complete", True)
    assert picture(tab, 0).evaluate("picture => picture.naturalWidth") > 0
    assert picture(tab, 0).get_attribute("alt") == "bird-000.png"
    expect(tab.locator(".count")).to_have_text(f"{BIRDS} images · 0 selected")
    assert sum("/images?" in url for url in asked) == 1
    scroll(tab, 1_000_000)
    expect(bird(tab, BIRDS - 1)).to_be_visible()
    assert sum("cursor=" in url for url in asked) == 1
    assert tab.locator(".tile").count() < 80
    assert all(url.startswith((component_server.address, "blob:", "data:")) for url in asked)


def test_mouse_and_keyboard_select(tab, component_server):
    from playwright.sync_api import expect

    show(tab, component_server, "projects/1/images")
    ids = [row["id"] for row in component_server.get("api/v1/projects/1/images?limit=500")["images"]]
    picture(tab, 4).click()
    picture(tab, 2).click()
    told(tab, [ids[2]])
    picture(tab, 5).click(modifiers=["Control"])
    told(tab, [ids[2], ids[5]])
    picture(tab, 5).click(modifiers=["Control"])
    picture(tab, 3).click(modifiers=["Control"])
    picture(tab, 7).click(modifiers=["Shift"])
    told(tab, ids[3:8])
    expect(bird(tab, 7)).to_have_attribute("aria-selected", "true")
    expect(bird(tab, 8)).to_have_attribute("aria-selected", "false")
    tab.keyboard.press("Escape")
    told(tab, [])
    picture(tab, 0).click()
    for key in ("ArrowRight", "ArrowRight", " ", "Shift+ArrowRight"):
        tab.keyboard.press(key)
    told(tab, ids[2:4])
    tab.keyboard.press("Control+a")
    expect(tab.locator(".count")).to_have_text(f"{BIRDS} images · 200 selected")
    told(tab, ids[:200])
    tab.get_by_role("button", name="Select none").click()
    told(tab, [])


def test_a_chip_makes_its_label_the_default_and_stays_text(tab, component_server):
    from playwright.sync_api import expect

    dialogs: list[str] = []
    tab.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    show(tab, component_server, "projects/1/images")
    chip = bird(tab, 1).get_by_text(SCRIPT)
    expect(chip).to_have_text(SCRIPT)
    expect(bird(tab, 1).locator(".default")).to_have_text("tit")
    chip.click()
    expect(bird(tab, 1).locator(".default")).to_have_text(SCRIPT)
    ring = bird(tab, 1).locator(".default").evaluate("chip => getComputedStyle(chip).boxShadow")
    assert "rgb(255, 255, 255) 0px 0px 0px 2px" in ring
    labels = component_server.get("api/v1/projects/1/images")["images"][1]["labels"]
    assert labels == [{"name": "tit", "default": False}, {"name": SCRIPT, "default": True}]
    assert tab.locator(".gallery script").count() == 0 and dialogs == []
    told(tab, [])


def test_opened_large_it_shows_the_original_and_its_neighbours(tab, component_server):
    from playwright.sync_api import expect

    show(tab, component_server, "projects/1/images")
    rows = component_server.get("api/v1/projects/1/images?limit=500")["images"]
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    picture(tab, 3).dblclick()
    large = tab.get_by_role("dialog")
    expect(large.get_by_role("heading")).to_have_text("bird-003.png")
    expect(large.get_by_role("img", name="bird-003.png")).to_have_js_property("naturalWidth", 43)
    assert f"{component_server.address}/api/v1/images/{rows[3]['id']}/original" in asked
    told(tab, [rows[3]["id"]], rows[3]["id"])
    for key in ("ArrowLeft", "ArrowLeft", "ArrowRight"):
        tab.keyboard.press(key)
    expect(large.get_by_role("heading")).to_have_text("bird-002.png")
    expect(large.locator(".chip")).to_have_text(["tit"])
    # Past what is loaded, the next page comes by itself.
    tab.keyboard.press("Escape")
    expect(large).to_be_hidden()
    told(tab, [rows[3]["id"]])
    scroll(tab, 1_000_000)
    picture(tab, BIRDS - 1).dblclick()
    expect(large.get_by_role("button", name="Next image")).to_be_hidden()
    large.get_by_role("button", name="Previous image").click()
    expect(large.get_by_role("heading")).to_have_text(f"bird-{BIRDS - 2}.png")


def test_another_version_repaints_and_keeps_scroll_and_selection(tab, component_server):
    from playwright.sync_api import expect

    show(tab, component_server, "projects/1/images")
    picture(tab, 0).wait_for()
    scroll(tab, 1000)
    picture(tab, 30).click()
    before = tab.locator(".scroller").evaluate("scroller => scroller.scrollTop")
    assert before > 0
    told(tab, [component_server.get("api/v1/projects/1/images?limit=500")["images"][30]["id"]])
    tab.get_by_role("button", name="Add seen").click()
    expect(bird(tab, 30).locator(".chip")).to_have_text(["seen"])
    expect(bird(tab, 30)).to_have_attribute("aria-selected", "true")
    assert tab.locator(".scroller").evaluate("scroller => scroller.scrollTop") == before


def test_what_no_longer_matches_leaves_the_grid_and_the_selection(tab, component_server):
    from playwright.sync_api import expect

    show(tab, component_server, "projects/1/images?state=unlabelled")
    rows = component_server.get("api/v1/projects/1/images?state=unlabelled&limit=500")["images"]
    count = len(rows)
    bird(tab, 9).wait_for()
    scroll(tab, 1500)
    picture(tab, 40).click()
    picture(tab, 41).click(modifiers=["Control"])
    expect(tab.locator(".count")).to_have_text(f"{count} images · 2 selected")
    told(tab, [row["id"] for row in rows if row["name"] in ("bird-040.png", "bird-041.png")])
    tab.get_by_role("button", name="Add seen").click()
    expect(tab.locator(".count")).to_have_text(f"{count - 2} images · 0 selected")
    expect(bird(tab, 40)).to_have_count(0)
    expect(bird(tab, 42)).to_be_visible()
    told(tab, [])
    # All that follow are still reached, each once.
    seen: set[str] = set()
    for pixels in range(0, 12_000, 500):
        scroll(tab, pixels)
        tab.wait_for_timeout(100)
        seen.update(tab.locator(".tile .name").all_inner_texts())
    assert len(seen) == count - 2


def test_correct_and_incorrect_predictions_differ_by_more_than_colour(tab, component_server):
    from playwright.sync_api import expect

    address = "projects/2/predictions?model=tints&set=validation"
    rows = component_server.get(f"api/v1/{address}&limit=500")["predictions"]
    right = [row for row in rows if row["predicted"] == row["truth"]]
    wrong = [row for row in rows if row["predicted"] != row["truth"]]
    assert right and wrong
    show(tab, component_server, address, captions="scores")
    expect(tab.locator(".count")).to_have_text(f"{len(rows)} predictions")
    expect(tab.get_by_role("img", name="Correct", exact=True)).to_have_text(["✓"] * len(right))
    expect(tab.get_by_role("img", name="Incorrect", exact=True)).to_have_text(["✗"] * len(wrong))
    tile = tab.get_by_role("gridcell", name=wrong[0]["name"])
    expect(tile.locator(".predicted")).to_have_text(wrong[0]["predicted"][0])
    expect(tile.locator(".score")).to_have_text(f"{wrong[0]['scores'][0]['score'] * 100:.1f}%")
    expect(tile.locator(".truth")).to_have_text(f"is {wrong[0]['truth'][0]}")
    tile.click()
    large = tab.get_by_role("dialog")
    expect(large.locator(".truth")).to_contain_text(f"Incorrect: it is {wrong[0]['truth'][0]}")
    expect(large.locator(".bar .label")).to_have_text([one["label"] for one in wrong[0]["scores"]])
    expect(large.locator(".bar .score")).to_have_text(
        [f"{one['score'] * 100:.1f}%" for one in wrong[0]["scores"]]
    )


@pytest.mark.parametrize("width", [390, 1280])
def test_eight_labels_and_a_long_name_stay_inside_their_tile(tab, component_server, width):
    from playwright.sync_api import expect

    tab.set_viewport_size({"width": width, "height": 800})
    show(tab, component_server, "projects/4/images")
    tile = tab.locator(".tile")
    expect(tile.locator(".more")).to_have_text(re.compile(r"^\+[1-7]$"))
    hidden = int(tile.locator(".more").inner_text()[1:])
    assert tile.locator(".chip:visible").count() == 8 - hidden
    line = tile.locator(".chips")
    assert line.evaluate("line => line.scrollHeight <= line.clientHeight + 1")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    # The default is never among the hidden ones.
    tile.locator(".more").click()
    tab.get_by_role("dialog").get_by_text("**the default**").click()
    expect(tab.get_by_role("dialog").locator(".default")).to_contain_text("**the default**")
    tab.keyboard.press("Escape")
    expect(tile.locator(".default")).to_contain_text("**the default**")
    assert tile.locator(".more").evaluate("more => more.offsetTop < more.parentElement.offsetTop + 50")


def test_nothing_to_show_is_said(tab, component_server):
    from playwright.sync_api import expect

    show(tab, component_server, "projects/3/images")
    expect(tab.get_by_text("Nothing matches.")).to_be_visible()
    expect(tab.locator(".count")).to_have_text("0 images")
    expect(tab.locator(".notice:visible")).to_have_count(0)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("projects/77/images", "77"),
        ("projects/1/images?state=sleeping", "sleeping"),
        ("../../no/such/page", "unexpected"),
        ("projects", "no list of images"),
    ],
)
def test_a_refusal_is_a_sentence_and_can_be_tried_again(tab, component_server, source, sentence):
    from playwright.sync_api import expect

    show(tab, component_server, source)
    expect(tab.get_by_role("alert")).to_contain_text(sentence)
    with tab.expect_request(lambda request: "limit=" in request.url):
        tab.get_by_role("button", name="Retry").click()
    expect(tab.get_by_role("alert")).to_contain_text(sentence)


def test_it_recovers_when_the_server_comes_back(tab, component_server):
    from playwright.sync_api import expect

    show(tab, component_server, "projects/1/images")
    picture(tab, 0).wait_for()
    component_server.stop()
    try:
        scroll(tab, 1_000_000)
        expect(tab.get_by_role("alert")).to_have_text("The server does not answer; trying again")
    finally:
        component_server.start()
    expect(bird(tab, BIRDS - 1)).to_be_visible(timeout=30_000)
    expect(tab.get_by_role("alert")).to_be_hidden()
    expect(picture(tab, BIRDS - 1)).not_to_have_js_property("naturalWidth", 0, timeout=30_000)


def test_modules_that_share_a_name_are_not_joined():
    with pytest.raises(ValueError, match="use a name twice"):
        joined(("fieldmark.ui", "answers.js"), ("fieldmark.ui", "answers.js"))
