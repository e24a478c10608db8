from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from fieldmark import Description, Example, Exporter, Importer, PluginError
from fieldmark.core.export import check_target, export_predictions
from fieldmark.core.ingest import import_labels
from fieldmark.core.labelling import label_images
from fieldmark.core.predict import Predicted
from fieldmark.core.registry import Registered, Registry
from fieldmark.storage import images, projects, runs
from fieldmark.storage.edits import Edit
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.images import Content
from fieldmark.storage.labels import label_counts
from fieldmark.storage.models import Model
from fieldmark.storage.workspace import Workspace, create_workspace


class Good(Importer):
    name = "good"
    summary = "Reads lines of image and label."

    @classmethod
    def recognises(cls, source):
        return 0.9

    def describe(self, source):
        return Description(0, {})

    def read(self, source) -> Iterator[Example]:
        with io.TextIOWrapper(source.open(next(source.names())), "utf-8", newline="\n") as file:
            for line in file:
                image, label = line.rstrip("\n").split(",")
                yield Example(image, (label,), confidences={label: 0.5})


class RaisesWhenAsked(Good):
    name = "raises"

    @classmethod
    def recognises(cls, source):
        raise RuntimeError("boom")


class NotANumber(Good):
    name = "not-a-number"

    @classmethod
    def recognises(cls, source):
        return float("nan")


class Exits(Good):
    name = "exits"

    def describe(self, source):
        raise SystemExit(3)


class BreaksMidway(Good):
    name = "breaks"

    def read(self, source):
        yield Example("a.png", ("cat",))
        raise KeyError("column")


class Says(Good):
    name = "says"

    def read(self, source):
        raise PluginError("row 3 is odd: mend it")
        yield


def registry(*importers: type[Importer]) -> Registry:
    return Registry(
        [Registered("importer", cls.name, cls, "fieldmark-odd", "1.2", cls.summary) for cls in importers]
    )


@pytest.fixture
def workspace(tmp_path: Path):
    opened = create_workspace(tmp_path / "ws")
    yield opened
    opened.close()


@pytest.fixture
def project(workspace: Workspace):
    made = projects.create_project(workspace.database, "p", "embedded")
    names = ["a.png", "b.png", "c.png"]
    shas = [f"{number:064x}" for number in range(3)]

    def add(cursor):
        images.add_contents(cursor, [Content(sha, 1, "PNG", 2, 2, 1, 1, "RGB", None, ()) for sha in shas])
        images.add_images(cursor, made.id, list(zip(names, shas, strict=True)), "me")

    workspace.database.write(add)
    return made


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "labels.txt"
    path.write_text("a.png,cat\nb.png,dog\n", "utf-8")
    return path


def test_an_importer_that_fails_to_look_does_not_stop_the_others(workspace, project, table) -> None:
    report = import_labels(workspace, registry(RaisesWhenAsked, NotANumber, Good), project, table)
    assert (report.format, report.annotations) == ("good", 2)
    assert "importer 'raises' of fieldmark-odd 1.2" in report.notes[0] and "boom" in report.notes[0]
    assert "'not-a-number'" in report.notes[1]


def test_when_none_is_left_the_one_that_failed_is_named(workspace, project, table) -> None:
    with pytest.raises(FieldmarkError, match=r"no importer recognises.*'raises' of fieldmark-odd 1.2.*boom"):
        import_labels(workspace, registry(RaisesWhenAsked), project, table)


@pytest.mark.parametrize(("importer", "word"), [(Exits, "SystemExit"), (BreaksMidway, "KeyError: 'column'")])
def test_an_importer_that_fails_is_named_and_nothing_is_written(
    workspace, project, table, importer, word
) -> None:
    with pytest.raises(
        FieldmarkError, match=f"importer '{importer.name}' of fieldmark-odd 1.2 failed.*{word}"
    ):
        import_labels(workspace, registry(importer), project, table, format_name=importer.name)
    assert label_counts(workspace.database, project.id) == []


def test_an_importers_own_sentence_is_left_alone(workspace, project, table) -> None:
    with pytest.raises(FieldmarkError, match=r"^row 3 is odd: mend it$"):
        import_labels(workspace, registry(Says), project, table)


def test_a_dry_run_counts_what_the_import_then_does(workspace, project, table) -> None:
    import_labels(workspace, registry(Good), project, table)
    table.write_text("a.png,cat\nb.png,bird\nc.png,bird\n", "utf-8")
    dry = import_labels(workspace, registry(Good), project, table, dry_run=True)
    assert (dry.matched, dry.annotations, dry.images) == (3, 2, 2)
    assert [row.name for row in label_counts(workspace.database, project.id)] == ["cat", "dog"]
    assert import_labels(workspace, registry(Good), project, table) == dry
    assert {row.name: row.images for row in label_counts(workspace.database, project.id)}["bird"] == 2


def test_a_composed_and_a_decomposed_letter_are_one_label_with_its_confidence(
    workspace, project, table
) -> None:
    table.write_text("a.png,café\nb.png,cafe\u0301\n", "utf-8")
    import_labels(workspace, registry(Good), project, table)
    assert [(row.name, row.images) for row in label_counts(workspace.database, project.id)] == [("café", 2)]
    assert workspace.database.rows("select distinct confidence from annotation") == [(0.5,)]
    row = images.image_rows(workspace.database, project.id)[1]
    assert label_images(workspace, project, [row.id], Edit(remove=("cafe\u0301",))).tiles[0].labels == ()


class FailsToWrite(Exporter):
    name = "odd"
    summary = "Fails."
    exports = "predictions"
    suffix = ".txt"
    media_type = "text/plain"

    def write(self, records, context, target):
        target.write(b"half")
        raise ZeroDivisionError("no records")


class FailsToSayWhatItLoses(FailsToWrite):
    def write(self, records, context, target):
        target.write(b"whole")

    def loses(self, context):
        raise ZeroDivisionError("no context")


class DiskFull(FailsToWrite):
    def write(self, records, context, target):
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("exporter", "sentence"),
    [
        (FailsToWrite, "exporter 'odd' failed.*no records"),
        (FailsToSayWhatItLoses, "exporter 'odd' failed.*no context"),
        (DiskFull, r"out\.txt can't be written: No space left"),
    ],
)
def test_an_exporter_that_fails_is_named_and_leaves_the_old_file(
    workspace, project, tmp_path: Path, exporter, sentence
) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old")
    outcome = predicted(workspace, project)
    with pytest.raises(FieldmarkError, match=sentence):
        export_predictions(workspace, exporter(None), project, outcome, target)
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.glob("*out*")] == ["out.txt"]


def test_a_target_that_no_disk_takes_is_named_before_the_work(tmp_path: Path) -> None:
    for name, reason in (("x" * 300, "too long"), ("a\0b", "")):
        with pytest.raises(FieldmarkError, match=f"can't be written: .*{reason}"):
            check_target(FailsToWrite(None), tmp_path / name, tmp_path / "ws", ())
    (tmp_path / "file").write_text("")
    with pytest.raises(FieldmarkError, match="can't be written: not a directory"):
        check_target(FailsToWrite(None), tmp_path / "file" / "out.txt", tmp_path / "ws", ())


def predicted(workspace: Workspace, project: projects.Project) -> Predicted:
    run = runs.start_run(workspace.database, project.id, "predict", "m")
    model = Model(
        id=1, project_id=project.id, run_id=run.id, name="m", task="single-label", trainer="t", trainer_options={},
        trainer_distribution="d", trainer_version="1", backbone="b", backbone_options={},
        backbone_distribution="d", fingerprint="f", labels=("cat", "dog"), train_seconds=1.0, embed_seconds=1.0,
        ended="minutes", notes=(), created=datetime(2026, 1, 1),
    )  # fmt: skip
    return Predicted(run, model, "best", workspace.run_folder(run.id))
