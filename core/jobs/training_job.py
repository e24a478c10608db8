"""What the worker does for a training: embed, fit, evaluate, and leave a model folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fieldmark.core.contracts.terms import SPLITS, Split, Task
from fieldmark.core.contracts.trainer import Classifier, Examples, TrainingSet
from fieldmark.core.embedding import EmbedItem
from fieldmark.core.jobs.features import Features, Known, features
from fieldmark.core.jobs.files import DATASET, ModelFile, Step, TrainJob
from fieldmark.core.jobs.model_folder import MODEL_FILE, PREDICTIONS
from fieldmark.core.learning.evaluation import evaluate
from fieldmark.core.learning.scores import scores
from fieldmark.core.learning.training import Trained, TrainingProgress, train
from fieldmark.core.registry import Registry, load_registry
from fieldmark.core.worker import Work
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.files import replacing

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

PRETRAINED = "timm:mobilenetv2_100"
SCORED_AT_ONCE = 8192


class _Dataset:
    """The rows of `dataset.parquet` as arrays."""

    def __init__(self, path: Path, labels: int) -> None:
        import numpy as np
        import pyarrow.parquet as pq

        table = pq.read_table(path)
        self.image_ids: list[int] = table["image_id"].to_pylist()
        self.names: list[str] = table["name"].to_pylist()
        self.sha256s: list[str] = table["sha256"].to_pylist()
        self.splits: NDArray[np.str_] = np.array(table["split"].to_pylist(), dtype=str)
        self.groups: NDArray[np.int64] = table["group"].to_numpy().astype(np.int64)
        self.targets: NDArray[np.uint8] = np.zeros((len(self.names), labels), dtype=np.uint8)
        for row, positions in enumerate(table["labels"].to_pylist()):
            self.targets[row, positions] = 1

    def rows(self, split: Split, usable: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the numbers of the usable rows of one split."""
        import numpy as np

        return np.flatnonzero((self.splits == split) & usable)


def run_training(job: TrainJob, work: Work, result: Path) -> None:
    """Do one training and write its model folder; raises `FieldmarkError` for what a person can mend."""
    import numpy as np
    import sklearn.metrics  # noqa: F401 - two seconds that belong to the worker's start, not to the evaluation

    work.tell(Step(stage="start"))
    registry = load_registry()
    trainer = registry.trainer(job.trainer, job.trainer_options)
    if trainer.wants != "embeddings":
        raise FieldmarkError(
            f"the trainer {job.trainer!r} learns from images; this version trains on embeddings only"
        )
    data = _Dataset(work.folder / DATASET, len(job.labels))
    gathered = features(
        registry,
        job.backbone,
        job.backbone_options,
        [EmbedItem(sha, job.images / sha[:2] / sha) for sha in data.sha256s],
        job.embeddings,
        work,
        offline=job.offline,
    )
    embed_seconds = work.seconds() - gathered.start_seconds
    usable = gathered.found
    matrix = np.zeros((len(usable), gathered.backbone.dim), dtype=np.float32)
    matrix[usable] = gathered.matrix
    failures = [{"name": data.names[index], "reason": reason} for index, reason in gathered.failures]
    if not usable.any():
        first = f"; the first is {failures[0]['name']}: {failures[0]['reason']}" if failures else ""
        raise FieldmarkError(f"none of the {len(usable)} images could be read{first}")
    rows = {split: data.rows(split, usable) for split in SPLITS}
    _check_labels(job.labels, data.targets[rows["train"]])
    trained = train(
        trainer,
        TrainingSet(
            task=job.task,
            labels=tuple(job.labels),
            train=_examples(matrix, data, rows["train"]),
            validation=_examples(matrix, data, rows["validation"]),
            seconds=job.seconds,
            seed=job.seed,
        ),
        report=lambda progress: work.tell(_step(progress)),
        cancelled=work.cancelled,
    )
    work.tell(Step(stage="evaluate"))
    logits = {
        "best": _logits(trained.best.classifier, matrix),
        "last": _logits(trained.last.classifier, matrix),
    }
    evaluations: dict[str, dict[str, Any]] = {
        name: {
            split: evaluate(job.task, tuple(job.labels), data.targets[chosen], values[chosen]).model_dump()
            for split, chosen in rows.items()
        }
        for name, values in logits.items()
    }
    work.tell(Step(stage="save"))
    _write_predictions(result / PREDICTIONS, job.task, usable, logits)
    for point in (trained.best, trained.last):
        folder = result / point.name
        folder.mkdir()
        point.classifier.save(folder)
    model = _model_file(job, registry, gathered, trained, evaluations, failures, _hashes(result))
    model = model.model_copy(update={"embed_seconds": embed_seconds})
    with replacing(result / MODEL_FILE) as file:
        file.write(model.model_dump_json(indent=2).encode())


def _check_labels(labels: Sequence[str], targets: NDArray[np.uint8]) -> None:
    empty = [label for label, count in zip(labels, targets.sum(axis=0), strict=True) if count == 0]
    if empty:
        raise FieldmarkError(
            f"no readable training image carries {', '.join(map(repr, empty))}: label more images, or leave that label out"
        )


def _examples(matrix: NDArray[np.float32], data: _Dataset, rows: NDArray[np.int64]) -> Examples:
    return Examples(matrix[rows], data.targets[rows], data.groups[rows])


def _logits(classifier: Classifier, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    import numpy as np

    blocks = [
        classifier.logits(matrix[begin : begin + SCORED_AT_ONCE])
        for begin in range(0, len(matrix), SCORED_AT_ONCE)
    ]
    return np.concatenate(blocks)


def _step(progress: TrainingProgress) -> Step:
    point = progress.point
    return Step(
        stage="train",
        done=progress.step,
        total=progress.steps,
        message=progress.message,
        train_accuracy=point.train.accuracy if point else None,
        train_cross_entropy=point.train.cross_entropy if point else None,
        validation_accuracy=point.validation.accuracy if point and point.validation else None,
        validation_cross_entropy=point.validation.cross_entropy if point and point.validation else None,
    )


def _write_predictions(
    path: Path, task: Task, usable: NDArray[np.bool_], logits: dict[str, NDArray[np.float32]]
) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = np.flatnonzero(usable)
    numbers = pa.list_(pa.float32(), next(iter(logits.values())).shape[1])
    schema = pa.schema({"checkpoint": pa.string(), "row": pa.int64(), "logits": numbers, "scores": numbers})
    with replacing(path) as file, pq.ParquetWriter(file, schema) as writer:
        for name, values in logits.items():
            for begin in range(0, len(rows), SCORED_AT_ONCE):
                chosen = rows[begin : begin + SCORED_AT_ONCE]
                said = values[chosen]
                columns = [
                    pa.array([name] * len(chosen)),
                    pa.array(chosen, type=pa.int64()),
                    _fixed_lists(said, numbers),
                    _fixed_lists(scores(task, said), numbers),
                ]
                writer.write_table(pa.table(columns, schema=schema))


def _fixed_lists(values: NDArray[np.floating], kind: pa.DataType) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    return pa.FixedSizeListArray.from_arrays(pa.array(values.astype(np.float32).ravel()), type=kind)


def _hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != PREDICTIONS
    }


def _advice(backbone: Known, name: str) -> list[str]:
    if backbone.pretrained:
        return []
    sentence = (
        f"The backbone {name} sees colour, texture and simple shape; on photographs of objects a pretrained network "
        f"is usually better. Choose {PRETRAINED} (fetched once, about 14 MB), or give a .safetensors file you "
        "already have as its weights, which needs no network."
    )
    return [sentence]


def _left_out(failures: Sequence[dict[str, str]]) -> list[str]:
    if not failures:
        return []
    one = len(failures) == 1
    many = (
        "1 image could not be read and was" if one else f"{len(failures)} images could not be read and were"
    )
    name, reason = failures[0]["name"], failures[0]["reason"].rstrip(".")
    return [f"{many} left out: {name} ({reason[:1].lower()}{reason[1:]})"]


def _model_file(
    job: TrainJob,
    registry: Registry,
    gathered: Features,
    trained: Trained,
    evaluations: dict[str, Any],
    failures: list[dict[str, str]],
    sha256: dict[str, str],
) -> ModelFile:
    trainer = registry.find("trainer", job.trainer)
    family = registry.find("backbone", job.backbone.split(":")[0])
    return ModelFile.model_validate(
        {
            "task": job.task,
            "labels": job.labels,
            "trainer": job.trainer,
            "trainer_options": job.trainer_options,
            "trainer_distribution": trainer.distribution,
            "trainer_version": trainer.version,
            "backbone": job.backbone,
            "backbone_options": gathered.backbone.options,
            "backbone_distribution": family.distribution,
            "fingerprint": gathered.backbone.fingerprint,
            "dim": gathered.backbone.dim,
            "thresholds": {"best": {}, "last": {}},
            "checkpoints": {
                p.name: {"step": p.step, "seconds": p.seconds} for p in (trained.best, trained.last)
            },
            "curve": [point.model_dump() for point in trained.curve],
            "evaluations": evaluations,
            "start_seconds": gathered.start_seconds,
            "embed_seconds": 0.0,
            "embedded": gathered.computed,
            "train_seconds": trained.seconds,
            "ended": trained.ended,
            "notes": [
                *gathered.backbone.notices,
                *_advice(gathered.backbone, job.backbone),
                *_left_out(failures),
                *trained.notes,
            ],
            "failures": failures,
            "sha256": sha256,
        }
    )
