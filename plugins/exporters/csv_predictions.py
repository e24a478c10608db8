"""Predictions as CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable
from typing import BinaryIO, Literal

from pydantic import Field

from fieldmark import (
    ExportContext,
    Exporter,
    LabelledImage,
    Options,
    PluginError,
    PredictedImage,
    hookimpl,
)

_OWN_COLUMNS = ("image", "predicted", "score")
_PREFIX = "label:"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "'")


class CsvOptions(Options):
    """How cells are written."""

    formulas: Literal["escape", "keep"] = Field(
        default="escape",
        description="Put an apostrophe before text that a spreadsheet would run as a formula, or keep it as it is",
    )


class CsvPredictions(Exporter[CsvOptions]):
    """A header and one row for each image: `image,predicted,score`, then one column for each label.

    UTF-8, commas, CRLF, cells quoted where needed. Every text can be read back exactly:

    - `predicted` holds the labels joined by `|`, highest first as the model gave them. If one of them holds
      a `|`, begins with `[` or is empty, the cell is a JSON list instead.
    - `score` is the highest score of all labels; the label columns hold each label's own.
    - The column of a label that is called like one of the first three, or begins with `label:`, is headed
      `label:` and the label.
    - A text cell that begins with `=`, `+`, `-`, `@`, a tab, a line break or an apostrophe gets one more
      apostrophe in front, because spreadsheets run the others as formulas; `formulas=keep` leaves them.
    """

    name = "csv"
    summary = "Predictions as a table: image, predicted labels, highest score, one column for each label"
    exports = "predictions"
    suffix = ".csv"
    media_type = "text/csv"

    def loses(self, context: ExportContext) -> list[str]:
        """Say what the table has no column for, and which names are written differently."""
        sentences = ["The name of the model and its checkpoint are not in the file."]
        escaped = [label for label in context.labels if label.startswith(_FORMULA_STARTS)]
        if escaped and self.options.formulas == "escape":
            sentences.append(
                "An apostrophe is put before text that a spreadsheet would run as a formula, such as the label"
                f" '{escaped[0]}'; formulas=keep leaves it out."
            )
        renamed = [label for label in context.labels if _heading(label) != label]
        if renamed:
            sentences.append(f"The column of the label '{renamed[0]}' is headed '{_heading(renamed[0])}'.")
        return sentences

    def write(
        self,
        records: Iterable[LabelledImage] | Iterable[PredictedImage],
        context: ExportContext,
        target: BinaryIO,
    ) -> None:
        """Write each row as it comes; raises `PluginError` naming an image whose scores aren't numbers."""
        line = io.StringIO(newline="")
        table = csv.writer(line)

        def emit(*cells: str | float) -> None:
            table.writerow(cells)
            target.write(line.getvalue().encode("utf-8", "backslashreplace"))
            line.seek(0)
            line.truncate()

        emit(*_OWN_COLUMNS, *(self._text(_heading(label)) for label in context.labels))
        for record in records:
            if isinstance(record, PredictedImage):
                scores = [_number(record, label) for label in context.labels]
                emit(
                    self._text(record.image),
                    self._text(_joined(record.predicted)),
                    max(scores, default=""),
                    *scores,
                )

    def _text(self, text: str) -> str:
        return f"'{text}" if self.options.formulas == "escape" and text.startswith(_FORMULA_STARTS) else text


def _heading(label: str) -> str:
    return _PREFIX + label if label.casefold() in _OWN_COLUMNS or label.startswith(_PREFIX) else label


def _joined(labels: tuple[str, ...]) -> str:
    if any("|" in label or label.startswith("[") or not label for label in labels):
        return json.dumps(labels, ensure_ascii=False)
    return "|".join(labels)


def _number(record: PredictedImage, label: str) -> float:
    score = float(record.scores.get(label, math.nan))
    if not math.isfinite(score):
        raise PluginError(
            f"The model gives image '{record.image}' no number for label '{label}': train the model again."
        )
    return score


@hookimpl
def register_exporters() -> list[type[CsvPredictions]]:
    """Offer the exporter `csv`."""
    return [CsvPredictions]
