"""Clicks in the app while a training runs, and while none does; `pages.py` runs this."""

from __future__ import annotations

import json
import math
import shutil
import statistics
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from served import PATIENCE, Server, fieldmark

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BLOCK = 10
"""Clicks of each kind before it is the other side's turn."""
APART = 0.15
"""Seconds between a click's answer and the next click: a person's pace, and the end of what the answer set off."""
_CLICK = """
async ([what, place, wanted]) => {
  const everywhere = function* (root) {
    for (const one of root.querySelectorAll("*")) { yield one; if (one.shadowRoot) yield* everywhere(one.shadowRoot); }
  };
  const target = [...everywhere(document)].filter((one) => one.matches(what))[place];
  if (!target) throw new Error(`no ${what} at ${place}`);
  const there = () => new RegExp(wanted.text).test(document.querySelector(wanted.within).innerText);
  if (there() === wanted.present) throw new Error(`${wanted.text} is so before the click`);
  const began = performance.now();
  target.click();
  return await new Promise((done, fail) => {
    const stop = setTimeout(() => fail(new Error(`no answer to a click on ${what}`)), 60000);
    const look = () => {
      if (there() !== wanted.present) return requestAnimationFrame(look);
      clearTimeout(stop);
      done((performance.now() - began) / 1000);
    };
    look();
  });
}
"""
KINDS = ("toggle the advanced view on Train", "select a tile on Label")
IDLE, BUSY = "no training", "training"


def measure_clicks(browser: Browser, root: Path, clicks: int) -> None:
    """Print medians, p95 and their ratios."""
    times: dict[tuple[str, str], list[float]] = {(kind, side): [] for kind in KINDS for side in (IDLE, BUSY)}
    server = fieldmark(root, root.with_name("servers.log"))
    try:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        train, label = context.new_page(), context.new_page()
        for page, path in ((train, "/train"), (label, "/label")):
            page.set_default_timeout(PATIENCE * 1000)
            page.goto(server.address + path)
        train.locator("[data-testid=stMetricValue]").first.wait_for()
        label.locator(".gallery .tile img").first.wait_for()
        block(train, label)  # warms up
        embedded: list[str] = []
        while len(times[KINDS[0], BUSY]) < clicks:
            for side in (IDLE, BUSY):
                run = start_training(server) if side == BUSY else None
                settle(train, label, busy=run is not None)
                for kind, found in zip(KINDS, block(train, label), strict=True):
                    times[kind, side] += found
                if run is not None:
                    embedded.append(stop_training(server, run))
                    forget_embeddings(root)
            settle(train, label, busy=False)
    finally:
        server.stop()
    print("\nseconds from the click to the changed element, in the browser")
    print("| click | | clicks | median | p95 | worst |\n|---|---|---|---|---|---|")
    for (kind, side), values in times.items():
        cells = (statistics.median(values), p95(values), max(values))
        print(f"| {kind} | {side} | {len(values)} | {' | '.join(f'{value:.3f}' for value in cells)} |")
    for kind in KINDS:
        idle, busy = times[kind, IDLE], times[kind, BUSY]
        print(
            f"{kind}: with a training / without: median {statistics.median(busy) / statistics.median(idle):.2f}, "
            f"p95 {p95(busy) / p95(idle):.2f}"
        )
    print(f"images embedded when each training was cancelled: {', '.join(embedded)}")


def p95(values: list[float]) -> float:
    """Return the least value that 95 % of the values do not exceed."""
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def block(train: Page, label: Page) -> tuple[list[float], list[float]]:
    """Click `BLOCK` times on each page, in turn: a page behind another one is drawn more rarely."""
    toggles, tiles = [], []
    train.bring_to_front()
    for _ in range(BLOCK):
        shown = "Validation images" in train.locator(".stMain").inner_text()
        wanted = {"within": ".stMain", "text": "Validation images", "present": not shown}
        toggles.append(train.evaluate(_CLICK, ["[class*='-view'] input[type=checkbox]", 0, wanted]))
        time.sleep(APART)
    label.bring_to_front()
    for number in range(BLOCK):
        # A click on one tile selects it alone; the words for one are the same, so none is selected in between.
        wanted = {"within": ".stMain", "text": "1 image selected", "present": True}
        tiles.append(label.evaluate(_CLICK, [".tile:not(.waiting)", number, wanted]))
        wanted = {"within": ".stMain", "text": "1 image selected", "present": False}
        label.evaluate(_CLICK, [".bar-above button:nth-of-type(2)", 0, wanted])
        time.sleep(APART)
    return toggles, tiles


def settle(train: Page, label: Page, *, busy: bool) -> None:
    """Wait until both pages show the training, or show that it is over."""
    for page in (train, label):
        page.bring_to_front()
        page.locator("[class*='st-key-run_']").first.wait_for(state="visible" if busy else "detached")
    time.sleep(1)


def start_training(server: Server) -> int:
    """Start a training and wait until it embeds."""
    run: int = ask(server, "POST", "/projects/1/trainings", {})["run"]
    while (view := ask(server, "GET", f"/runs/{run}"))["stage"] != "embed":
        if view["status"] != "running":
            raise SystemExit(f"the training ended: {view}")
        time.sleep(0.1)
    return run


def stop_training(server: Server, run: int) -> str:
    """Cancel a training that must still embed, wait for its end and return how far it was."""
    view = ask(server, "GET", f"/runs/{run}")
    if view["status"] != "running" or view["stage"] != "embed":
        raise SystemExit(f"the training was past embedding before the clicks were over: {view}")
    ask(server, "POST", f"/runs/{run}/cancel", {})
    while ask(server, "GET", f"/runs/{run}")["status"] == "running":
        time.sleep(0.1)
    sentence: str = view["sentence"]
    return sentence


def forget_embeddings(root: Path) -> None:
    """Let the next training embed all images again."""
    for folder in (root / "embeddings").iterdir():
        shutil.rmtree(folder)


def ask(server: Server, method: str, path: str, body: Any = None) -> dict[str, Any]:
    """Ask a route of the app, as a page does."""
    request = urllib.request.Request(
        f"{server.address}/api/v1{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        found: dict[str, Any] = json.load(answer)
    return found
