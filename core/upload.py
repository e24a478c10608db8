"""Images come in: from files, folders and zips, checked in a sandbox before they count as stored."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fieldmark.core.contracts.importer import Example
from fieldmark.core.contracts.plugin import PluginError
from fieldmark.core.pictures.decoding import Decoded, DecodeJob, Decoders
from fieldmark.core.pictures.staging import Listed, Offer, Staged, disk_reason, opened, stage
from fieldmark.core.registry import Registry
from fieldmark.core.sources.opening import FileSource
from fieldmark.core.sources.rules import OpenSource
from fieldmark.storage import images
from fieldmark.storage.annotations import AnnotationSource, Statement, apply_statements
from fieldmark.storage.database import Cursor
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.images import Content
from fieldmark.storage.labels import check_label
from fieldmark.storage.projects import Project
from fieldmark.storage.workspace import Workspace

BATCH = 128
ALREADY = "was there already"


@dataclass(slots=True)
class UploadReport:
    """What became of every file: seen = stored + duplicates + refused + skipped."""

    seen: int = 0
    stored: int = 0
    duplicates: list[Listed] = field(default_factory=list)
    refused: list[Listed] = field(default_factory=list)
    skipped: list[Listed] = field(default_factory=list)
    """Files of a folder or zip that are no images and don't claim to be."""
    renamed: list[Listed] = field(default_factory=list)
    notes: list[Listed] = field(default_factory=list)
    contradictions: list[Listed] = field(default_factory=list)
    labels: int = 0
    cut_short: bool = False
    """Cancelled before everything was looked at; then `seen` counts what was."""


@dataclass(frozen=True, slots=True)
class UploadWishes:
    """What the person wants said about each image."""

    labels: tuple[str, ...] = ()
    labels_from_folder: bool = False
    use_split: bool = False
    """True: what lies in folders called validation or test goes into those sets."""
    author: str = "local"

    @property
    def source(self) -> AnnotationSource:
        """Who the labels come from."""
        return "import" if self.labels_from_folder else "human"


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A staged file with what is to be said about it."""

    file: Staged
    labels: tuple[str, ...]
    split: str | None

    @property
    def sha256(self) -> str:
        return self.file.sha256


@dataclass(frozen=True, slots=True)
class _Recorded:
    """What one transaction did."""

    fresh: list[tuple[_Arrival, str]]
    """New images with the name each got."""
    again: list[tuple[_Arrival, str, tuple[str, ...]]]
    """Pictures that were there already, with the image's name and the labels it had."""
    labels: int


def upload(
    workspace: Workspace,
    registry: Registry,
    project: Project,
    offered: Sequence[Path | Offer],
    wishes: UploadWishes,
    progress: Callable[[int], None] = lambda seen: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> UploadReport:
    """Store every readable image of what is offered in a project and list every file that was not stored.

    Cancelling keeps what is stored already and looks at no further file. Raises `FieldmarkError` for a label that
    can't be used.
    """
    labels = tuple(check_label(label) for label in wishes.labels)
    report = UploadReport()
    with workspace.staging() as staging, Decoders() as decoders:
        intake = _Intake(workspace, project, wishes, report, staging, decoders, cancelled)
        arrivals = _arrivals(registry, offered, labels, wishes, staging, report)
        while batch := list(itertools.islice(arrivals, BATCH)):
            if not intake.take(batch):
                report.seen -= len(batch)
                report.cut_short = True
                break
            progress(report.seen)
    return report


def _arrivals(
    registry: Registry,
    offered: Sequence[Path | Offer],
    labels: tuple[str, ...],
    wishes: UploadWishes,
    staging: Path,
    report: UploadReport,
) -> Iterator[_Arrival]:
    numbers = itertools.count()
    for one in offered:
        source = opened(one, report)
        if source is None:
            continue
        with source:
            said = _said_by_folders(registry, source, one) if wishes.labels_from_folder else {}
            for staged in stage(source, staging, numbers, report):
                example = said.get(staged.name)
                own = _folder_labels(staged, example, report) if wishes.labels_from_folder else ()
                split = example.split if example and wishes.use_split else None
                yield _Arrival(staged, tuple(dict.fromkeys([*own, *labels])), split)


def _said_by_folders(registry: Registry, source: OpenSource, one: Path | Offer) -> dict[str, Example]:
    if isinstance(one, Path) and isinstance(source, FileSource):
        return {source.label: Example(source.label, labels=(one.absolute().parent.name,))}
    importer = registry.importer("class-folders", {})
    try:
        return {found.image: found for found in importer.read(source) if isinstance(found, Example)}
    except PluginError:
        return {}  # no file with an image's ending: what turns out to be an image is stored without a label


def _folder_labels(staged: Staged, example: Example | None, report: UploadReport) -> list[str]:
    if example is None:
        report.notes.append(Listed(staged.name, "lies in no label's folder: no label was given to it"))
        return []
    usable = []
    for label in example.labels:
        try:
            usable.append(check_label(label))
        except FieldmarkError as error:
            report.notes.append(Listed(staged.name, f"no label was taken from its folder: {error}"))
    return usable


class _Intake:
    """Batches of staged files on their way into one project."""

    def __init__(
        self,
        workspace: Workspace,
        project: Project,
        wishes: UploadWishes,
        report: UploadReport,
        staging: Path,
        decoders: Decoders,
        cancelled: Callable[[], bool],
    ) -> None:
        self.cancelled = cancelled
        self.workspace = workspace
        self.project = project
        self.wishes = wishes
        self.report = report
        self.staging = staging
        self.decoders = decoders
        self.numbers: dict[str, int] = {}
        """{name that was taken: the number that the last one got}."""

    def take(self, batch: Sequence[_Arrival]) -> bool:
        """Check a batch, move what is good into place, and record it in one transaction.

        Return False, and keep nothing of the batch, when the person cancelled meanwhile.
        """
        notes = len(self.report.notes)
        contents, refused = ({}, {}) if self.cancelled() else self._check(batch)
        if self.cancelled():
            del self.report.notes[notes:]
            for arrival in batch:
                arrival.file.path.unlink(missing_ok=True)
            return False
        good = [arrival for arrival in batch if arrival.sha256 not in refused]
        self.report.refused += [Listed(a.file.name, refused[a.sha256]) for a in batch if a.sha256 in refused]
        try:
            for sha256, content in contents.items():
                path = next(arrival.file.path for arrival in batch if arrival.sha256 == sha256)
                self.workspace.keep_image(path, self._thumbnail(content.sha256), content.sha256)
            recorded = self.workspace.database.write(
                lambda cursor: self._record(cursor, list(contents.values()), good)
            )
        except (FieldmarkError, OSError) as error:
            self._take_back(list(contents), good, error)
        else:
            self._tell(recorded)
        for arrival in batch:
            arrival.file.path.unlink(missing_ok=True)
        return True

    def _check(self, batch: Sequence[_Arrival]) -> tuple[dict[str, Content], dict[str, str]]:
        """Decode every picture whose bytes the workspace doesn't hold; return good ones and reasons by sha256."""
        firsts = {arrival.sha256: arrival.file for arrival in reversed(batch)}
        known = images.known_contents(self.workspace.database, list(firsts))
        held = {sha for sha in known if self.workspace.image_path(sha).is_file()}
        contents, refused = {}, {}
        jobs = (
            DecodeJob(staged.path, self._thumbnail(sha), staged)
            for sha, staged in firsts.items()
            if sha not in held and not self.cancelled()
        )
        for job, result in self.decoders.check(jobs):
            staged = job.key
            if isinstance(result, Decoded):
                contents[staged.sha256] = Content(
                    staged.sha256,
                    staged.size,
                    result.format,
                    result.width,
                    result.height,
                    result.orientation,
                    result.frames,
                    result.mode,
                    result.phash,
                    result.notes,
                )
                self.report.notes += [Listed(staged.name, note) for note in result.notes]
            else:
                refused[staged.sha256] = result.reason
        return contents, refused

    def _record(self, cursor: Cursor, contents: Sequence[Content], good: Sequence[_Arrival]) -> _Recorded:
        """Write rows, aliases and labels; it may run again, so it only returns what it did."""
        images.add_contents(cursor, contents)
        shas = list(dict.fromkeys(arrival.sha256 for arrival in good))
        new = {content.sha256 for content in contents}
        images.hold_contents(cursor, [sha for sha in shas if sha not in new])
        present = images.images_by_sha(cursor, self.project.id, shas)
        before = images.labels_of(cursor, [image_id for image_id, _ in present.values()])
        firsts = {a.sha256: a for a in reversed(good) if a.sha256 not in present}
        fresh = [arrival for arrival in good if firsts.get(arrival.sha256) is arrival]
        added = images.add_images(
            cursor,
            self.project.id,
            [(a.file.name, a.sha256) for a in fresh],
            self.wishes.author,
            self.numbers,
        )
        ids = {**present, **{arrival.sha256: got for arrival, got in zip(fresh, added, strict=True)}}
        again = [arrival for arrival in good if firsts.get(arrival.sha256) is not arrival]
        for arrival in again:
            image_id, name = ids[arrival.sha256]
            if name != arrival.file.name:
                images.add_alias(cursor, self.project.id, arrival.file.name, image_id)
        statements = [Statement(ids[a.sha256][0], a.labels, split=a.split) for a in [*fresh, *again]]
        changed = apply_statements(
            cursor, self.project.id, statements, self.wishes.source, self.wishes.author
        )
        had = {sha: before.get(image_id, ()) for sha, (image_id, _) in present.items()}
        had |= {sha: arrival.labels for sha, arrival in firsts.items()}
        return _Recorded(
            [(arrival, name) for arrival, (_, name) in zip(fresh, added, strict=True)],
            [(arrival, ids[arrival.sha256][1], had[arrival.sha256]) for arrival in again],
            changed.annotations,
        )

    def _tell(self, recorded: _Recorded) -> None:
        self.report.stored += len(recorded.fresh)
        self.report.labels += recorded.labels
        for arrival, name in recorded.fresh:
            if name != arrival.file.name:
                reason = f"the name was taken by another picture: stored as {name}"
                self.report.renamed.append(Listed(arrival.file.name, reason))
        for arrival, name, had in recorded.again:
            reason = ALREADY if name == arrival.file.name else f"is the same picture as {name}"
            self.report.duplicates.append(Listed(arrival.file.name, reason))
            if had and set(arrival.labels) - set(had):
                reason = f"labelled {', '.join(had)} as {name}, {', '.join(arrival.labels)} here: it carries both now"
                self.report.contradictions.append(Listed(arrival.file.name, reason))

    def _take_back(
        self, shas: Sequence[str], lost: Sequence[_Arrival], error: FieldmarkError | OSError
    ) -> None:
        """Remove the files of a batch that was not recorded, unless somebody else recorded the same picture."""
        for sha256 in set(shas) - images.known_contents(self.workspace.database, shas):
            self.workspace.image_path(sha256).unlink(missing_ok=True)
            self.workspace.thumbnail_path(sha256).unlink(missing_ok=True)
        self.report.refused += [Listed(arrival.file.name, disk_reason(error)) for arrival in lost]

    def _thumbnail(self, sha256: str) -> Path:
        return self.staging / f"{sha256}.jpg"
