"""The server: Streamlit's pages and the REST routes in one ASGI process around one open workspace."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fieldmark.api.gate import Gate
from fieldmark.core.active_runs import ActiveRuns
from fieldmark.core.open_app import OpenApp, hold
from fieldmark.core.registry import load_registry
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.workspace import Workspace

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp

TRIED_PORTS = 20
GRACE_SECONDS = 3
WARM_AFTER_SECONDS = 3.0


def rest() -> FastAPI:
    """Return the app with every route under `/api`."""
    from fastapi import FastAPI

    from fieldmark.api import (
        answers,
        health,
        images,
        label_files,
        labels,
        models,
        plugins,
        predictions,
        projects,
        runs,
        uploads,
    )

    api = FastAPI(title="Fieldmark", docs_url=None, redoc_url=None, redirect_slashes=False)
    api.include_router(health.router)
    for part in (projects, images, labels, label_files, uploads, runs, models, predictions, plugins):
        api.include_router(part.router, prefix="/v1")
    answers.install(api)
    return api


def build(port: int) -> ASGIApp:
    """Return the whole application, gate first, for a server on this port."""
    from streamlit.web import bootstrap

    from fieldmark.ui.theme import theme_options

    bootstrap.load_config_options(
        _options() | theme_options()
    )  # before st.App; environment variables do nothing
    import streamlit as st
    from starlette.routing import Mount

    from fieldmark.ui.shell import script, show_failure

    pages = st.App(script(), on_script_error=show_failure, routes=[Mount("/api", rest())])
    return Gate(pages, port)


def _options() -> dict[str, Any]:
    return {
        "browser.gatherUsageStats": False,
        "server.headless": True,
        "server.fileWatcherType": "none",
        "server.enableStaticServing": False,
        "server.maxUploadSize": 64,
        "server.allowedHosts": ["localhost", "127.0.0.1", "::1"],
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "client.toolbarMode": "viewer",
    }


def listen(host: str, port: int) -> tuple[socket.socket, int | None]:
    """Return a socket on this port, or the next free one, and the taken port if it was another.

    Raises `FieldmarkError` for an address that is not of this machine alone, or when no port is free.
    """
    if host not in ("127.0.0.1", "localhost", "::1"):
        raise FieldmarkError(
            f"{host} can't be served yet: without accounts anybody there could change your labels. "
            "Use 127.0.0.1, and for a colleague an SSH tunnel"
        )
    family = socket.AF_INET6 if host == "::1" else socket.AF_INET
    for candidate in range(port, min(port + TRIED_PORTS, 65536)):
        # With protocol 0 asyncio would not switch Nagle's algorithm off, and thumbnails would crawl.
        found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind(("127.0.0.1" if host == "localhost" else host, candidate))
            found.listen(2048)
        except OSError:
            found.close()
            continue
        return found, (port if candidate != port and port != 0 else None)
    raise FieldmarkError(
        f"no port from {port} to {min(port + TRIED_PORTS, 65536) - 1} is free: name another with --port"
    )


def serve(
    workspace: Workspace,
    listener: socket.socket,
    *,
    offline: bool,
    ready: Callable[[str, list[str]], None],
    say: Callable[[str], None],
) -> None:
    """Serve the open workspace until SIGTERM or Ctrl-C, then let go of it.

    `ready` is called once with the address, and a sentence for each run an earlier process left; `say` takes what is
    to be told at the end.
    """
    import uvicorn

    host, port = listener.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    registry = load_registry()
    runs = ActiveRuns(workspace, registry, offline=offline)
    hold(OpenApp(workspace, registry, runs))

    warming = threading.Timer(WARM_AFTER_SECONDS, _warm)
    warming.daemon = True

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            workspace.announce(address)
            ready(address, told)
            warming.start()

    config = uvicorn.Config(
        build(port), access_log=False, log_level="warning", timeout_graceful_shutdown=GRACE_SECONDS,
        server_header=False, proxy_headers=False, ws_max_size=64 * 2**20,
    )  # fmt: skip
    # uvicorn raises the signal again after its own end; what is left to do here must come first.
    asked_to_stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked_to_stop.set())
    try:
        told = runs.recover()
        if not asked_to_stop.is_set():
            Server(config).run(sockets=[listener])
    finally:
        for name in runs.close():
            say(f"the training {name!r} goes on by itself; the next start takes its model in")
        hold(None)
        workspace.close()


def _warm() -> None:
    """Import what the first label or chart would wait seconds for, once the first page has been painted."""
    import altair  # noqa: F401

    from fieldmark.storage.bulk import arrow_table

    arrow_table([("id", "int64")], [(1,)])
