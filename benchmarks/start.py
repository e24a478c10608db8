"""How fast Fieldmark starts: the command, and the app against an empty Streamlit app.

    python benchmarks/start.py [--runs 15] [--app-runs 7]

1. Processor time of `fieldmark --help` against `python -c "import typer, rich"`, in turn, median of several.
2. `fieldmark serve` on an empty workspace against a script of one line, in turn, best and median of several: seconds
   from the start of the process to the first good answer of the health address, and to the first paint in a Chromium
   that runs already and has seen neither (a fresh profile each time). The line of the empty app is its heading; Home
   counts as painted when its heading and its last button are there. `streamlit run` is how anyone would start the
   empty app; uvicorn with `st.App` is the same way that Fieldmark takes.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from served import PATIENCE, Server, chromium, fieldmark, free_port, load

if TYPE_CHECKING:
    from playwright.sync_api import Browser

HEAVY = ("torch", "streamlit", "timm", "sklearn", "albumentations", "pandas", "numpy", "duckdb", "pydantic")
COMMANDS = {
    "fieldmark --help": [sys.executable, "-m", "fieldmark", "--help"],
    "python -c 'import typer, rich'": [sys.executable, "-c", "import typer, rich"],
    "python -c pass": [sys.executable, "-c", "pass"],
}
EMPTY = '__import__("streamlit").title("Home")\n'
UNDER_UVICORN = """
import sys, uvicorn
from streamlit.web import bootstrap
bootstrap.load_config_options({
    "browser.gatherUsageStats": False, "server.headless": True, "server.fileWatcherType": "none"})
import streamlit as st
uvicorn.run(st.App(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]), access_log=False, log_level="warning")
"""
OURS, THEIRS = "fieldmark serve", "streamlit run, one line"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=15, help="of the command; 0 leaves it out")
    parser.add_argument("--app-runs", type=int, default=7, help="of the app; 0 leaves it out")
    given = parser.parse_args()
    print(load())
    if given.runs:
        command(given.runs)
    if given.app_runs:
        app(given.app_runs)


# 1: the command


def command(runs: int) -> None:
    """Print a table of processor times."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for run in range(runs + 1):
        for name, arguments in COMMANDS.items():
            seconds = processor_seconds(arguments)
            if run:
                times[name].append(seconds)
    print("\n| command | CPU seconds, median | min | max |\n|---|---|---|---|")
    for name, values in times.items():
        print(f"| `{name}` | {statistics.median(values):.3f} | {min(values):.3f} | {max(values):.3f} |")
    ours, theirs, _ = (statistics.median(values) for values in times.values())
    print(f"\nratio fieldmark --help / import typer, rich: {ours / theirs:.2f}")
    script = f"import fieldmark.cli.main, sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    print(f"heavy modules imported on the way: {loaded.stdout.strip()}")


def processor_seconds(arguments: list[str]) -> float:
    """Return user plus system seconds of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


# 2: the app


@dataclass(frozen=True, slots=True)
class Started:
    """One start: wall seconds from the start of the process, its processor seconds, its memory in MiB."""

    healthy: float
    painted: float
    processor: float
    memory: float
    torch: bool


def app(runs: int) -> None:
    """Print a table of starts."""
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        room = Path(name)
        script, server = room / "one_line.py", room / "under_uvicorn.py"
        script.write_text(EMPTY)
        server.write_text(UNDER_UVICORN)
        log = room / "servers.log"
        kinds: dict[str, tuple[Callable[[], Server], str | None]] = {
            OURS: (lambda: fieldmark(room / "workspace", log), "Create project"),
            THEIRS: (lambda: streamlit_run(script, log), None),
            "uvicorn + st.App, one line": (lambda: under_uvicorn(server, script, log), None),
        }
        starts: dict[str, list[Started]] = {kind: [] for kind in kinds}
        for run in range(runs + 1):
            for kind, (start, button) in kinds.items():
                started = one_start(browser, start, button)
                if run:  # the first start fills the disk cache and makes the workspace
                    starts[kind].append(started)
    print(
        "\n| app | to health, s | to first paint, s | CPU s until then | memory, MiB |\n|---|---|---|---|---|"
    )
    for kind, found in starts.items():
        cells = [
            f"{min(values):.2f} / {statistics.median(values):.2f}"
            for values in ([one.healthy for one in found], [one.painted for one in found])
        ]
        processor, memory = (
            statistics.median(values)
            for values in ([one.processor for one in found], [one.memory for one in found])
        )
        print(f"| {kind} | {' | '.join(cells)} | {processor:.2f} | {memory:.0f} |")
    print("\ntimes are best / median; ratio of fieldmark serve to streamlit run:")
    for words, pick in (("health", "healthy"), ("first paint", "painted"), ("CPU", "processor")):
        ours, theirs = ([getattr(one, pick) for one in starts[kind]] for kind in (OURS, THEIRS))
        ratios = f"best {min(ours) / min(theirs):.2f}, median {statistics.median(ours) / statistics.median(theirs):.2f}"
        print(f"  {words}: {ratios}")
    print(f"torch mapped at the first paint: {any(one.torch for one in starts[OURS])}")
    print(load())


def one_start(browser: Browser, start: Callable[[], Server], button: str | None) -> Started:
    """Start a server, look at its first page, and end it."""
    server = start()
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        page = context.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        page.goto(server.address, wait_until="commit")
        page.get_by_role("heading", level=1, name="Home").wait_for()
        if button:
            page.get_by_role("button", name=button).wait_for()
        painted = time.perf_counter() - server.started
        return Started(
            server.healthy_after, painted, server.processor_seconds(), server.memory()[0], server.has_torch()
        )
    finally:
        context.close()
        server.stop()


def streamlit_run(script: Path, log: Path) -> Server:
    """Start the empty app as its authors say."""
    port = free_port()
    arguments = [
        sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port), "--server.headless", "true",
        "--server.address", "127.0.0.1", "--browser.gatherUsageStats", "false", "--server.fileWatcherType", "none",
    ]  # fmt: skip
    return Server(arguments, port, "/_stcore/health", log)


def under_uvicorn(server: Path, script: Path, log: Path) -> Server:
    """Start the empty app in the way that Fieldmark starts its own."""
    port = free_port()
    return Server([sys.executable, str(server), str(script), str(port)], port, "/_stcore/health", log)


if __name__ == "__main__":
    main()
