"""A model folder: read back, its files checked against their hashes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import ValidationError

from fieldmark.core.contracts.terms import CheckpointName
from fieldmark.core.contracts.trainer import Classifier
from fieldmark.core.jobs.files import ModelFile
from fieldmark.core.registry import Registry
from fieldmark.storage.errors import FieldmarkError

MODEL_FILE = "model.json"
PREDICTIONS = "predictions.parquet"
"""What both checkpoints said of every image of the training: row of the dataset, checkpoint, logits, scores."""


def read_model_file(folder: Path) -> ModelFile:
    """Return `model.json`; raises `FieldmarkError` when it is missing, damaged or of a newer format."""
    path = folder / MODEL_FILE
    try:
        return ModelFile.model_validate_json(path.read_text("utf-8"))
    except (OSError, ValueError, ValidationError) as error:
        raise FieldmarkError(
            f"the model in {folder} can't be used: its {MODEL_FILE} is missing, damaged or of a newer version"
        ) from error


def restore_checkpoint(
    registry: Registry, folder: Path, model: ModelFile, checkpoint: CheckpointName
) -> Classifier:
    """Return the classifier of one checkpoint; raises `FieldmarkError` when a file isn't what was saved."""
    for name, expected in model.sha256.items():
        if not name.startswith(f"{checkpoint}/"):
            continue
        path = folder / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            raise FieldmarkError(
                f"the model file {path} is not what was saved: restore a backup, or train the model again"
            )
    trainer = registry.find("trainer", model.trainer, distribution=model.trainer_distribution)
    return trainer.cls.restore(folder / checkpoint)  # type: ignore[attr-defined, no-any-return]
