"""A worker leaves with the process that asked for it, and what it publishes is on the disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fieldmark.core.worker import _publish

STARTER = """
import os, subprocess, sys
subprocess.Popen([sys.executable, "-c", sys.argv[1], str(os.getpid()), sys.argv[2]])
os._exit(0)
"""
DEAF = """
import sys, time
from pathlib import Path
from fieldmark.core import worker
worker.GRACE_SECONDS = 0.5
work = worker.Work(Path(sys.argv[2]), int(sys.argv[1]))
while True:
    time.sleep(0.1)
    if work.cancelled():
        print("was told", flush=True)
"""


def test_a_worker_that_does_not_listen_ends_after_its_starter(tmp_path: Path) -> None:
    # The pipe is closed only when the orphan, which holds its other end, is gone.
    done = subprocess.run(
        [sys.executable, "-c", STARTER, DEAF, str(tmp_path)],
        stdout=subprocess.PIPE,
        timeout=60,
        check=True,
    )
    assert b"was told" in done.stdout


def test_every_file_of_a_result_is_synced_before_it_appears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unfinished, result = tmp_path / "result.tmp", tmp_path / "result"
    (unfinished / "best" / "deep").mkdir(parents=True)
    for name in ("model.json", "best/weights.safetensors", "best/deep/labels.txt"):
        (unfinished / name).write_text(name)
    inside = {path.stat().st_ino for path in [unfinished, *unfinished.rglob("*")]}
    synced: list[tuple[int, bool]] = []
    fsync = os.fsync

    def recording(handle: int) -> None:
        synced.append((os.fstat(handle).st_ino, result.exists()))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", recording)
    _publish(unfinished, result)
    assert {number for number, appeared in synced if not appeared} == inside
    assert synced[-1] == (tmp_path.stat().st_ino, True)
    assert (result / "best" / "deep" / "labels.txt").read_text() == "best/deep/labels.txt"
