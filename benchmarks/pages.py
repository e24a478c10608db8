"""How long each page takes with 3, 5,000 and 50,000 images, the server's memory, and clicks while a training runs.

    python benchmarks/pages.py [--visits 5] [--clicks 40] [--room FOLDER] [--skip-pages] [--skip-clicks]

1. Pages: a server for each size, in Chromium, whose cache holds the app's scripts. Each page is opened by its address;
   it counts as painted when its heading is there and what it is for: the first thumbnail on Label, the first figure on
   Statistics, Start on Train. The first visit after the server's start stands apart; then the sizes take turns, and
   the median of the others counts. Memory is the server's resident memory after each page's first visit, and at its
   highest. What is synthetic in the larger workspaces is said in sample_workspaces.py.
2. Clicks: 5,000 real images, their embeddings yet to be computed. Two clicks, measured inside the browser from the
   click to the changed element: on Train, the toggle of the advanced view; on Label, a tile, to the words that say how
   many images are selected. Blocks without a training and blocks while one embeds take turns, on the same open pages.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clicks import measure_clicks
from sample_workspaces import MODEL, PROJECT, REAL, real_workspace, sized_workspace
from served import PATIENCE, Server, chromium, fieldmark, load

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SIZES = (3, 5_000, 50_000)
CLICK_IMAGES = 5_000
PAINTED = {
    "/": ("Home", f"text={PROJECT} (1)"),
    "/upload": ("Upload", ".uploader button >> nth=0"),
    "/label": ("Label", ".gallery .tile img >> nth=0"),
    "/train": ("Train", "button:has-text('Start')"),
    "/models": ("Models", f".st-key-model_{MODEL} [data-testid=stMetricValue]"),
    "/statistics": ("Statistics", "[data-testid=stMetricValue] >> nth=0"),
    "/predict": ("Predict", ".uploader button >> nth=0"),
    "/plugins": ("Plugins", "[data-testid=stExpander] >> nth=0"),
}
"""{page: its heading, and the first thing that a person came for}."""
LATER = {"/train": ("[data-testid=stMetricValue] >> nth=0", "the estimate")}
"""What a page goes on to work out for itself, measured beside the paint."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--visits", type=int, default=5, help="of each page at each size, after the first")
    parser.add_argument("--clicks", type=int, default=40, help="of each kind, with a training and without")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--room", type=Path, help="folder that keeps the workspaces for another run")
    parser.add_argument("--skip-pages", action="store_true")
    parser.add_argument("--skip-clicks", action="store_true")
    given = parser.parse_args()
    print(load(), flush=True)
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        room = given.room or Path(name)
        room.mkdir(exist_ok=True, parents=True)
        if not given.skip_pages:
            pages(browser, room, given.sizes, given.visits)
        if not given.skip_clicks:
            root = made(
                room / f"clicks-{CLICK_IMAGES}", lambda to: real_workspace(to, CLICK_IMAGES, trained=False)
            )
            measure_clicks(browser, root, given.clicks)
    print(load())


def made(root: Path, make: Any) -> Path:
    """Return a workspace, made unless an earlier run left it."""
    if not root.exists():
        making = root.with_name(f"{root.name}-making")
        shutil.rmtree(making, ignore_errors=True)
        make(making)
        making.rename(root)
    return root


def pages(browser: Browser, room: Path, sizes: Sequence[int], visits: int) -> None:
    """Print the tables of times and memory."""
    base = made(room / "base", lambda to: real_workspace(to, REAL, trained=True))
    roots = {
        size: made(room / f"images-{size}", lambda to, n=size: sized_workspace(base, to, n)) for size in sizes
    }
    first: dict[tuple[str, int], float] = {}
    later: dict[tuple[str, int], list[float]] = defaultdict(list)
    estimates: dict[tuple[str, int], list[float]] = defaultdict(list)
    memory: dict[tuple[str, int], float] = {}
    highest: dict[int, float] = {}
    torch: set[str] = set()
    with ExitStack() as ending:
        servers: dict[int, Server] = {}
        for size, root in roots.items():
            servers[size] = fieldmark(root, room / "servers.log")
            ending.callback(servers[size].stop)
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        for server in servers.values():  # the browser's cache, which each port has for itself
            page.goto(f"{server.address}/plugins")
            page.get_by_role("heading", level=1).wait_for()
        for turn in range(visits + 1):
            for path in PAINTED:
                for size, server in servers.items():
                    painted, worked_out = visit(page, server.address, path)
                    if worked_out is not None:
                        estimates[path, size].append(worked_out)
                    if turn:
                        later[path, size].append(painted)
                        continue
                    first[path, size] = painted
                    memory[path, size] = server.memory()[0]
                    if server.has_torch():
                        torch.add(path)
        for size, server in servers.items():
            memory["all, in the end", size], highest[size] = server.memory()
    print_times(sizes, first, later, estimates)
    print_memory(sizes, memory, highest)
    print(f"torch mapped after visiting: {', '.join(sorted(torch)) or 'none of them'}")


def visit(page: Page, address: str, path: str) -> tuple[float, float | None]:
    """Open a page by its address; return seconds to its first useful paint, and to what it works out later."""
    heading, wanted = PAINTED[path]
    page.goto("about:blank")
    began = time.perf_counter()
    page.goto(address + path, wait_until="commit")
    page.get_by_role("heading", level=1, name=heading, exact=True).wait_for()
    found = page.locator(wanted)
    found.wait_for()
    if wanted.endswith("img >> nth=0"):
        found.evaluate("picture => picture.decode()")
    painted = time.perf_counter() - began
    worked_out = None
    if path in LATER:
        estimate, refused = (
            page.locator(LATER[path][0]),
            page.locator(".stMain [data-testid=stAlert] >> nth=0"),
        )
        estimate.or_(refused).first.wait_for()
        worked_out = time.perf_counter() - began
    if page.locator("[data-testid=stException]").count():
        raise SystemExit(f"{address}{path} shows an exception")
    return painted, worked_out


def print_times(
    sizes: Sequence[int],
    first: dict[tuple[str, int], float],
    later: dict[tuple[str, int], list[float]],
    estimates: dict[tuple[str, int], list[float]],
) -> None:
    print("\nseconds to the first useful paint: first visit / median of the later ones")
    header([f"{size:,} images" for size in sizes])
    for path in PAINTED:
        cells = [f"{first[path, size]:.2f} / {statistics.median(later[path, size]):.2f}" for size in sizes]
        print(f"| {path} | {' | '.join(cells)} |")
        if path in LATER:
            cells = [
                f"{estimates[path, size][0]:.2f} / {statistics.median(estimates[path, size][1:]):.2f}"
                for size in sizes
            ]
            print(f"| {path}: {LATER[path][1]} | {' | '.join(cells)} |")


def print_memory(
    sizes: Sequence[int], memory: dict[tuple[str, int], float], highest: dict[int, float]
) -> None:
    print("\nMiB of the server after the first visit of each page, in this order")
    header([*(f"{size:,} images" for size in sizes), "largest / the one before"])
    rows = {path: [memory[path, size] for size in sizes] for path in [*PAINTED, "all, in the end"]}
    rows["highest"] = [highest[size] for size in sizes]
    for words, values in rows.items():
        growth = f"{values[-1] / values[-2]:.2f}" if len(values) > 1 else ""
        print(f"| {words} | {' | '.join(f'{value:.0f}' for value in values)} | {growth} |")


def header(columns: Sequence[str]) -> None:
    print(f"| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")


if __name__ == "__main__":
    main()
