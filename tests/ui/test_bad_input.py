"""The app under what goes wrong around it: names that are markup, two tabs, reloads, a killed server, other pages."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

LABELS = (
    "<script>alert(1)</script>", "**bold** _it_ ~~gone~~", ":smile: :material/home:", "$x$ \\(y\\)", ":red[x] `code`",
    "&lt;b&gt; &amp;", "<img src=x onerror=alert(1)>", "[a](javascript:alert(1))", "datum['x'] \"q\" {{a}} %d", "# h - <b>",
    "\u05d0\u05d1\u05d2 \u202e12 abc", "long " * 99 + "label",
)  # fmt: skip
PROJECT = "<b>P</b> **p** :smile: $x$"
PICTURE = "**{}** <i>i</i> :smile: $x$ <img src=x onerror=alert(1)>.png"
INJECTED = """() => {
  const found = [];
  const walk = (root) => root.querySelectorAll('*').forEach((e) => {
    if (e.shadowRoot) walk(e.shadowRoot);
    const src = e.getAttribute('src'), href = e.getAttribute('href') || '';
    if (e.tagName === 'SCRIPT' && e.textContent.includes('alert(1)')) found.push('script');
    if (src === 'x' || href.startsWith('javascript:')) found.push(e.outerHTML.slice(0, 80));
    if (/^(I|B|EM|DEL|CODE)$/.test(e.tagName) && !e.closest('.gallery, .uploader, .vg-tooltip, [data-testid=stIconMaterial]'))
      found.push(e.outerHTML.slice(0, 80));
    if (/katex/.test(e.getAttribute('class') || '')) found.push('katex');
  });
  walk(document);
  return found;
}"""


def heading(tab: Page, name: str) -> None:
    from playwright.sync_api import expect

    expect(tab.get_by_role("heading", level=1, name=name, exact=True)).to_be_visible()


def go(tab: Page, name: str) -> None:
    tab.get_by_test_id("stSidebar").get_by_role("link", name=name, exact=True).click()
    heading(tab, name)


@pytest.fixture
def marked_up(
    serve: Callable[..., Any], rest_of: Callable[[Any], Any], draw: Callable[..., Path], tmp_path: Path
) -> str:
    """Serve a project, trained and predicted, in which every name is markup; return the address."""
    server = serve(None, "--offline")
    rest = rest_of(server)
    labels = {PICTURE.format(n): LABELS[n // 2] for n in range(2 * len(LABELS))}
    pictures = {
        name: draw(tmp_path / f"{n}.png", ("disc", "square")[n // 2 % 2], n) for n, name in enumerate(labels)
    }
    project = rest.project(PROJECT, pictures, labels)
    rest.wait(rest.ask("POST", f"projects/{project}/trainings", name="m", minutes=0.03)["run"])
    rest.wait(rest.ask("POST", f"projects/{project}/predictions", model="m", images="all")["run"])
    return str(server.address)


def test_names_that_are_markup_are_text_where_images_are_chosen_and_labelled(
    tab: Page, marked_up: str
) -> None:
    from playwright.sync_api import expect

    tab.goto(marked_up)
    expect(tab.get_by_test_id("stMain").get_by_text(f"{PROJECT} (1)", exact=True)).to_be_visible()
    assert tab.evaluate(INJECTED) == []

    tab.goto(f"{marked_up}/upload")
    choice = tab.get_by_role("combobox", name="Labels for all of these images")
    for label in LABELS[:3]:
        choice.fill(label)
        expect(tab.get_by_role("option", name=label, exact=True)).to_be_visible()
        choice.press("Enter")
        choice.press("Escape")
    assert tab.evaluate(INJECTED) == []

    tab.goto(f"{marked_up}/label")
    first = tab.get_by_role("gridcell").first
    first.locator("img").click()
    for label in LABELS:
        shown = tab.get_by_test_id("stText").get_by_text(label, exact=True)
        shown.scroll_into_view_if_needed()
        expect(shown).to_be_visible()
    field = tab.get_by_label("New label")
    for label in ("_new_ **one** :smile: <b>x</b>", "&lt; $y$ :blue[z]"):
        field.fill(label)
        field.press("Enter")
        expect(first).to_contain_text(label)
        expect(tab.get_by_test_id("stMarkdown").get_by_text(label)).to_be_visible()
    assert tab.evaluate(INJECTED) == []
    first.locator("img").dblclick()
    expect(tab.locator(".gallery").get_by_text(PICTURE.format(0), exact=True).last).to_be_visible()
    assert tab.evaluate(INJECTED) == []


def test_names_that_are_markup_are_text_where_models_are_made_and_used(tab: Page, marked_up: str) -> None:
    from playwright.sync_api import expect

    tab.goto(f"{marked_up}/train")
    expect(tab.get_by_role("button", name="Start")).to_be_visible()
    assert tab.evaluate(INJECTED) == []

    tab.set_viewport_size({"width": 1280, "height": 3000})
    tab.goto(f"{marked_up}/statistics?model=m")
    tab.get_by_test_id("stMain").get_by_text("Advanced", exact=True).click()
    expect(tab.locator("svg.marks")).to_have_count(4)
    axis = tab.locator("svg.marks").first
    expect(axis.get_by_text("$x$ \\(y\\)").first).to_be_visible()
    expect(axis.get_by_text("&lt;b&gt; &amp;").first).to_be_visible()
    axis.locator("text[aria-label*='script']").first.hover()
    expect(tab.locator("#vg-tooltip-element")).to_contain_text("<script>alert(1)</script>")
    assert tab.evaluate(INJECTED) == []

    tab.set_viewport_size({"width": 1280, "height": 900})
    go(tab, "Predict")
    tab.get_by_text("Earlier predictions").click()
    tab.get_by_role("link", name=re.compile(r"m \(best\) on")).click()
    expect(tab.get_by_role("gridcell").first).to_contain_text(PICTURE.format(0))
    assert tab.evaluate(INJECTED) == []


def test_two_tabs_see_each_others_labels_and_a_deleted_project_is_told(
    tab: Page, serve: Callable[..., Any], rest_of: Callable[[Any], Any], shapes_project: Callable[..., int]
) -> None:
    from playwright.sync_api import expect

    server = serve(None, "--offline")
    rest = rest_of(server)
    rest.ask("POST", "projects", name="Other")
    project = shapes_project(rest, "Shapes")
    other = tab.context.new_page()
    for page in (tab, other):
        page.goto(f"{server.address}/label?project={project}")
        expect(page.get_by_role("gridcell")).to_have_count(8)

    tab.get_by_role("gridcell").first.locator("img").click()
    tab.get_by_label("New label").fill("striped")
    tab.get_by_label("New label").press("Enter")
    expect(tab.get_by_test_id("stText").get_by_text("striped", exact=True)).to_be_visible()
    other.get_by_role("gridcell").nth(1).locator("img").click()
    expect(other.get_by_test_id("stText").get_by_text("striped", exact=True)).to_be_visible()

    rest.ask("DELETE", f"projects/{project}")
    other.get_by_role("button", name="None of these").click()
    expect(
        other.get_by_test_id("stAlert").get_by_text(f"The project Shapes ({project}) was deleted.")
    ).to_be_visible()
    expect(other.get_by_text("Upload images").first).to_be_visible()
    go(tab, "Train")
    expect(
        tab.get_by_text(f"The project Shapes ({project}) was deleted. This page is about Other (1) now.")
    ).to_be_visible()
    go(tab, "Models")
    expect(tab.get_by_text("was deleted")).to_have_count(0)

    rest.ask("DELETE", "projects/1")
    go(tab, "Statistics")
    expect(tab.get_by_text("The project Other (1) was deleted.")).to_be_visible()
    tab.get_by_role("link", name="Create a project").click()
    heading(tab, "Home")
    tab.goto(f"{server.address}/label?project={10**30}")
    expect(tab.get_by_text(f"There is no project {10**30} here")).to_be_visible()


def test_reload_in_the_middle_of_an_upload_keeps_nothing_and_choosing_again_works(
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
    folder = tmp_path / "photos"
    for number in range(4):
        path = draw(folder / f"{number}.png", "disc", number)
        with path.open("ab") as file:  # so that it takes its time
            file.write(b"\0" * 400_000)
    staging = server.workspace / "staging"
    tab.goto(f"{server.address}/upload")
    session = tab.context.new_cdp_session(tab)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 150_000}
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", slow)
    tab.locator(".uploader input").nth(1).set_input_files(folder)
    expect(tab.locator(".uploader .numbers").first).to_contain_text("MB")
    while not list(staging.glob("received-*/*")):
        tab.wait_for_timeout(50)

    tab.reload()
    heading(tab, "Upload")
    session.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": -1})
    deadline = time.monotonic() + 20
    while list(staging.glob("received-*")):
        assert time.monotonic() < deadline, "half an upload stays on the disk"
        tab.wait_for_timeout(100)
    assert rest.ask("GET", "projects/1/images")["total"] == 0

    tab.locator(".uploader input").nth(1).set_input_files(folder)
    tab.get_by_role("button", name="Store 4 files").click()
    expect(tab.get_by_test_id("stMetric").filter(has_text="Stored")).to_contain_text("4")
    assert rest.ask("GET", "projects/1/images")["total"] == 4
    assert "Traceback" not in server.log.read_text()


def test_back_shows_the_page_and_project_as_before(
    tab: Page, serve: Callable[..., Any], rest_of: Callable[[Any], Any], shapes_project: Callable[..., int]
) -> None:
    from playwright.sync_api import expect

    server = serve(None, "--offline")
    rest = rest_of(server)
    first, second = shapes_project(rest, "First"), rest.ask("POST", "projects", name="Second")["id"]
    tab.goto(f"{server.address}/label?project={first}")
    expect(tab.get_by_role("gridcell")).to_have_count(8)
    go(tab, "Train")
    picker = tab.get_by_test_id("stSidebar").get_by_role("combobox", name=re.compile("Project"))
    picker.click()
    tab.get_by_role("option", name=f"Second ({second})").click()
    expect(tab).to_have_url(re.compile(f"/train.*project={second}"))
    go(tab, "Upload")

    tab.go_back()
    heading(tab, "Train")
    expect(tab).to_have_url(re.compile(f"/train.*project={second}"))
    while "/label" not in tab.url:
        tab.go_back()
    heading(tab, "Label")
    expect(tab).to_have_url(re.compile(f"/label.*project={first}"))
    expect(tab.get_by_role("gridcell")).to_have_count(8)
    tab.go_forward()
    heading(tab, "Train")


def test_a_page_recovers_by_itself_when_the_server_is_killed_and_started_again(
    tab: Page, serve: Callable[..., Any], rest_of: Callable[[Any], Any], shapes_project: Callable[..., int]
) -> None:
    from playwright.sync_api import expect

    server = serve(None, "--offline")
    rest = rest_of(server)
    project = shapes_project(rest, "Shapes")
    rest.ask("POST", "projects", name="Later")
    tab.goto(f"{server.address}/label?project={project}&show=all")
    expect(tab.get_by_role("gridcell")).to_have_count(8)
    training = rest.ask("POST", f"projects/{project}/trainings", name="m", minutes=0.2)["run"]
    expect(tab.get_by_text("Training m")).to_be_visible()

    server.stop(signal.SIGKILL)
    again = serve(server.workspace, "--offline", "--port", server.address.rpartition(":")[2])
    assert again.address == server.address

    expect(tab.get_by_role("combobox", name="Project")).to_have_value(f"Shapes ({project})")
    tab.get_by_role("gridcell").first.locator("img").click()
    expect(tab.get_by_role("button", name="+", exact=True).first).to_be_enabled()
    tab.get_by_label("New label").fill("after")
    tab.get_by_label("New label").press("Enter")
    expect(tab.get_by_role("gridcell").first).to_contain_text("after")
    rest_of(again).wait(training)
    assert rest_of(again).ask("GET", f"runs/{training}")["status"] == "finished"
    go(tab, "Models")
    expect(tab.get_by_role("link", name="Statistics").last).to_be_visible()
    assert "Traceback" not in again.log.read_text()


@pytest.fixture
def foreign_page() -> Iterator[Callable[[str], str]]:
    """`foreign_page(html)` serves a page at another port of this machine and returns its address."""
    pages: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages[-1] if self.path == "/" else b""
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    other = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=other.serve_forever, daemon=True).start()

    def show(html: str) -> str:
        pages.append(html.encode())
        return f"http://127.0.0.1:{other.server_port}/"

    yield show
    other.shutdown()
    other.server_close()


def test_a_page_of_another_origin_reaches_nothing(
    tab: Page,
    serve: Callable[..., Any],
    rest_of: Callable[[Any], Any],
    shapes_project: Callable[..., int],
    foreign_page: Callable[[str], str],
) -> None:
    server = serve(None, "--offline")
    rest = rest_of(server)
    shapes_project(rest, "Shapes")
    before = rest.ask("GET", "projects"), rest.ask("GET", "projects/1/images")
    tab.goto(server.address)  # whatever a visit leaves in the browser is there
    heading(tab, "Home")
    html = """<!doctype html><body><script>
      const base = 'BASE', said = {};
      const json = JSON.stringify({name: 'planted'});
      const tries = {
        simple: () => fetch(base + '/api/v1/projects', {method: 'POST', mode: 'no-cors', body: json}).then((r) => r.status),
        cors: () => fetch(base + '/api/v1/projects', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: json})
          .then((r) => r.status),
        remove: () => fetch(base + '/api/v1/projects/1', {method: 'DELETE'}).then((r) => r.status),
        read: () => fetch(base + '/api/v1/projects').then((r) => r.text()),
        beacon: () => navigator.sendBeacon(base + '/api/v1/projects', new Blob([json], {type: 'text/plain'})),
        image: () => new Promise((done) => { const i = new Image(); i.onload = () => done(i.naturalWidth); i.onerror = () => done(0);
          i.src = base + '/api/v1/images/1/thumbnail'; }),
        socket: () => new Promise((done) => { const w = new WebSocket(base.replace('http', 'ws') + '/_stcore/stream', ['streamlit']);
          w.onopen = () => done('open'); w.onclose = (e) => done('closed'); }),
        frame: () => new Promise((done) => { const f = document.createElement('iframe'); f.name = 'f'; f.src = base;
          f.onload = () => { try { done(f.contentDocument ? 'ours' : 'hidden'); } catch { done('hidden'); } }; document.body.append(f); }),
        form: () => new Promise((done) => { const f = document.createElement('form'); f.action = base + '/api/v1/projects'; f.method = 'post';
          f.target = 'f'; f.enctype = 'text/plain'; const i = document.createElement('input'); i.name = '{"name":"planted","x":"'; i.value = '"}';
          f.append(i); document.body.append(f); f.submit(); setTimeout(() => done('sent'), 1500); }),
      };
      window.all = (async () => { for (const [name, make] of Object.entries(tries))
        said[name] = await make().catch?.((e) => e.name) ?? 'sent'; return said; })();
    </script>""".replace("BASE", server.address)
    tab.goto(foreign_page(html))

    said = tab.evaluate("() => window.all")

    assert (said["simple"], said["cors"], said["remove"], said["read"]) == ("TypeError",) * 4, said
    assert (said["image"], said["socket"]) == (0, "closed"), said
    assert not [frame for frame in tab.frames if frame.get_by_text("Fieldmark").count()]
    assert (rest.ask("GET", "projects"), rest.ask("GET", "projects/1/images")) == before


def test_home_says_what_a_damaged_database_cost(
    tab: Page, serve: Callable[..., Any], rest_of: Callable[[Any], Any], shapes_project: Callable[..., int]
) -> None:
    from playwright.sync_api import expect

    server = serve(None, "--offline")
    shapes_project(rest_of(server), "Shapes")
    server.stop()
    database = server.workspace / "fieldmark.duckdb"
    database.write_bytes(b"\0" * 5000 + database.read_bytes()[5000:])
    models = sorted(path for path in server.workspace.rglob("*") if path.is_file() and "images" in path.parts)

    again = serve(server.workspace, "--offline")
    tab.goto(again.address)

    heading(tab, "Home")
    expect(tab.get_by_test_id("stAlert")).to_contain_text("damaged")
    expect(tab.get_by_test_id("stAlert")).to_contain_text(str(next(server.workspace.glob("*.damaged-*"))))
    assert all(path.exists() for path in models) and models


def test_a_workspace_of_a_newer_version_is_refused_by_name(
    serve: Callable[..., Any], fieldmark: Callable[..., Any]
) -> None:
    serve(fieldmark.workspace).stop()  # type: ignore[attr-defined]
    file = fieldmark.workspace / "fieldmark.duckdb"  # type: ignore[attr-defined]
    with duckdb.connect(str(file)) as connection:
        connection.execute("insert into schema_version values (999, now()::timestamp)")
    before = file.read_bytes()

    done = fieldmark("serve", "--no-browser", "--port", 0, json=False, code=1)

    assert "made by a newer Fieldmark" in done.err and "upgrade Fieldmark" in done.err
    assert file.read_bytes() == before
