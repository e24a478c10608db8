"""Workspaces of a size, made in seconds: a few hundred drawn images that are real, and rows for the rest.

Real, made as the app makes them: the first 300 images (JPEG, 300 x 300, drawn here, ten labels) with their originals
and thumbnails, and one model trained on them with its curves and predictions. They have the lowest ids, so they are
what a page shows first. Synthetic beyond them, but written by the app's own functions through its schema: pictures
with made-up hashes and no files, four of five of them labelled, with the history of it, an embedding of random numbers
each, and what the model is said to have predicted for each labelled one. The model's evaluation stays that of its 300.
"""

from __future__ import annotations

import hashlib
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from fieldmark.core.learning.scores import scores
from fieldmark.core.projects import create_project
from fieldmark.core.registry import Registry, load_registry
from fieldmark.core.train import TrainRequest, train
from fieldmark.core.upload import UploadWishes, upload
from fieldmark.storage import models
from fieldmark.storage.annotations import Statement, apply_statements
from fieldmark.storage.database import Cursor
from fieldmark.storage.embeddings import EmbeddingCache
from fieldmark.storage.images import Content, add_contents, add_images
from fieldmark.storage.models import Model
from fieldmark.storage.predictions import Prediction, add_predictions
from fieldmark.storage.projects import Project
from fieldmark.storage.workspace import Workspace, create_workspace, open_workspace

PROJECT, MODEL = "Shapes", "shapes-1"
REAL = 300
LABELS = tuple(
    f"{colour}-{shape}" for shape in ("disc", "box") for colour in ("red", "green", "blue", "grey", "gold")
)
_SIDE = 300
_BLOCK = 5000
_WORDS = 4
"""64-bit words of a perceptual hash."""


def draw(folder: Path, count: int) -> Path:
    """Draw `count` different images into a folder for each label."""
    chance = np.random.default_rng(7)
    for number in range(count):
        label = LABELS[number % len(LABELS)]
        colour, shape = label.split("-")
        noise = chance.integers(150, 255, (_SIDE // 4, _SIDE // 4, 3), dtype=np.uint8)
        image = Image.fromarray(noise).resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
        left, top, size = (int(value) for value in chance.integers((20, 20, 60), (120, 120, 160)))
        pen = ImageDraw.Draw(image)
        box = (left, top, left + size, top + size)
        (pen.ellipse if shape == "disc" else pen.rectangle)(box, fill=colour)
        target = folder / label / f"{label}-{number:06}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        image.save(target, quality=85)
    return folder


def real_workspace(root: Path, images: int, *, trained: bool) -> Path:
    """Make a workspace whose images are all real, each uploaded with its label."""
    workspace, registry = create_workspace(root), load_registry()
    try:
        project = create_project(workspace, PROJECT)
        photos = draw(root.with_name(f"{root.name}-drawn"), images)
        report = upload(workspace, registry, project, [photos], UploadWishes(labels_from_folder=True))
        shutil.rmtree(photos)
        assert report.stored == images, report
        if trained:
            _train(workspace, registry, project)
    finally:
        workspace.close()
    return root


def _train(workspace: Workspace, registry: Registry, project: Project) -> None:
    train(workspace, registry, project, TrainRequest(task="single-label", name=MODEL, offline=True))


def sized_workspace(base: Path, root: Path, images: int) -> Path:
    """Copy the workspace of `REAL` images and take away from it, or add synthetic images, until it holds `images`."""
    shutil.copytree(base, root)
    workspace = open_workspace(root)
    try:
        [model] = models.models(workspace.database)
        if images < REAL:
            _take_away(workspace, images)
        for begin in range(REAL, images, _BLOCK):
            _add(workspace, model, range(begin, min(images, begin + _BLOCK)))
        workspace.database.rows("checkpoint")
    finally:
        workspace.close()
    return root


def _take_away(workspace: Workspace, images: int) -> None:
    """Leave so many images, each of another label; the model stays."""

    def remove(cursor: Cursor) -> None:
        kept = cursor.execute(
            "select min(id) as first from image group by default_label_id order by first limit ?", [images]
        ).fetchall()
        for table, column in (("annotation", "image_id"), ("image_event", "image_id"), ("image", "id")):
            cursor.execute(
                f"delete from {table} where {column} not in (select unnest(?))", [[row[0] for row in kept]]
            ).fetchall()

    workspace.database.write(remove)


def _add(workspace: Workspace, model: Model, numbers: range) -> None:
    chance = random.Random(numbers.start)
    sha256s = [hashlib.sha256(f"synthetic {number}".encode()).hexdigest() for number in numbers]
    contents = [
        Content(sha, 9000, "JPEG", _SIDE, _SIDE, 1, 1, "RGB", f"{chance.getrandbits(64 * _WORDS):064x}", ())
        for sha in sha256s
    ]
    names = [f"synthetic/{number % 100:02}/image-{number:06}.jpg" for number in numbers]

    def record(cursor: Cursor) -> None:
        add_contents(cursor, contents)
        added = add_images(cursor, model.project_id, list(zip(names, sha256s, strict=True)), "local")
        labelled = [
            (image_id, name, sha, LABELS[number % len(LABELS)])
            for number, sha, (image_id, name) in zip(numbers, sha256s, added, strict=True)
            if number % 5
        ]
        statements = [Statement(image_id, (label,)) for image_id, _, _, label in labelled]
        apply_statements(cursor, model.project_id, statements, "human", "local")
        add_predictions(cursor, list(_predictions(model, labelled, chance)))

    workspace.database.write(record)
    known = next(workspace.embedding_folder(model.fingerprint).glob("*.parquet"))
    length = _length_of_vectors(known)
    vectors = np.random.default_rng(numbers.start).random((len(sha256s), length), dtype=np.float32)
    EmbeddingCache(workspace.embedding_folder(model.fingerprint)).append(sha256s, vectors)


def _predictions(
    model: Model, labelled: list[tuple[int, str, str, str]], chance: random.Random
) -> Iterator[Prediction]:
    """Yield what both checkpoints say of each image: its label, and a wrong one for every tenth."""
    for place, (image_id, name, sha, label) in enumerate(labelled):
        said = model.labels.index(label) if place % 10 else chance.randrange(len(model.labels))
        logits = np.array([[chance.gauss(0, 1) for _ in model.labels]], dtype=np.float32)
        logits[0, said] += 6
        for checkpoint in ("best", "last"):
            yield Prediction(
                model.run_id, model.id, checkpoint, image_id, name, sha,
                "validation" if place % 5 == 0 else "train", (label,), (model.labels[said],),
                tuple(logits[0].tolist()), tuple(scores("single-label", logits)[0].tolist()),
            )  # fmt: skip


def _length_of_vectors(file: Path) -> int:
    import pyarrow.parquet as pq

    length: int = pq.read_schema(file).field("vector").type.list_size
    return length
