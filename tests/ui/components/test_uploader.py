"""The uploader in a real browser, against a real server that writes to a real disk."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page


def show(tab: Page, server, **more: str) -> None:
    parameters = "".join(f"&{name}={value}" for name, value in more.items())
    tab.goto(f"{server.address}/?show=uploader{parameters}")
    tab.locator(".zone").wait_for()


def choose(tab: Page, what: Path | list[Path]) -> None:
    """Choose a folder, or some files."""
    inputs = tab.locator(".uploader input")
    if isinstance(what, Path):
        inputs.nth(1).set_input_files(what)
    else:
        inputs.nth(0).set_input_files(what)


def told(tab: Page) -> dict[str, Any]:
    """What the page in Python has been told, once nothing is on its way."""
    from playwright.sync_api import expect

    expect(tab.locator(".said")).to_contain_text("sent (", timeout=120_000)
    expect(tab.get_by_test_id("stText")).to_contain_text('"sending": false')
    tab.wait_for_timeout(500)
    return json.loads(tab.get_by_test_id("stText").inner_text())


def slow_down(tab: Page, bytes_per_second: int) -> None:
    session = tab.context.new_cdp_session(tab)
    conditions = {
        "offline": False,
        "latency": 0,
        "downloadThroughput": -1,
        "uploadThroughput": bytes_per_second,
    }
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", conditions)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files under odd names, in folders."""
    made = tmp_path / "pictures"
    for name in ("a.jpg", "sub/a.jpg", "sub/deep er/ü & 100% #1.png", "sub/.hidden", "**b**<i>.gif"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(name.encode() * 100)
    (made / "empty folder").mkdir()
    return made


NAMES = [
    "pictures/**b**<i>.gif",
    "pictures/a.jpg",
    "pictures/sub/.hidden",
    "pictures/sub/a.jpg",
    "pictures/sub/deep er/ü & 100% #1.png",
]


def test_a_chosen_folder_arrives_under_its_names(tab, component_server, folder):
    show(tab, component_server)
    choose(tab, folder)
    arrived = told(tab)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert arrived["names"] == NAMES
    assert (arrived["files"], arrived["bytes"], arrived["failed"]) == (5, size, [])
    got = component_server.get(f"api/v1/uploads/{arrived['upload']}")
    assert got == {"files": 5, "bytes": size}
    # A rerun of the page changes nothing; another key begins anew.
    tab.get_by_role("button", name="Rerun").click()
    assert told(tab) == arrived
    tab.get_by_role("button", name="Anew").click()
    tab.get_by_text(re.compile('"upload": null')).wait_for()
    assert tab.locator(".said").is_hidden()


def test_folders_and_files_dropped_together_arrive(tab, component_server, folder, tmp_path):
    (tmp_path / "more.zip").write_bytes(b"PK\5\6" + bytes(18))
    show(tab, component_server)
    zone = tab.locator(".zone").bounding_box()
    session = tab.context.new_cdp_session(tab)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send(
            "Input.dispatchDragEvent",
            {
                "type": kind,
                "x": zone["x"] + 20,
                "y": zone["y"] + 20,
                "data": {
                    "items": [],
                    "files": [str(folder), str(tmp_path / "more.zip")],
                    "dragOperationsMask": 1,
                },
            },
        )
    assert told(tab)["names"] == ["more.zip", *NAMES]


def test_more_files_join_the_upload_and_a_copy_of_a_name_gets_a_number(tab, component_server, tmp_path):
    show(tab, component_server)
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "a.jpg").write_bytes(place.encode() * (1 + len(place) + (place == "two")))
    choose(tab, [tmp_path / "one" / "a.jpg"])
    first = told(tab)
    choose(tab, [tmp_path / "two" / "a.jpg"])
    tab.get_by_text(re.compile(r"^2 files sent")).wait_for()
    second = told(tab)
    assert second["upload"] == first["upload"]
    assert second["names"] == ["a (2).jpg", "a.jpg"]
    choose(tab, [tmp_path / "two" / "a.jpg"])
    tab.get_by_text("These files are here already.").wait_for()


def test_a_single_file_takes_the_place_of_the_one_before(tab, component_server, tmp_path):
    show(tab, component_server, multiple="no")
    assert tab.get_by_role("button", name="Choose folder").is_hidden()
    for name in ("first.jpg", "second.jpg"):
        (tmp_path / name).write_bytes(name.encode())
        choose(tab, [tmp_path / name])
        tab.get_by_test_id("stText").get_by_text(name).wait_for()
    assert told(tab)["names"] == ["second.jpg"]


def test_a_refused_file_is_listed_with_the_servers_sentence(tab, component_server, tmp_path):
    from playwright.sync_api import expect

    (tmp_path / "good.jpg").write_bytes(b"good")
    (tmp_path / "bad\x01<b>.jpg").write_bytes(b"bad")
    show(tab, component_server)
    choose(tab, [tmp_path / "bad\x01<b>.jpg", tmp_path / "good.jpg"])
    arrived = told(tab)
    assert arrived["names"] == ["good.jpg"]
    assert [one["name"] for one in arrived["failed"]] == ["bad\x01<b>.jpg"]
    assert "can't be taken" in arrived["failed"][0]["sentence"]
    expect(tab.locator(".refused li")).to_have_count(1)
    expect(tab.locator(".refused li")).to_contain_text(arrived["failed"][0]["sentence"])
    expect(tab.locator(".said")).to_contain_text("1 could not be sent")


def test_a_file_that_went_away_is_tried_three_times_and_listed(tab, component_server, tmp_path):
    show(tab, component_server)
    lost, kept = tmp_path / "lost.jpg", tmp_path / "kept.jpg"
    for path in (lost, kept):
        path.write_bytes(b"x" * 1000)
    tries: list[str] = []
    tab.on("request", lambda request: tries.append(request.url) if "lost.jpg" in request.url else None)

    def lose(route):
        lost.unlink()
        route.continue_(method="POST")

    # The file is gone between being chosen and being read.
    tab.route("**/api/v1/uploads", lose)
    choose(tab, [lost, kept])
    arrived = told(tab)
    assert arrived["names"] == ["kept.jpg"]
    assert [one["name"] for one in arrived["failed"]] == ["lost.jpg"]
    assert len(tries) == 3


def test_cancel_keeps_nothing(tab, component_server, tmp_path):
    from playwright.sync_api import expect

    (tmp_path / "large.zip").write_bytes(bytes(20_000_000))
    show(tab, component_server)
    slow_down(tab, 500_000)
    with tab.expect_response(lambda response: response.url.endswith("/api/v1/uploads")) as opened:
        choose(tab, [tmp_path / "large.zip"])
    token = opened.value.json()["upload"]
    expect(tab.locator(".numbers")).to_contain_text(re.compile(r"[1-9][.\d]* MB of 20.0 MB · \d+ s left"))
    component_server.get(f"api/v1/uploads/{token}")
    with tab.expect_response(lambda response: response.request.method == "DELETE"):
        tab.get_by_role("button", name="Cancel").click()
    expect(tab.locator(".said")).to_have_text("Cancelled: nothing was kept.")
    expect(tab.locator(".zone")).to_be_visible()
    expect(tab.get_by_test_id("stText")).to_contain_text('"sending": false')
    with pytest.raises(HTTPError) as gone:
        component_server.get(f"api/v1/uploads/{token}")
    gone.value.close()
    assert gone.value.code == 404


def test_leaving_the_page_while_files_are_sent_asks_first(tab, component_server, tmp_path):
    (tmp_path / "large.zip").write_bytes(bytes(5_000_000))
    show(tab, component_server)
    slow_down(tab, 200_000)
    # A browser asks only on behalf of somebody who has touched the page.
    tab.mouse.click(5, 5)
    choose(tab, [tmp_path / "large.zip"])
    tab.locator(".numbers").wait_for()
    asked: list[str] = []

    def stay(dialog):
        asked.append(dialog.type)
        dialog.dismiss()

    tab.on("dialog", stay)
    tab.evaluate("setTimeout(() => location.reload())")
    tab.wait_for_timeout(1000)
    assert asked == ["beforeunload"]
    assert tab.locator(".numbers").is_visible()
    tab.get_by_role("button", name="Cancel").click()
    tab.get_by_text("Cancelled").wait_for()


def test_many_files_do_not_freeze_the_tab(tab, component_server, tmp_path):
    many = tmp_path / "many"
    for number in range(1000):
        place = many / f"{number // 250}" / f"{number:04}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"%d" % number)
    show(tab, component_server)
    choose(tab, many)
    tab.locator(".numbers").wait_for()
    slowest = 0.0
    while tab.locator(".numbers").is_visible():
        began = time.monotonic()
        tab.evaluate("1")
        slowest = max(slowest, time.monotonic() - began)
        tab.wait_for_timeout(50)
    assert slowest < 2
    assert tab.locator(".uploader *").count() < 60
    assert told(tab)["files"] == 1000


def test_a_large_file_is_not_read_into_memory(tab, component_server, tmp_path):
    large = tmp_path / "large.zip"
    with large.open("wb") as file:
        file.truncate(400 * 2**20)
    show(tab, component_server)
    session = tab.context.new_cdp_session(tab)

    def kept() -> int:
        usage = session.send("Runtime.getHeapUsage")
        return usage["usedSize"] + usage["backingStorageSize"]

    before, most = kept(), 0
    choose(tab, [large])
    while not tab.locator(".said").is_visible():
        most = max(most, kept())
        tab.wait_for_timeout(20)
    assert told(tab)["bytes"] == 400 * 2**20
    assert most - before < 40 * 2**20


def test_an_upload_lost_with_its_server_is_said(tab, component_server, tmp_path):
    from playwright.sync_api import expect

    (tmp_path / "large.zip").write_bytes(bytes(20_000_000))
    show(tab, component_server)
    slow_down(tab, 500_000)
    choose(tab, [tmp_path / "large.zip"])
    expect(tab.locator(".numbers")).to_contain_text(re.compile(r"[1-9][.\d]* MB of"))
    component_server.stop()
    try:
        expect(tab.locator(".said")).to_have_text("The server does not answer; trying again")
    finally:
        component_server.start()
    expect(tab.locator(".said")).to_contain_text("choose them again", timeout=30_000)
    slow_down(tab, -1)
    choose(tab, [tmp_path / "large.zip"])
    assert told(tab)["bytes"] == 20_000_000
