"""What the worker does for predictions: embed the images, score them with one checkpoint."""

from __future__ import annotations

from pathlib import Path

from fieldmark.core.embedding import EmbedItem
from fieldmark.core.jobs.features import features
from fieldmark.core.jobs.files import DATASET, FAILURES, SCORES, PredictJob, Step
from fieldmark.core.jobs.model_folder import read_model_file, restore_checkpoint
from fieldmark.core.learning.scores import scores
from fieldmark.core.registry import load_registry
from fieldmark.core.worker import Work


def run_prediction(job: PredictJob, work: Work, result: Path) -> None:
    """Score every image of the dataset; unreadable ones are listed in `failures.parquet`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    work.tell(Step(stage="start"))
    registry = load_registry()
    model = read_model_file(job.model)
    classifier = restore_checkpoint(registry, job.model, model, job.checkpoint)
    dataset = pq.read_table(work.folder / DATASET)
    items = [
        EmbedItem(sha, Path(path))
        for sha, path in zip(dataset["sha256"].to_pylist(), dataset["path"].to_pylist(), strict=True)
    ]
    embedded = features(
        registry,
        model.backbone,
        model.backbone_options,
        items,
        job.embeddings,
        work,
        offline=job.offline,
        stage="predict",
        expected=model.fingerprint,
    )
    rows = [index for index, found in enumerate(embedded.found) if found]
    logits = classifier.logits(embedded.matrix)
    work.tell(Step(stage="save"))
    table = pa.table(
        {
            "row": pa.array(rows, type=pa.int64()),
            "logits": pa.array(list(logits), type=pa.list_(pa.float32())),
            "scores": pa.array(list(scores(model.task, logits)), type=pa.list_(pa.float32())),
        }
    )
    pq.write_table(table, result / SCORES)
    failures = {
        "row": pa.array([index for index, _ in embedded.failures], type=pa.int64()),
        "reason": pa.array([reason for _, reason in embedded.failures], type=pa.string()),
    }
    pq.write_table(pa.table(failures), result / FAILURES)
