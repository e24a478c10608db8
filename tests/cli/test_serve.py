"""`fieldmark serve`: what it says, how it ends, and how it deals with what is taken."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_on_a_signal(serve: Callable[..., Any], number: int) -> None:
    server = serve()
    assert httpx2.get(f"{server.address}/api/health").json()["status"] == "ok"

    assert server.stop(number) == 0
    assert not (server.workspace / "server.json").exists()
    assert "Traceback" not in server.log.read_text()


def test_a_taken_port_is_named_and_the_next_one_used(serve: Callable[..., Any], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = serve(None, "--port", str(port))

    assert int(server.address.rpartition(":")[2]) > port
    assert f"port {port} is taken" in server.log.read_text()


def test_commands_and_a_second_server_are_told_who_holds_the_workspace(
    served: Any, fieldmark: Callable[..., Any]
) -> None:
    for command in (["projects"], ["serve", "--no-browser"]):
        done = subprocess.run(
            [sys.executable, "-m", "fieldmark", *command, "--workspace", str(served.workspace)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1
        assert str(served.process.pid) in done.stderr and served.address in done.stderr
        assert "Traceback" not in done.stderr


def test_another_address_is_refused_until_there_are_accounts(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fieldmark", "serve", "--host", "0.0.0.0", "--workspace", str(tmp_path / "w")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert "0.0.0.0 can't be served yet" in done.stderr


def test_neither_streamlit_nor_the_routes_load_torch_before_it_is_needed(served: Any) -> None:
    httpx2.get(f"{served.address}/api/v1/plugins").raise_for_status()

    maps = Path(f"/proc/{served.process.pid}/maps")
    if not maps.exists():
        pytest.skip("needs /proc to see what a process has loaded")
    assert "libtorch" not in maps.read_text()
