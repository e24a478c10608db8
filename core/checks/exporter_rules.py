"""The rules that `fieldmark.testing` holds an exporter to."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from fieldmark.core.checks.contract_rules import Rule, Sample, expect
from fieldmark.core.contracts.exporter import ExportContext, Exporter, LabelledImage, PredictedImage

NAMES = (
    "a.jpg",
    "deep/er/a.jpg",
    "../up.png",
    "C:\\x.png",
    "=1+1.jpg",
    "naïve 🐦.jpg",
    "q\"u,o;t'e\n.jpg",
    "x" * 300,
)
LABELS = (
    "cat",
    "../x",
    "a/b",
    "CON",
    "=1+1",
    "Cat",
    "a|b,c",
    "<script>",
    "🐦 ",
    "l" * 300,
    'q"\n',
    "_none",
    "image",
)


def _records(exporter: Exporter[Any], names: Iterable[str]) -> Iterator[Any]:
    for number, name in enumerate(names):
        label = LABELS[number % len(LABELS)]
        chosen = () if number % 4 == 3 else (label, "cat") if label != "cat" else (label,)
        opens = partial(io.BytesIO, name.encode())
        if exporter.exports == "labels":
            yield LabelledImage(name, chosen, "labelled" if chosen else "none-of-these", None, opens)
        else:
            yield PredictedImage(
                name, chosen, {known: 0.9 if known in chosen else 0.1 for known in LABELS}, opens
            )


def _context(images: int) -> ExportContext:
    return ExportContext("project", LABELS, images, model="model-1", checkpoint="best")


def writes_any_name(sample: Sample) -> None:
    """Names and labels that are paths, formulas, markup or very long are written without an exception."""
    exporter: Exporter[Any] = sample.make()
    target = io.BytesIO()
    exporter.write(_records(exporter, NAMES), _context(len(NAMES)), target)
    expect(not target.closed, "write must leave the target open")
    expect(bool(target.getvalue()), "write wrote nothing")


def writes_no_images(sample: Sample) -> None:
    """Without any record there is still a file that is not empty."""
    exporter: Exporter[Any] = sample.make()
    target = io.BytesIO()
    exporter.write(iter(()), _context(0), target)
    expect(bool(target.getvalue()), "write wrote nothing")


def writes_as_records_come(sample: Sample) -> None:
    """`write` doesn't hold the records back until the last one."""
    exporter: Exporter[Any] = sample.make()
    target = io.BytesIO()
    sizes: list[int] = []

    def names() -> Iterator[str]:
        for number in range(3000):
            sizes.append(len(target.getvalue()) if number in (0, 2999) else 0)
            yield f"image-{number}.jpg"

    exporter.write(_records(exporter, names()), _context(3000), target)
    expect(len(sizes) == 3000, f"write used {len(sizes)} of 3000 records")
    expect(sizes[-1] > sizes[0], "write holds all records in memory before it writes")


def says_what_it_loses(sample: Sample) -> None:
    """`loses` returns a list of sentences."""
    sentences = sample.make().loses(_context(3))
    good = isinstance(sentences, list) and all(isinstance(it, str) and it.strip() for it in sentences)
    expect(good, f"loses must return a list of sentences, not {sentences!r:.80}")


EXPORTER_RULES: tuple[Rule, ...] = (
    writes_any_name,
    writes_no_images,
    writes_as_records_come,
    says_what_it_loses,
)
