"""The rules that `fieldmark.testing` holds an importer to."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, cast

from fieldmark.core.checks.contract_rules import MemorySource, Rule, Sample, expect
from fieldmark.core.contracts.importer import Description, Example, Importer, Skipped
from fieldmark.core.contracts.plugin import PluginError
from fieldmark.core.contracts.source import IMAGE_SUFFIXES


def _source(sample: Sample) -> MemorySource:
    expect(bool(sample.files), "give contract() sample files: contract(Yours, files={'labels.csv': b'...'})")
    return MemorySource(sample.files)


def recognises_its_sample(sample: Sample) -> None:
    """`recognises` returns 0 to 1, and above 0 for the sample."""
    confidence = cast("type[Importer[Any]]", sample.plugin).recognises(_source(sample))
    expect(
        0 < confidence <= 1, f"recognises must be above 0 and at most 1 for the sample, not {confidence!r}"
    )


def describes_what_it_reads(sample: Sample) -> None:
    """`describe` counts the images and labels that `read` yields, and neither opens an image."""
    importer: Importer[Any] = sample.make()
    source = _source(sample)
    description = importer.describe(source)
    labels: dict[str, set[str]] = {}
    for item in importer.read(source):
        if isinstance(item, Example):
            labels.setdefault(item.image, set()).update(item.labels)
    expect(bool(labels), "read yields no example from the sample")
    expect(
        description.images == len(labels),
        f"describe counts {description.images} images, but read yields {len(labels)} different ones",
    )
    counts = dict(Counter(label for of_image in labels.values() for label in of_image))
    described = {label: count for label, count in description.labels.items() if count}
    expect(described == counts, f"describe counts {described}, but read yields {counts}")
    images = [name for name in source.opened if "." + name.rpartition(".")[2].lower() in IMAGE_SUFFIXES]
    expect(not images, f"an importer never opens an image, but it opened {images[:3]}")


def reads_lazily(sample: Sample) -> None:
    """`read` returns an iterator, and reading twice gives the same."""
    importer: Importer[Any] = sample.make()
    source = _source(sample)
    items = importer.read(source)
    expect(isinstance(items, Iterator), f"read must return an iterator, not {type(items).__name__}")
    expect(list(items) == list(importer.read(source)), "reading twice gives different examples")


def survives_garbage(sample: Sample) -> None:
    """Damaged files give examples, `Skipped` or `PluginError`, never another exception."""
    for name, garbage in _damaged(sample.files):
        source = MemorySource(garbage)
        try:
            confidence = cast("type[Importer[Any]]", sample.plugin).recognises(source)
            expect(0 <= confidence <= 1, f"recognises returned {confidence!r} for {name}")
            importer: Importer[Any] = sample.make()
            with contextlib.suppress(PluginError):
                expect(
                    isinstance(importer.describe(source), Description),
                    f"describe returned no Description for {name}",
                )
            with contextlib.suppress(PluginError):
                for item in importer.read(source):
                    expect(isinstance(item, Example | Skipped), f"read yielded {item!r:.80} for {name}")
        except AssertionError:
            raise
        except Exception as error:
            raise AssertionError(f"{name} raised {type(error).__name__}: {error}") from error


def _damaged(files: Mapping[str, bytes]) -> Iterator[tuple[str, dict[str, bytes]]]:
    yield "no file at all", {}
    for damage, content in {
        "an empty file": b"",
        "zero bytes": b"\0" * 5000,
        "bytes that are no text": bytes(range(256)) * 20,
        "one endless line": b"x," * 200_000,
        "deep nesting": b"[" * 100_000,
        "a page of HTML": b"<!doctype html><html><body>Sign in</body></html>",
        "half a UTF-16 file": b"\xff\xfea\0b",
        "an open quote": b'image,label\n"a.jpg,cat\n',
    }.items():
        yield damage, dict.fromkeys(files, content)
    for cut in (1, 3, 7):
        yield f"files cut to {cut}/8", {name: data[: len(data) * cut // 8] for name, data in files.items()}
    yield (
        "files with flipped bytes",
        {
            name: bytes(byte ^ 0x55 if at % 37 == 5 else byte for at, byte in enumerate(data))
            for name, data in files.items()
        },
    )


IMPORTER_RULES: tuple[Rule, ...] = (
    recognises_its_sample,
    describes_what_it_reads,
    reads_lazily,
    survives_garbage,
)
