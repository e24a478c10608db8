"""Predictions as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import BinaryIO

from fieldmark import (
    ExportContext,
    Exporter,
    LabelledImage,
    Options,
    PluginError,
    PredictedImage,
    hookimpl,
)


class JsonPredictions(Exporter[Options]):
    """A JSON array, UTF-8, with one record on each line.

    A record is `{"image": name, "predicted": [label, ...], "scores": {label: 0..1, ...}, "model": name,
    "checkpoint": "best" | "last"}`; `predicted` is empty when no label reached its threshold.
    """

    name = "json"
    summary = "Predictions as a JSON array: image, predicted labels, every score"
    exports = "predictions"
    suffix = ".json"
    media_type = "application/json"

    def write(
        self,
        records: Iterable[LabelledImage] | Iterable[PredictedImage],
        context: ExportContext,
        target: BinaryIO,
    ) -> None:
        """Write each record as it comes; raises `PluginError` naming an image whose scores aren't numbers."""
        target.write(b"[")
        separator = b"\n"
        for record in records:
            if isinstance(record, PredictedImage):
                target.write(separator + _line(record, context))
                separator = b",\n"
        target.write(b"\n]\n")


def _line(record: PredictedImage, context: ExportContext) -> bytes:
    content = {
        "image": record.image,
        "predicted": list(record.predicted),
        "scores": {label: float(score) for label, score in record.scores.items()},
        "model": context.model,
        "checkpoint": context.checkpoint,
    }
    try:
        return json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:  # half a surrogate pair, which UTF-8 can't hold, goes out as \ud800
        return json.dumps(content, allow_nan=False).encode()
    except ValueError:
        raise PluginError(
            f"The model gives image '{record.image}' a score that is not a number: train the model again."
        ) from None


@hookimpl
def register_exporters() -> list[type[JsonPredictions]]:
    """Offer the exporter `json`."""
    return [JsonPredictions]
