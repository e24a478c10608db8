"""`fieldmark demo`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fieldmark.cli.answer import Answer, JsonOption, OfflineOption, opened, respond, sentences
from fieldmark.cli.serve import HostOption, NoBrowserOption, PortOption
from fieldmark.cli.serve import run as run_server

if TYPE_CHECKING:
    from rich.console import Console

    from fieldmark.core.demo import Demo

DEMO_WORKSPACE = Path("fieldmark-demo")
# Without FIELDMARK_WORKSPACE: the demo must not end up among a person's own projects.
DemoWorkspaceOption = Annotated[Path, typer.Option("--workspace", help="Folder that holds the demo.")]


def demo(
    no_serve: Annotated[
        bool,
        typer.Option("--no-serve", help="Only train and print, and open no app."),
    ] = False,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8501,
    no_browser: NoBrowserOption = False,
    workspace: DemoWorkspaceOption = DEMO_WORKSPACE,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Train a first model on real images that come along, and open the app on it; no download, no account."""

    def work() -> Answer:
        from fieldmark.cli.progress import steps
        from fieldmark.core.demo import run_demo
        from fieldmark.core.registry import load_registry

        with opened(workspace, make=True) as ws:
            with steps() as tell:
                done = run_demo(ws, load_registry(), tell)
            root = ws.root
        document = {
            "accuracy": done.accuracy,
            "seconds": round(done.seconds, 2),
            "workspace": str(root),
            "project": done.project.name,
            "model": done.model.name,
            "labelled": done.labelled,
            "unlabelled": done.unlabelled,
            "reused": done.reused,
        }
        return Answer(document, lambda console: _show(console, done, root))

    respond(work, as_json=as_json)
    if not no_serve:
        with sentences():
            run_server(workspace, host, port, no_browser, offline)


def _show(console: Console, done: Demo, root: Path) -> None:
    if done.reused:
        console.print(f"The demo is there already: model {done.model.name} in {root}.")
    else:
        console.print(
            f"Trained {done.model.name} on {done.labelled} handwritten digits in {done.seconds:.1f} s."
        )
    name, project, where = done.model.name, done.project.name, f"--workspace {shlex.quote(str(root))}"
    console.print(f"Accuracy on images it had not seen: {done.accuracy:.1%}")
    console.print(f"{done.unlabelled} digits have no label yet. What to do next:")
    console.print(f"  fieldmark stats {name} --project {project} {where}")
    console.print(
        f"  fieldmark predict {name} --project {project} --project-images --format csv --output digits.csv {where}"
    )
    console.print(f"  fieldmark train {project} --minutes 1 {where}")
