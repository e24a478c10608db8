"""`fieldmark serve`."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from fieldmark.cli.answer import DEFAULT_WORKSPACE, OfflineOption, WorkspaceOption, sentences, tell

HostOption = Annotated[str, typer.Option("--host", help="Address to listen at: this machine alone.")]
PortOption = Annotated[
    int, typer.Option("--port", min=0, max=65535, help="The next free one if it is taken.")
]
NoBrowserOption = Annotated[bool, typer.Option("--no-browser", help="Only say the address.")]


def serve(
    host: HostOption = "127.0.0.1",
    port: PortOption = 8501,
    no_browser: NoBrowserOption = False,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    offline: OfflineOption = False,
) -> None:
    """Open the app in the browser: upload, label, train, read statistics, predict."""
    with sentences():
        run(workspace, host, port, no_browser, offline)


def run(workspace: Path, host: str, port: int, no_browser: bool, offline: bool) -> None:
    """Serve a workspace until a signal; raises `FieldmarkError` when it can't be opened or no port is free."""
    from fieldmark.api.server import listen
    from fieldmark.api.server import serve as serve_workspace
    from fieldmark.storage.workspace import create_workspace

    opened = create_workspace(workspace)
    for notice in opened.notices:
        tell(notice)
    listener, taken = listen(host, port)
    if taken:
        tell(f"port {taken} is taken, so the app is at another")

    def ready(address: str, told: list[str]) -> None:
        for sentence in told:
            tell(sentence)
        print(f"Fieldmark is at {address}", flush=True)
        print(f"Workspace: {opened.root}. Ctrl-C stops the app.", flush=True)
        if not no_browser and _has_screen():
            webbrowser.open(address)

    serve_workspace(opened, listener, offline=offline, ready=ready, say=tell)


def _has_screen() -> bool:
    """Return whether a browser could be seen: a text browser would take this terminal."""
    return sys.platform in ("darwin", "win32") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
