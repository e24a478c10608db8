"""kill -9 of the command at any time, then the same command again: nothing acknowledged lost, nothing half there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
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
    assert not list((root / "runs").iterdir())


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


_DIE = """
import importlib, os, sys
module, owner, name, nth = sys.argv[1:5]
holder = importlib.import_module(module)
holder = getattr(holder, owner) if owner else holder
whole, calls = getattr(holder, name), [0]
def dying(*arguments, **options):
    calls[0] += 1
    if calls[0] == int(nth):
        os._exit(9)
    return whole(*arguments, **options)
setattr(holder, name, dying)
sys.argv = ["fieldmark", *sys.argv[5:]]
from fieldmark.cli.main import main
main()
"""


def dies_at(fieldmark, point: tuple[str, str, str, int], *arguments: object) -> None:
    """Run a command in a process that ends, as by kill -9, when it is about to call a function for the nth time."""
    command = [sys.executable, "-c", _DIE, *map(str, point), *fieldmark.arguments(*arguments)[3:]]
    done = subprocess.run(
        command,
        env=fieldmark.environment(),
        cwd=fieldmark.folder,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 9, done.stderr


UPLOADING = [
    ("fieldmark.storage.workspace", "Workspace", "keep_image", 5),
    ("fieldmark.storage.images", "", "add_images", 1),
    ("fieldmark.core.upload", "_Intake", "_tell", 1),
]
TRAINING = [
    ("fieldmark.core.train", "", "take_in", 1),
    ("fieldmark.storage.models", "", "add_model", 1),
    ("fieldmark.storage.runs", "", "finish_run", 1),
]


def test_no_moment_of_an_upload_leaves_anything_half(fieldmark, shapes: Path) -> None:
    fieldmark("project", "create", "p")
    upload = ["upload", "p", shapes, "--labels-from-folder"]
    for point in UPLOADING:
        dies_at(fieldmark, point, *upload)
        fieldmark("projects")
        whole(fieldmark)
    again = fieldmark(*upload).document
    assert (again["stored"], again["duplicates"]) == (0, 24)
    assert [row["images"] for row in fieldmark("labels", "list", "p").document["labels"]] == [12, 12]


def test_no_moment_of_a_training_leaves_anything_half(fieldmark, shapes: Path) -> None:
    fieldmark("project", "create", "p")
    fieldmark("upload", "p", shapes, "--labels-from-folder")
    for number, point in enumerate(TRAINING):
        dies_at(fieldmark, point, "train", "p", "--minutes", "0.2", "--name", f"m{number}")
        said = fieldmark("models")
        assert f"m{number}" in said.err
        whole(fieldmark)
    assert {model["name"] for model in said.document["models"]} == {"m0", "m1", "m2"}
    assert (
        fieldmark(
            "predict", "m1", shapes, "--project", "p", "--output", fieldmark.folder / "o.json"
        ).document["predicted"]
        == 24
    )
