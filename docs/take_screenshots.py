"""Take the README's screenshots of the demo in headless Chromium: `python docs/take_screenshots.py`.

`--all FOLDER` takes every page instead, empty and with the demo, light and dark, at 1280 px and as on a phone.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

IMAGES = Path(__file__).parent / "images"
PAGES = ("", "upload", "label", "train", "models", "statistics", "predict", "plugins")
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


def serve(workspace: Path) -> tuple[subprocess.Popen[str], str]:
    """Start the app on a workspace; return its process and address."""
    command = [sys.executable, "-m", "fieldmark", "serve", "--no-browser", "--port", "0", "--offline"]
    process = subprocess.Popen(
        [*command, "--workspace", str(workspace)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    found = re.search(r"http://\S+", process.stdout.readline())
    if found is None:
        raise SystemExit("the app did not start")
    return process, found.group()


def settle(page: Page) -> None:
    """Wait until nothing moves any more."""
    page.get_by_role("heading", level=1).wait_for()
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1500)


def for_readme(browser: Browser, address: str) -> None:
    """Take the four pictures that the README shows."""
    page = browser.new_page(viewport=WIDE)
    page.goto(f"{address}/label?show=unlabelled")
    settle(page)
    for number in range(3):
        page.get_by_role("gridcell").nth(number).locator("img").click(
            modifiers=["ControlOrMeta"] if number else []
        )
    settle(page)
    page.screenshot(path=IMAGES / "label.png")
    page.goto(f"{address}/train")
    settle(page)
    page.screenshot(path=IMAGES / "train.png")
    page.set_viewport_size({"width": 1280, "height": 1500})
    page.goto(f"{address}/statistics?model=digits-1&view=advanced")
    settle(page)
    page.screenshot(path=IMAGES / "statistics.png")
    page.set_viewport_size(WIDE)
    page.goto(f"{address}/predict?model=digits-1")
    settle(page)
    page.get_by_text("Images of this project").click()
    page.get_by_role("combobox", name="Which").click()
    page.get_by_role("option", name="Unlabelled images").click()
    page.get_by_role("button", name="Predict 200 images").click()
    page.get_by_role("heading", name="What digits-1 (best) says").wait_for(timeout=120_000)
    settle(page)
    page.locator(".gallery").scroll_into_view_if_needed()
    settle(page)
    page.screenshot(path=IMAGES / "predict.png")


def every_page(browser: Browser, address: str, folder: Path, name: str) -> None:
    """Take every page in light and dark, wide and as on a phone."""
    for scheme in ("light", "dark"):
        for size, viewport in (("wide", WIDE), ("phone", PHONE)):
            page = browser.new_page(viewport=viewport, color_scheme=scheme)
            for part in PAGES:
                page.goto(f"{address}/{part}")
                settle(page)
                page.screenshot(path=folder / f"{part or 'home'}-{name}-{scheme}-{size}.png", full_page=True)
            page.close()


def main() -> None:
    """Serve the demo, and take pictures of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path, metavar="FOLDER")
    folder = parser.parse_args().all
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        workspace = Path(place) / "demo"
        demo = [sys.executable, "-m", "fieldmark", "demo", "--no-serve", "--workspace", str(workspace)]
        subprocess.run(demo, check=True)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        served = (
            [("demo", workspace)]
            if folder is None
            else [("demo", workspace), ("empty", Path(place) / "empty")]
        )
        for name, root in served:
            process, address = serve(root)
            try:
                if folder is None:
                    IMAGES.mkdir(exist_ok=True)
                    for_readme(browser, address)
                else:
                    folder.mkdir(parents=True, exist_ok=True)
                    every_page(browser, address, folder, name)
            finally:
                process.terminate()
                process.wait(20)
        browser.close()


if __name__ == "__main__":
    main()
