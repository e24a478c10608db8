"""A real server whose one page holds the component that the address asks for, and a tab to look at it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fieldmark.storage.workspace import create_workspace

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


class ComponentServer:
    """A server in a process of its own, that can be killed and comes back at the same address."""

    def __init__(self, workspace: Path) -> None:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = found.getsockname()[1]
        self.workspace = workspace
        self.address = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serve, and return once it answers."""
        script = Path(__file__).with_name("server.py")
        log = self.workspace.parent / "server.log"
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                [sys.executable, str(script), str(self.workspace), str(self.port)], stdout=file, stderr=file
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                self.get("api/health")
                return
            except OSError:
                assert self.process.poll() is None, log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)

    def stop(self) -> None:
        """Kill it, as a crash would."""
        self.process.kill()
        self.process.wait(20)

    def get(self, route: str) -> Any:
        """Return what a route answers."""
        with urllib.request.urlopen(f"{self.address}/{route}", timeout=20) as answer:
            return json.load(answer)


@pytest.fixture(scope="module")
def component_server(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[ComponentServer]:
    """Serve the workspace that the test module's `fill(workspace, folder)` made, if it has one."""
    folder = tmp_path_factory.mktemp("components")
    workspace = create_workspace(folder / "workspace")
    if hasattr(request.module, "fill"):
        request.module.fill(workspace, folder)
    workspace.close()
    server = ComponentServer(folder / "workspace")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def tab(chromium: Browser) -> Iterator[Page]:
    """A tab of its own that must see no script error."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, locale="en-US")
    page = context.new_page()
    page.set_default_timeout(15_000)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    context.close()
    assert problems == []
