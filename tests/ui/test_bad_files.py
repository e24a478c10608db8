"""Files that are not what a person takes them for, given to the pages in a browser: sentences, and nothing is lost."""

from __future__ import annotations

import io
import re
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fieldmark.api.server import WARM_AFTER_SECONDS

if TYPE_CHECKING:
    from playwright.sync_api import Page


def heading(tab: Page, name: str) -> None:
    from playwright.sync_api import expect

    expect(tab.get_by_role("heading", level=1, name=name, exact=True)).to_be_visible()


def zipped(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("UP", "../../"), content)
    return packed.getvalue()


def figure(tab: Page, word: str) -> Any:
    return tab.get_by_test_id("stMetric").filter(has_text=word)


def test_home_answers_names_that_no_project_can_have(
    tab: Page, serve: Callable[..., Any], rest_of: Callable[[Any], Any]
) -> None:
    from playwright.sync_api import expect

    server = serve(None, "--offline")
    rest = rest_of(server)
    rest.ask("POST", "projects", name="Taken")
    tab.goto(server.address)
    field = tab.get_by_role("textbox", name="Name").last
    for name, sentence in (
        ("", "A project needs a name."), ("   ", "A project needs a name."), ("Taken", "Taken"), ("2026", "2026"),
    ):  # fmt: skip
        field.fill(name)
        tab.get_by_role("button", name="Create project").click()
        expect(tab.get_by_test_id("stAlert")).to_contain_text(sentence.rstrip("."), ignore_case=True)
        heading(tab, "Home")
    assert [project["name"] for project in rest.ask("GET", "projects")["projects"]] == ["Taken"]

    field.fill("<b>x</b>")
    tab.get_by_role("button", name="Create project").click()
    heading(tab, "Upload")
    expect(tab.get_by_role("combobox", name="Project")).to_have_value(re.compile(r"<b>x</b> \(\d\)"))


def test_upload_names_every_file_it_refuses_and_keeps_the_good_one(
    tab: Page,
    serve: Callable[..., Any],
    rest_of: Callable[[Any], Any],
    draw: Callable[..., Path],
    tmp_path: Path,
) -> None:
    from playwright.sync_api import expect

    server = serve(None, "--offline")
    rest = rest_of(server)
    rest.ask("POST", "projects", name="p")
    tab.goto(f"{server.address}/upload")
    good = draw(tmp_path / "good.png", "disc", 1).read_bytes()
    vast = tmp_path / "vast.png"
    with vast.open("wb") as file:
        file.truncate(300 * 2**20)
    text = tmp_path / "only.txt"
    text.write_text("no image")
    for content, name, expected in (
        (None, text, "Not images"), (zipped(), "empty.zip", "empty.zip"), (b"PK\x03\x04 broken", "broken.zip", "broken.zip"),
    ):  # fmt: skip
        path = name if isinstance(name, Path) else tmp_path / name
        if content is not None:
            path.write_bytes(content)
        tab.goto(f"{server.address}/upload")
        tab.locator(".uploader input").first.set_input_files(path)
        tab.get_by_role("button", name="Store the file").click()
        expect(tab.get_by_role("heading", name="What became of the files")).to_be_visible()
        expect(figure(tab, "Stored")).to_contain_text("0")
        report = rest.ask("GET", f"runs/{rest.ask('GET', 'runs?active=false&project=1')['runs'][0]['id']}")[
            "report"
        ]
        assert expected == "Not images" or expected in str(report["refused"]), report

    (tmp_path / "up.zip").write_bytes(zipped(**{"UPevil.png": good, "in/fine.png": good}))
    (tmp_path / "**b** <i>x</i>.png".replace("/", "\u2215")).write_bytes(
        draw(tmp_path / "2.png", "square", 2).read_bytes()
    )
    chosen = [vast, tmp_path / "up.zip", next(tmp_path.glob("[*][*]b*")), tmp_path / "broken.zip"]
    tab.locator(".uploader input").first.set_input_files(chosen)
    tab.get_by_role("button", name="Store 4 files").click()
    expect(figure(tab, "Stored")).to_contain_text("2")
    report = rest.ask("GET", f"runs/{rest.ask('GET', 'runs?active=false&project=1')['runs'][0]['id']}")[
        "report"
    ]
    refused = {one["name"] for one in report["refused"]}
    assert any("vast.png" in name for name in refused) and any("evil.png" in name for name in refused), (
        refused
    )
    assert not list((server.workspace / "staging").glob("received-*"))
    assert not list(tmp_path.parent.glob("evil.png")) and not list(tmp_path.glob("evil.png"))
    assert {tile["name"] for tile in rest.ask("GET", "projects/1/images")["images"]} >= {chosen[2].name}
    assert "Traceback" not in server.log.read_text()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to see a process's memory")
def test_a_file_of_two_gigabytes_costs_no_memory_and_leaves_nothing(
    serve: Callable[..., Any], rest_of: Callable[[Any], Any]
) -> None:
    server = serve(None, "--offline")
    rest = rest_of(server)
    rest.ask("POST", "projects", name="p")

    def most() -> int:
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0])

    def send(mebibytes: int) -> Any:
        token = rest.ask("POST", "uploads")["upload"]
        answer = rest.client.put(
            f"uploads/{token}/files",
            params={"name": "vast.png"},
            content=(bytes(2**20) for _ in range(mebibytes)),
            timeout=120,
        )
        assert answer.json()["bytes"] == mebibytes * 2**20
        run = rest.ask("POST", "projects/1/images", upload=token)["run"]
        rest.wait(run)
        return rest.ask("GET", f"runs/{run}")["report"]

    send(1)
    time.sleep(WARM_AFTER_SECONDS + 3)  # by then the server has loaded what it loads once
    before = most()
    report = send(2048)

    assert [one["name"] for one in report["refused"] + report["skipped"]] == ["vast.png"]
    assert most() - before < 64 * 1024, (before, most())
    left = sum(path.stat().st_size for path in server.workspace.rglob("*") if path.is_file())
    assert left < 50 * 2**20


def test_label_files_that_cannot_be_read_are_refused_in_a_sentence(
    tab: Page,
    serve: Callable[..., Any],
    rest_of: Callable[[Any], Any],
    shapes_project: Callable[..., int],
    tmp_path: Path,
) -> None:
    from playwright.sync_api import expect

    server = serve(None, "--offline")
    project = shapes_project(rest_of(server), "Shapes")
    files = {
        "nul.csv": b"image,label\n0.png,a\x00b\n",
        "book.xlsx": zipped(**{"[Content_Types].xml": b"<Types/>", "xl/workbook.xml": b"<workbook/>"}),
        "empty.csv": b"",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        tab.goto(f"{server.address}/upload?project={project}")
        tab.get_by_role("tab", name="Labels from another tool").click()
        tab.locator(".uploader input[type=file]").nth(2).set_input_files(tmp_path / name)
        alert = tab.get_by_test_id("stAlert").first
        if name == "nul.csv":
            look = tab.get_by_role("button", name="Show what would change")
            expect(alert.or_(look).first).to_be_visible()
            if not alert.count():
                look.click()
                expect(tab.get_by_text("Nothing is written yet")).to_be_visible()
        else:
            expect(alert).to_be_visible()
            assert "failed inside" not in alert.inner_text()
    assert "Traceback" not in server.log.read_text()


def test_predict_tells_of_refused_files_of_a_deleted_model_and_of_a_cancelled_run(
    tab: Page,
    serve: Callable[..., Any],
    rest_of: Callable[[Any], Any],
    shapes_project: Callable[..., int],
    tmp_path: Path,
) -> None:
    from playwright.sync_api import expect

    server = serve(None, "--offline")
    rest = rest_of(server)
    project = shapes_project(rest, "Shapes")
    rest.wait(rest.ask("POST", f"projects/{project}/trainings", name="m", minutes=0.03)["run"])
    tab.goto(f"{server.address}/predict")
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    (tmp_path / "notes.txt").write_text("no image")
    tab.locator(".uploader input").first.set_input_files([tmp_path / "bad.png", tmp_path / "notes.txt"])
    expect(tab.get_by_test_id("stAlert")).to_contain_text("no result")
    expect(tab.get_by_text("Refused (1)")).to_be_visible()
    expect(tab.get_by_text("Not images (1)")).to_be_visible()

    training = rest.ask("POST", f"projects/{project}/trainings", name="long", minutes=5)["run"]
    banner = tab.get_by_text("Training long")
    expect(banner).to_be_visible()
    tab.get_by_role("button", name="Cancel").last.click()
    rest.wait(training)
    expect(banner).to_have_count(0)
    assert rest.ask("GET", f"runs/{training}")["status"] == "cancelled"

    tab.get_by_text("Images of this project").click()
    button = tab.get_by_role("button", name="Predict 8 images")
    expect(button).to_be_visible()
    rest.ask("DELETE", f"projects/{project}/models/m")
    button.click()
    expect(tab.get_by_text("This project has no model yet")).to_be_visible()
    tab.goto(f"{server.address}/statistics?model=m")
    heading(tab, "Statistics")
    expect(tab.get_by_test_id("stMain").get_by_role("link").first).to_be_visible()
    assert "Traceback" not in server.log.read_text()
