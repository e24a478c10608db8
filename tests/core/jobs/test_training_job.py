"""A training from a request to a model in the database, its worker a real process."""

from __future__ import annotations

import hashlib
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fieldmark.core import train as training
from fieldmark.core.jobs.model_folder import PREDICTIONS, read_model_file
from fieldmark.core.registry import load_registry
from fieldmark.core.train import TrainRequest, train
from fieldmark.storage import annotations, images, runs
from fieldmark.storage.annotations import Statement
from fieldmark.storage.database import now
from fieldmark.storage.images import Content
from fieldmark.storage.predictions import predictions_of_run
from fieldmark.storage.projects import Project, create_project
from fieldmark.storage.workspace import Workspace


@pytest.fixture
def project(workspace: Workspace) -> Project:
    """Ten red and ten blue pictures, two of them damaged since they were uploaded."""
    project = create_project(workspace.database, "p", "embedded")
    rng = np.random.default_rng(0)
    names, shas = [], []
    for number in range(20):
        pixels = rng.integers(0, 90, (32, 32, 3), dtype=np.uint8)
        pixels[..., 0 if number < 10 else 2] += 150
        path = workspace.root / "picture.png"
        Image.fromarray(pixels).save(path)
        content = path.read_bytes()
        shas.append(hashlib.sha256(content).hexdigest())
        names.append(f"{'red' if number < 10 else 'blue'}/{number:02}.png")
        target = workspace.image_path(shas[-1])
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(b"gone" if number in (3, 12) else content)

    def add(cursor):
        images.add_contents(cursor, [Content(sha, 1, "PNG", 32, 32, 1, 1, "RGB", None, ()) for sha in shas])
        added = images.add_images(cursor, project.id, list(zip(names, shas, strict=True)), "me")
        statements = [Statement(image_id, (name.split("/")[0],)) for image_id, name in added]
        annotations.apply_statements(cursor, project.id, statements, "human", "me")

    workspace.database.write(add)
    return project


def test_what_was_predicted_is_taken_in_block_by_block_and_what_was_left_out_is_said(
    workspace: Workspace, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "STORED_AT_ONCE", 7)
    synced: set[int] = set()
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.add(os.fstat(handle).st_ino), fsync(handle))[1])
    model, _ = train(workspace, load_registry(), project, TrainRequest("single-label", minutes=0.05))

    folder = workspace.model_folder(model.id)
    assert workspace.models.stat().st_ino in synced
    (note,) = [note for note in model.notes if "could not be read" in note]
    assert note.startswith(
        "2 images could not be read and were left out: red/03.png (the image is in none of"
    )
    failures = read_model_file(folder).failures
    assert [failure["name"] for failure in failures] == ["red/03.png", "blue/12.png"]

    table = pq.read_table(folder / PREDICTIONS)
    assert table.schema.field("scores").type == pa.list_(pa.float32(), 2)
    stored = list(predictions_of_run(workspace.database, model.run_id))
    assert len(stored) == table.num_rows == 36
    for row, said in zip(table.to_pylist(), stored, strict=True):
        assert (said.checkpoint, list(said.logits)) == (row["checkpoint"], row["logits"])
        assert list(said.scores) == row["scores"] and abs(sum(said.scores) - 1) < 1e-5
        assert said.predicted == (model.labels[int(np.argmax(row["scores"]))],)
        assert said.truth == (said.image_name.split("/")[0],)
        assert said.split in ("train", "validation")
    assert {said.image_name for said in stored}.isdisjoint({"red/03.png", "blue/12.png"})
    assert runs.running(workspace.database) == [] and not workspace.run_folder(model.run_id).exists()

    dataset = pa.table(
        {
            "image_id": range(20),
            "name": ["a"] * 20,
            "sha256": ["b"] * 20,
            "split": ["train"] * 20,
            "labels": [[0]] * 20,
        }
    )
    run = runs.Run(model.run_id, project.id, "train", model.name, model.id, "running", None, now(), None)
    blocks = training._predictions(run, read_model_file(folder), folder / PREDICTIONS, dataset)
    assert [len(block) for block in blocks] == [7, 7, 7, 7, 7, 1]
