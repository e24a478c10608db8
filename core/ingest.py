"""Labels come in: an importer reads a file, each reference is matched to an image, all is written at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, cast

from fieldmark.core.contracts.importer import Description, Example, Importer, Skipped
from fieldmark.core.contracts.source import Source
from fieldmark.core.matching import Found, ImageMatcher, Unmatched
from fieldmark.core.pictures.staging import Offer
from fieldmark.core.plugin_calls import blamed_on
from fieldmark.core.registry import Registered, Registry
from fieldmark.core.sources.opening import open_source
from fieldmark.core.sources.rules import OpenSource
from fieldmark.storage import images
from fieldmark.storage.annotations import Changed, Statement, apply_statements
from fieldmark.storage.database import Cursor
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
    offered: Path | Offer,
    *,
    format_name: str | None = None,
    options: Sequence[str] | dict[str, Any] = (),
    use_split: bool = False,
    dry_run: bool = False,
    author: str = "local",
    progress: Callable[[int], None] = lambda rows: None,
) -> LabelReport:
    """Read labels for images that the project holds, in one transaction.

    `format_name` None takes the importer that recognises the file best; `dry_run` reports what would change, by
    making the change and taking it back.
    Raises `FieldmarkError` when the file can't be read or no importer recognises it; then nothing is written.
    """
    with _opened(offered) as source:
        name, notes = (format_name, []) if format_name else recognise(registry, source)
        importer = registry.importer(name, options)
        title = _title(registry.find("importer", name))
        report = LabelReport(format=importer.name, notes=notes)
        with blamed_on(title):
            report.notes += importer.describe(source).notes
        matcher = ImageMatcher(images.names_and_aliases(workspace.database, project.id))
        rows = _rows(title, importer, source)
        statements = list(_statements(rows, matcher, use_split, report, progress))
    report.splits_used = use_split
    if statements:
        changed = _write(workspace, project, statements, author, dry_run)
        report.images, report.annotations = changed.images, changed.annotations
    return report


def look_at(
    registry: Registry, offered: Path | Offer, format_name: str | None = None
) -> tuple[str, Description]:
    """Return which importer would read a label file, and what that importer finds in it with its default options.

    Raises `FieldmarkError` when the file can't be read or no importer recognises it.
    """
    with _opened(offered) as source:
        name = format_name or recognise(registry, source)[0]
        with blamed_on(_title(registry.find("importer", name))):
            return name, registry.importer(name, {}).describe(source)


def _opened(offered: Path | Offer) -> OpenSource:
    return open_source(offered) if isinstance(offered, Path) else offered.open()


class _TakenBack(Exception):
    def __init__(self, changed: Changed) -> None:
        super().__init__()
        self.changed = changed


def _write(
    workspace: Workspace, project: Project, statements: Sequence[Statement], author: str, dry_run: bool
) -> Changed:
    def change(cursor: Cursor) -> Changed:
        changed = apply_statements(cursor, project.id, statements, "import", author)
        if dry_run:
            raise _TakenBack(changed)
        return changed

    try:
        return workspace.database.write(change)
    except _TakenBack as taken_back:
        return taken_back.changed


def recognise(registry: Registry, source: Source) -> tuple[str, list[str]]:
    """Return the name of the importer that is surest of the source, and a sentence for each that failed to look.

    Raises `FieldmarkError` when none is sure enough.
    """
    sure: dict[str, float] = {}
    notes: list[str] = []
    for plugin in registry.of_kind("importer"):
        try:
            with blamed_on(_title(plugin)):
                sure[plugin.name] = _confidence(plugin, source)
        except FieldmarkError as error:
            sure[plugin.name] = 0.0
            notes.append(f"Not asked further whether it knows {source.label}: {error}.")
    name = max(sure, key=lambda key: sure[key], default=None)
    if name is None or sure[name] <= UNSURE:
        failed = "".join(f". {note}" for note in notes).rstrip(".")
        raise FieldmarkError(
            f"no importer recognises {source.label}: choose the format yourself ({', '.join(sorted(sure))}){failed}"
        )
    return name, notes


def _confidence(plugin: Registered, source: Source) -> float:
    sure = float(cast("type[Importer[Any]]", plugin.cls).recognises(source))
    if not isfinite(sure):
        raise ValueError(f"its confidence is {sure}")
    return sure


def _title(plugin: Registered) -> str:
    return f"{plugin.title} of {plugin.distribution} {plugin.version}"


def _rows(title: str, importer: Importer[Any], source: Source) -> Iterator[Example | Skipped]:
    with blamed_on(title):
        yield from importer.read(source)


def _statements(
    rows: Iterator[Example | Skipped],
    matcher: ImageMatcher,
    use_split: bool,
    report: LabelReport,
    progress: Callable[[int], None],
) -> Iterator[Statement]:
    splits: Counter[str] = Counter()
    for found in rows:
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
    sure = {check_label(label): example.confidences.get(label) for label in reversed(example.labels)}
    labels = tuple(dict.fromkeys(check_label(label) for label in example.labels))
    state = example.state if example.state in ("none-of-these", "ignored") else None
    default = check_label(example.default_label) if example.default_label else None
    confidences = tuple(sure[label] for label in labels) if example.confidences else ()
    return Statement(image_id, labels, default, state, example.split if use_split else None, confidences)


def _list(report: LabelReport, name: str, reason: str) -> None:
    if len(report.listed) < LISTED:
        report.listed.append({"name": name, "reason": reason})
