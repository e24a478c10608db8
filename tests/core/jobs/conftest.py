from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from fieldmark.core.worker import Work
from fieldmark.storage.workspace import Workspace, create_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = create_workspace(tmp_path / "ws")
    yield opened
    opened.close()


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Work]:
    """A worker's place to work in, here in the test's own process."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    folder = tmp_path / "run"
    folder.mkdir()
    yield Work(folder, None)
    for number, handler in handlers.items():
        signal.signal(number, handler)
