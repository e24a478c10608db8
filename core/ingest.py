"""Labels come in: an importer reads a file, each reference is matched to an image, all is written at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fieldmark.core.contracts.importer import Example, Importer, Skipped
from fieldmark.core.contracts.source import Source
from fieldmark.core.matching import Found, ImageMatcher, Unmatched
from fieldmark.core.registry import Registry
from fieldmark.core.sources.opening import open_source
from fieldmark.storage import images
from fieldmark.storage.annotations import Statement, apply_statements
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.labels import check_label
from fieldmark.storage.projects import Project
from fieldmark.storage.workspace import Workspace

UNSURE = 0.5
LISTED = 1000


@dataclass(slots=True)
class LabelReport:
    """What became of every row: rows = matched + unmatched + ambiguous + skipped."""

    format: str
    rows: int = 0
    matched: int = 0
    unmatched: int = 0
    ambiguous: int = 0
    skipped: int = 0
    images: int = 0
    """Images whose labels, state or split changed."""
    annotations: int = 0
    """Labels that were new on their image."""
    splits: dict[str, int] = field(default_factory=dict)
    """Rows for each split that the file names."""
    splits_used: bool = False
    listed: list[dict[str, str]] = field(default_factory=list)
    """The first thousand references that could not be used, with the reason."""
    notes: list[str] = field(default_factory=list)


def import_labels(
    workspace: Workspace,
    registry: Registry,
    project: Project,
    path: Path,
    *,
    format_name: str | None = None,
    options: Sequence[str] | dict[str, Any] = (),
    use_split: bool = False,
    dry_run: bool = False,
    author: str = "local",
    progress: Callable[[int], None] = lambda rows: None,
) -> LabelReport:
    """Read labels for images that the project holds, in one transaction.

    `format_name` None takes the importer that recognises the file best; `dry_run` reports and writes nothing.
    Raises `FieldmarkError` when the file can't be read or no importer recognises it; then nothing is written.
    """
    with open_source(path) as source:
        importer = (
            registry.importer(format_name, options) if format_name else recognise(registry, source, options)
        )
        report = LabelReport(format=importer.name)
        report.notes += importer.describe(source).notes
        matcher = ImageMatcher(images.names_and_aliases(workspace.database, project.id))
        statements = list(_statements(importer, source, matcher, use_split, report, progress))
    report.splits_used = use_split
    if dry_run or not statements:
        return report
    changed = workspace.database.write(
        lambda cursor: apply_statements(cursor, project.id, statements, "import", author)
    )
    report.images, report.annotations = changed.images, changed.annotations
    return report


def recognise(registry: Registry, source: Source, options: Sequence[str] | dict[str, Any]) -> Importer[Any]:
    """Return the importer that is surest of the source; raises `FieldmarkError` when none is sure enough."""
    sure = {
        plugin.name: plugin.cls.recognises(source)
        for plugin in registry.plugins
        if plugin.kind == "importer" and issubclass(plugin.cls, Importer)
    }
    name = max(sure, key=lambda key: sure[key], default=None)
    if name is None or sure[name] <= UNSURE:
        raise FieldmarkError(
            f"no importer recognises {source.label}: name one with --format ({', '.join(sorted(sure))})"
        )
    return registry.importer(name, options)


def _statements(
    importer: Importer[Any],
    source: Source,
    matcher: ImageMatcher,
    use_split: bool,
    report: LabelReport,
    progress: Callable[[int], None],
) -> Iterator[Statement]:
    splits: Counter[str] = Counter()
    for found in importer.read(source):
        report.rows += 1
        if report.rows % 1000 == 0:
            progress(report.rows)
        if isinstance(found, Skipped):
            report.skipped += 1
            _list(report, found.location, found.reason)
            continue
        if found.split:
            splits[found.split] += 1
        match = matcher.match(found.image)
        if not isinstance(match, Found):
            if isinstance(match, Unmatched):
                report.unmatched += 1
                _list(report, found.image, f"{found.location}: no image of the project has this name")
            else:
                report.ambiguous += 1
                _list(report, found.image, f"{found.location}: may be {', '.join(match.names[:3])}")
            continue
        try:
            statement = _statement(found, match.image_id, use_split)
        except FieldmarkError as error:
            report.skipped += 1
            _list(report, found.image, f"{found.location}: {error}")
            continue
        report.matched += 1
        yield statement
    report.splits = dict(splits)
    progress(report.rows)


def _statement(example: Example, image_id: int, use_split: bool) -> Statement:
    labels = tuple(dict.fromkeys(check_label(label) for label in example.labels))
    state = example.state if example.state in ("none-of-these", "ignored") else None
    default = check_label(example.default_label) if example.default_label else None
    confidences = tuple(example.confidences.get(label) for label in labels) if example.confidences else ()
    return Statement(image_id, labels, default, state, example.split if use_split else None, confidences)


def _list(report: LabelReport, name: str, reason: str) -> None:
    if len(report.listed) < LISTED:
        report.listed.append({"name": name, "reason": reason})
