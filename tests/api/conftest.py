"""Routes served by a real server on this machine, around a real workspace."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI

from fieldmark.api import answers, images, labels, predictions
from fieldmark.core.open_app import OpenApp, hold
from fieldmark.core.registry import load_registry
from fieldmark.storage.workspace import Workspace, create_workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    opened = create_workspace(tmp_path_factory.mktemp("api") / "ws")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def client(workspace: Workspace) -> Iterator[httpx2.Client]:
    """A client of the routes that browse and label, whose addresses begin at /api/v1/."""
    app = FastAPI(redirect_slashes=False)
    answers.install(app)
    for module in (images, labels, predictions):
        app.include_router(module.router, prefix="/api/v1")
    hold(OpenApp(workspace, load_registry(), None))  # type: ignore[arg-type]
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}/api/v1/", timeout=30, trust_env=False) as made:
        yield made
    server.should_exit = True
    thread.join()
    hold(None)
