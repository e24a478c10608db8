"""What is known about a trained model: figures, curves, counts."""

from __future__ import annotations

import json
from typing import Any

from fieldmark.core.contracts.terms import SPLITS, CheckpointName
from fieldmark.storage import models
from fieldmark.storage.models import Model
from fieldmark.storage.workspace import Workspace


def statistics(workspace: Workspace, model: Model, checkpoint: CheckpointName) -> dict[str, Any]:
    """Return everything stored about one checkpoint as plain data: `training`, `validation` and `test` hold the
    evaluation reports; times in seconds."""
    db = workspace.database
    reports = {
        split: json.loads(text) for split, text in models.evaluations(db, model.id, checkpoint).items()
    }
    return {
        "model": model.name,
        "task": model.task,
        "checkpoint": checkpoint,
        "labels": list(model.labels),
        "trainer": {"name": model.trainer, "options": dict(model.trainer_options)},
        "backbone": {"name": model.backbone, "options": dict(model.backbone_options)},
        "seconds": round(model.train_seconds, 3),
        "embed_seconds": round(model.embed_seconds, 3),
        "ended": model.ended,
        "saved": {
            point.name: {"step": point.step, "seconds": round(point.seconds, 3)}
            for point in models.checkpoints(db, model.id)
        },
        **{("training" if split == "train" else split): reports.get(split) for split in SPLITS},
        "curve": [
            {
                "step": point.step,
                "seconds": round(point.seconds, 3),
                "split": point.split,
                "accuracy": point.accuracy,
                "cross_entropy": point.cross_entropy,
            }
            for point in models.curve(db, model.id)
        ],
        "thresholds": models.thresholds(db, model.id, checkpoint),
        "notes": list(model.notes),
    }
