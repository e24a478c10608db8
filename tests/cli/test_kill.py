"""kill -9 of the command at any time, then the same command again: nothing acknowledged lost, nothing half there."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest


@pytest.fixture
def many(tmp_path: Path, draw) -> Path:
    folder = tmp_path / "many"
    for number in range(400):
        draw(
            folder / ("disc" if number % 2 else "square") / f"{number:03}.png",
            "disc" if number % 2 else "square",
            number,
        )
    return folder


def killed(fieldmark, seconds: float, *arguments: object) -> None:
    child = subprocess.Popen(
        fieldmark.arguments(*arguments),
        env=fieldmark.environment(),
        cwd=fieldmark.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(seconds)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()


def whole(fieldmark) -> None:
    """Every row has its file and every file its row."""
    import duckdb

    root = fieldmark.workspace
    with duckdb.connect(str(root / "fieldmark.duckdb"), read_only=True) as db:
        shas = {sha for (sha,) in db.execute("select sha256 from content").fetchall()}
        used = {sha for (sha,) in db.execute("select sha256 from image").fetchall()}
        models = {str(i) for (i,) in db.execute("select id from model").fetchall()}
        running = db.execute("select count(*) from run where status = 'running'").fetchall()[0][0]
    assert shas == used
    assert {path.name for path in (root / "images").glob("*/*")} == shas
    assert {path.stem for path in (root / "thumbnails").glob("*/*")} == shas
    assert not list((root / "staging").iterdir())
    assert {path.name for path in (root / "models").iterdir()} == models
    assert running == 0


def test_upload_import_and_train_survive_being_killed(fieldmark, many: Path, tmp_path: Path) -> None:
    fieldmark("project", "create", "p")
    upload = ["upload", "p", many, "--labels-from-folder"]
    for seconds in (1.0, 1.6, 2.2):
        killed(fieldmark, seconds, *upload)
    done = fieldmark(*upload).document
    assert done["stored"] + done["duplicates"] == 400
    whole(fieldmark)

    table = tmp_path / "more.csv"
    table.write_text("image,label\n" + "".join(f"disc/{n:03}.png,round\n" for n in range(1, 400, 2)))
    for seconds in (0.6, 0.9, 1.2):
        killed(fieldmark, seconds, "labels", "import", "p", table)
    counts = {row["name"]: row["images"] for row in fieldmark("labels", "list", "p").document["labels"]}
    assert counts.get("round", 0) in (0, 200)
    fieldmark("labels", "import", "p", table)
    counts = {row["name"]: row["images"] for row in fieldmark("labels", "list", "p").document["labels"]}
    assert counts == {"disc": 200, "round": 200, "square": 200}

    train = ["train", "p", "--name", "m", "--minutes", "0.3"]
    for seconds in (3.0, 6.0, 9.0):
        killed(fieldmark, seconds, *train)
        if fieldmark("models").document["models"]:
            break
    else:
        assert fieldmark(*train).document["model"] == "m"
    whole(fieldmark)
    cached = sum(1 for _ in (fieldmark.workspace / "embeddings").glob("*/*.parquet"))
    assert cached >= 1
