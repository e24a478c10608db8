"""Serves one page that holds a component, beside the real routes: `python server.py WORKSPACE PORT`."""

import sys
from pathlib import Path

import uvicorn

from fieldmark.api.gate import Gate
from fieldmark.api.server import rest
from fieldmark.core.active_runs import ActiveRuns
from fieldmark.core.open_app import OpenApp, hold
from fieldmark.core.registry import load_registry
from fieldmark.storage.workspace import open_workspace
from fieldmark.ui.theme import theme_options


def main(folder: Path, port: int) -> None:
    from starlette.routing import Mount
    from streamlit.web import bootstrap

    options = {
        "browser.gatherUsageStats": False,
        "server.headless": True,
        "server.fileWatcherType": "none",
        "client.toolbarMode": "viewer",
    }
    bootstrap.load_config_options(options | theme_options())
    import streamlit as st

    workspace = open_workspace(folder)
    registry = load_registry()
    runs = ActiveRuns(workspace, registry, offline=True)
    hold(OpenApp(workspace, registry, runs))
    pages = st.App(Path(__file__).with_name("page.py"), routes=[Mount("/api", rest())])
    try:
        uvicorn.run(
            Gate(pages, port),
            host="127.0.0.1",
            port=port,
            access_log=False,
            log_level="warning",
            timeout_graceful_shutdown=1,
        )
    finally:
        runs.close()
        workspace.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
