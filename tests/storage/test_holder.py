"""Who holds a workspace, as another process is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fieldmark.storage import holder
from fieldmark.storage.workspace import Workspace, create_workspace, open_workspace

ASK = (
    "import sys; from pathlib import Path; from fieldmark.storage.workspace import open_workspace\n"
    "from fieldmark.storage.errors import FieldmarkError\n"
    "try: open_workspace(Path(sys.argv[1]))\nexcept FieldmarkError as error: print(error)"
)
ADDRESS = "http://127.0.0.1:8501"


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = create_workspace(tmp_path / "ws")
    yield opened
    opened.close()


def asked_by_another(root: Path) -> str:
    return subprocess.run(
        [sys.executable, "-c", ASK, str(root)], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_another_process_is_told_the_apps_address(workspace: Workspace) -> None:
    workspace.announce(ADDRESS)
    assert asked_by_another(workspace.root) == (
        f"the workspace {workspace.root} is in use by process {os.getpid()}, Fieldmark's app at {ADDRESS}: "
        "use the app, or stop it first"
    )


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 4000, b'{"pid": 1, "address": "http://127.0.0.1:1"}',
        b'{"pid": %d}', b'{"pid": %d, "address": 5}', b'{"pid": "%d", "address": "http://127.0.0.1:1"}',
        b'{"pid": %d, "address": "javascript:alert(1)"}', b'{"pid": %d, "address": "http://a\\u001b[31m"}',
        b'{"pid": %d, "address": "http://a: use another app"}',
        b'{"pid": %d, "address": "http://' + b"a" * 3000 + b'"}',
    ],
)  # fmt: skip
def test_a_file_that_is_not_believable_only_leaves_the_address_out(
    workspace: Workspace, content: bytes
) -> None:
    said = content.replace(b"%d", str(os.getpid()).encode())
    (workspace.root / holder.NAME).write_bytes(said)
    told = asked_by_another(workspace.root)
    assert f"in use by process {os.getpid()}: wait" in told
    assert "http" not in told


def test_the_file_alone_refuses_nothing_and_is_replaced(workspace: Workspace) -> None:
    workspace.close()
    file = workspace.root / holder.NAME
    file.write_text(json.dumps({"pid": os.getppid(), "address": ADDRESS}))
    opened = open_workspace(workspace.root)
    assert not file.exists()
    opened.announce(ADDRESS)
    assert json.loads(file.read_text()) == {"pid": os.getpid(), "address": ADDRESS}
    opened.close()
    assert not file.exists()


def test_closing_leaves_the_file_of_another_process(workspace: Workspace) -> None:
    file = workspace.root / holder.NAME
    file.write_text(json.dumps({"pid": os.getppid(), "address": ADDRESS}))
    workspace.close()
    assert file.exists()
