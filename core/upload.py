"""Images come in: from files, folders and zips, checked in a sandbox before they count as stored."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fieldmark.core.contracts.importer import Example
from fieldmark.core.contracts.source import Source
from fieldmark.core.pictures.decoding import Decoded, DecodeJob, Decoders
from fieldmark.core.pictures.staging import Listed, NotAnImage, Staged, disk_reason, stage
from fieldmark.core.registry import Registry
from fieldmark.core.sources.opening import open_source
from fieldmark.storage import images
from fieldmark.storage.annotations import Statement, apply_statements
from fieldmark.storage.database import Cursor
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.labels import check_label
from fieldmark.storage.projects import Project
from fieldmark.storage.workspace import Workspace

BATCH = 128


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


@dataclass(frozen=True, slots=True)
class UploadWishes:
    """What the person wants said about each image."""

    labels: tuple[str, ...] = ()
    labels_from_folder: bool = False
    use_split: bool = False
    """True: what lies in folders called validation or test goes into those sets."""
    author: str = "local"


def upload(
    workspace: Workspace,
    registry: Registry,
    project: Project,
    paths: Sequence[Path],
    wishes: UploadWishes,
    progress: Callable[[int], None] = lambda seen: None,
) -> UploadReport:
    """Store every readable image under `paths` in a project and list every file that was not stored.

    Raises `FieldmarkError` for a label that can't be used.
    """
    labels = tuple(check_label(label) for label in wishes.labels)
    report = UploadReport()
    with workspace.staging() as staging, Decoders() as decoders:
        for path in paths:
            try:
                source = open_source(path)
            except FieldmarkError as error:
                report.seen += 1
                report.refused.append(Listed(path.name or str(path), str(error)))
                continue
            with source:
                said = _said_by_folders(registry, source) if wishes.labels_from_folder else {}
                intake = _Intake(workspace, project, labels, said, wishes, report)
                staged = _welcome(stage(source, staging), report)
                while batch := list(itertools.islice(staged, BATCH)):
                    intake.take(batch, decoders, staging)
                    progress(report.seen)
    return report


def _said_by_folders(registry: Registry, source: Source) -> dict[str, Example]:
    importer = registry.importer("class-folders", {})
    return {found.image: found for found in importer.read(source) if isinstance(found, Example)}


def _welcome(files: Iterator[Staged | Listed], report: UploadReport) -> Iterator[Staged]:
    for file in files:
        report.seen += 1
        if isinstance(file, Staged):
            yield file
        else:
            (report.skipped if isinstance(file, NotAnImage) else report.refused).append(file)


class _Intake:
    """Batches of staged files on their way into one project."""

    def __init__(
        self,
        workspace: Workspace,
        project: Project,
        labels: tuple[str, ...],
        said: dict[str, Example],
        wishes: UploadWishes,
        report: UploadReport,
    ) -> None:
        self.workspace = workspace
        self.project = project
        self.labels = labels
        self.said = said
        self.wishes = wishes
        self.report = report

    def take(self, batch: Sequence[Staged], decoders: Decoders, staging: Path) -> None:
        """Check a batch, move what is good into place, and record it in one transaction."""
        db = self.workspace.database
        shas = list(dict.fromkeys(staged.sha256 for staged in batch))
        present = images.images_by_sha(db, self.project.id, shas)
        known = images.known_contents(db, shas)
        firsts = {staged.sha256: staged for staged in reversed(batch) if staged.sha256 not in present}
        unchecked = [staged for sha, staged in firsts.items() if sha not in known]
        contents, refused = self._check(unchecked, decoders, staging)
        fresh = [s for s in batch if firsts.get(s.sha256) is s and s.sha256 not in refused]
        again = [s for s in batch if firsts.get(s.sha256) is not s and s.sha256 not in refused]
        before = {
            row.id: row.labels
            for row in images.image_rows(db, self.project.id, [image_id for image_id, _ in present.values()])
        }
        try:
            for content in contents:
                self.workspace.keep_image(
                    firsts[content.sha256].path, _thumbnail(staging, content.sha256), content.sha256
                )
            names = db.write(lambda cursor: self._record(cursor, contents, fresh, again, present))
        except (FieldmarkError, OSError) as error:
            self._take_back(contents, [*fresh, *again], error)
        else:
            self._tell(fresh, again, names, present, before)
        for staged in batch:
            if staged.sha256 in refused:
                self.report.refused.append(Listed(staged.name, refused[staged.sha256]))
            staged.path.unlink(missing_ok=True)

    def _check(
        self, unchecked: Sequence[Staged], decoders: Decoders, staging: Path
    ) -> tuple[list[images.Content], dict[str, str]]:
        contents, refused = [], {}
        jobs = (DecodeJob(staged.path, _thumbnail(staging, staged.sha256), staged) for staged in unchecked)
        for job, result in decoders.check(jobs):
            staged = job.key
            if isinstance(result, Decoded):
                contents.append(
                    images.Content(
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
                )
                self.report.notes += [Listed(staged.name, note) for note in result.notes]
            else:
                refused[staged.sha256] = result.reason
        return contents, refused

    def _record(
        self,
        cursor: Cursor,
        contents: Sequence[images.Content],
        fresh: Sequence[Staged],
        again: Sequence[Staged],
        present: dict[str, tuple[int, str]],
    ) -> dict[str, tuple[int, str]]:
        """Write rows, aliases and labels; return {sha256: (image id, name)} of the new images."""
        images.add_contents(cursor, contents)
        added = images.add_images(
            cursor, self.project.id, [(s.name, s.sha256) for s in fresh], self.wishes.author
        )
        names = {staged.sha256: got for staged, got in zip(fresh, added, strict=True)}
        ids = {**present, **names}
        for staged in again:
            image_id, name = ids[staged.sha256]
            if name != staged.name:
                images.add_alias(cursor, self.project.id, staged.name, image_id)
        statements = [
            Statement(ids[s.sha256][0], self._labels(s.name), split=self._split(s.name))
            for s in [*fresh, *again]
        ]
        changed = apply_statements(
            cursor, self.project.id, statements, "import" if self.said else "human", self.wishes.author
        )
        self.report.labels += changed.annotations
        return names

    def _labels(self, name: str) -> tuple[str, ...]:
        said = self.said.get(name)
        return tuple(
            dict.fromkeys([*(check_label(label) for label in (said.labels if said else ())), *self.labels])
        )

    def _split(self, name: str) -> str | None:
        said = self.said.get(name)
        return said.split if said and self.wishes.use_split else None

    def _tell(
        self,
        fresh: Sequence[Staged],
        again: Sequence[Staged],
        names: dict[str, tuple[int, str]],
        present: dict[str, tuple[int, str]],
        before: dict[int, tuple[str, ...]],
    ) -> None:
        self.report.stored += len(fresh)
        first_labels = {staged.sha256: self._labels(staged.name) for staged in fresh}
        for staged in fresh:
            if names[staged.sha256][1] != staged.name:
                reason = f"the name was taken by another picture: stored as {names[staged.sha256][1]}"
                self.report.renamed.append(Listed(staged.name, reason))
        for staged in again:
            image_id, name = names.get(staged.sha256) or present[staged.sha256]
            self.report.duplicates.append(Listed(staged.name, f"is the same picture as {name}"))
            had, now = (
                set(before.get(image_id) or first_labels.get(staged.sha256, ())),
                set(self._labels(staged.name)),
            )
            if had and now - had:
                reason = f"labelled {_listing(had)} as {name}, {_listing(now)} here: it carries both now"
                self.report.contradictions.append(Listed(staged.name, reason))

    def _take_back(
        self, contents: Sequence[images.Content], lost: Sequence[Staged], error: FieldmarkError | OSError
    ) -> None:
        for content in contents:
            self.workspace.image_path(content.sha256).unlink(missing_ok=True)
            self.workspace.thumbnail_path(content.sha256).unlink(missing_ok=True)
        self.report.refused += [Listed(staged.name, disk_reason(error)) for staged in lost]


def _thumbnail(staging: Path, sha256: str) -> Path:
    return staging / f"{sha256}.jpg"


def _listing(labels: set[str]) -> str:
    return ", ".join(sorted(labels))
