"""A server in a process of its own, and a browser to look at it: what the benchmarks of the app share."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PATIENCE = 120.0
"""Seconds."""
LOOK = 0.005
_TICK = os.sysconf("SC_CLK_TCK")


class Server:
    """A server process; `healthy_after` is the seconds from its start to the first good answer at `health`."""

    def __init__(self, command: Sequence[str], port: int, health: str, log: Path) -> None:
        self.port = port
        self.address = f"http://127.0.0.1:{port}"
        self._log = log.open("ab")
        self.started = time.perf_counter()
        self.process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        while not self._answers(health):
            if self.process.poll() is not None or time.perf_counter() - self.started > PATIENCE:
                sys.exit(f"{' '.join(command)} did not get ready: see {log}")
            time.sleep(LOOK)
        self.healthy_after = time.perf_counter() - self.started

    def _answers(self, path: str) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            return answer.status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def memory(self) -> tuple[float, float]:
        """Return resident memory now and at its highest so far, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        values = dict(line.split(":", 1) for line in status.splitlines())
        return int(values["VmRSS"].split()[0]) / 1024, int(values["VmHWM"].split()[0]) / 1024

    def processor_seconds(self) -> float:
        """Return user plus system seconds of the process so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK

    def has_torch(self) -> bool:
        """Tell whether torch's library is mapped into the process."""
        return "libtorch" in Path(f"/proc/{self.process.pid}/maps").read_text()

    def stop(self) -> None:
        """End it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()


def fieldmark(workspace: Path, log: Path) -> Server:
    """Serve a workspace with the real command."""
    port = free_port()
    command = [
        sys.executable, "-m", "fieldmark", "serve", "--no-browser", "--offline",
        "--port", str(port), "--workspace", str(workspace),
    ]  # fmt: skip
    return Server(command, port, "/api/health", log)


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def chromium() -> Iterator[Browser]:
    """Give a headless Chromium of this machine."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        sys.exit("Chromium is missing: install the package chromium.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            yield browser
        finally:
            browser.close()


def load() -> str:
    """Return the machine's load average, which says how far the figures can be trusted."""
    return f"load {' '.join(f'{value:.1f}' for value in os.getloadavg())} on {len(os.sched_getaffinity(0))} cores"
