"""Projects renamed and deleted, what becomes of files that two of them share, and the next step of each."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from fieldmark.core.projects import (
    create_project,
    delete_project,
    find_project,
    holdings,
    overview,
    rename_project,
)
from fieldmark.core.registry import load_registry
from fieldmark.core.upload import UploadReport, UploadWishes, upload
from fieldmark.storage import images, projects, runs
from fieldmark.storage.annotations import Statement, apply_statements
from fieldmark.storage.database import Cursor
from fieldmark.storage.errors import FieldmarkError, NotFound
from fieldmark.storage.images import Content
from fieldmark.storage.projects import Project
from fieldmark.storage.runs import start_run
from fieldmark.storage.workspace import Workspace, create_workspace, open_workspace

BY_PROJECT = ("image", "image_alias", "label", "run", "model")
BY_MODEL = ("prediction", "checkpoint", "curve_point", "threshold", "evaluation")


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = create_workspace(tmp_path / "ws")
    yield opened
    opened.close()


def pictures(folder: Path, numbers: range) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        Image.new("RGB", (20, 20), (number * 9 % 256, number, 7)).save(folder / f"{number}.png")
    return folder


def uploaded(workspace: Workspace, project: Project, folder: Path, *labels: str) -> UploadReport:
    return upload(workspace, load_registry(), project, [folder], UploadWishes(labels=labels))


def files(workspace: Workspace) -> set[str]:
    return {path.name for path in workspace.image_folder.glob("*/*")}


def thumbnails(workspace: Workspace) -> set[str]:
    return {path.stem for path in workspace.thumbnail_folder.glob("*/*")}


def insert_model(workspace: Workspace, project: Project) -> int:
    """Record a model with something in every table that knows models, and give it a folder."""
    run = start_run(workspace.database, project.id, "train", "m")

    def change(cursor: Cursor) -> None:
        runs.finish_run(cursor, run.id, "finished")
        cursor.execute(
            "insert into model values (?, ?, ?, 'm', 'single-label', 't', '{}', 'd', '1', 'b', '{}', 'd', 'f', ['x'],"
            " 1, 1, 'time', [], now()::timestamp)",
            [run.model_id, project.id, run.id],
        )
        cursor.execute("insert into checkpoint values (?, 'best', 1, 1)", [run.model_id])
        cursor.execute("insert into curve_point values (?, 1, 1, 'train', 1, 1)", [run.model_id])
        cursor.execute("insert into threshold values (?, 'best', 'x', 0.5, 'trainer')", [run.model_id])
        cursor.execute("insert into evaluation values (?, 'best', 'test', '{}')", [run.model_id])
        cursor.execute(
            "insert into prediction (run_id, model_id, checkpoint, image_name, sha256, predicted, logits, scores, created)"
            " values (?, ?, 'best', 'a', 'b', [], [], [], now()::timestamp)",
            [run.id, run.model_id],
        )

    workspace.database.write(change)
    assert run.model_id is not None
    (workspace.model_folder(run.model_id)).mkdir()
    return run.model_id


def test_a_project_is_renamed(workspace: Workspace) -> None:
    made = create_project(workspace, "birds")
    assert rename_project(workspace, made, "  owls ").name == "owls"
    assert find_project(workspace, "owls").id == made.id
    assert rename_project(workspace, made, "owls").name == "owls"


@pytest.mark.parametrize(("name", "reason"), [("", "needs a name"), ("12", "alone"), ("taken", "already")])
def test_a_name_that_can_not_be_used_changes_nothing(workspace: Workspace, name: str, reason: str) -> None:
    made = create_project(workspace, "birds")
    create_project(workspace, "taken")
    with pytest.raises(FieldmarkError, match=reason):
        rename_project(workspace, made, name)
    assert find_project(workspace, "birds").id == made.id


def test_deleting_forgets_everything_and_leaves_the_others_alone(
    workspace: Workspace, tmp_path: Path
) -> None:
    kept, gone = create_project(workspace, "kept"), create_project(workspace, "gone")
    for project, folder in ((kept, range(4)), (gone, range(2, 8))):
        uploaded(workspace, project, pictures(tmp_path / project.name, folder), "label")
        again = pictures(tmp_path / f"{project.name}-again", folder)
        for path in again.iterdir():
            path.rename(path.with_name(f"other-{path.name}"))
        uploaded(workspace, project, again)
    models = {project.id: insert_model(workspace, project) for project in (kept, gone)}
    failed = start_run(workspace.database, gone.id, "train", "failed")
    workspace.database.write(lambda cursor: runs.finish_run(cursor, failed.id, "failed"))
    workspace.run_folder(failed.id).mkdir()
    embeddings = workspace.embedding_folder("f" * 8)
    embeddings.mkdir()
    before = {
        table: workspace.database.rows(f"select * from {table} where project_id = ? order by all", [kept.id])
        for table in BY_PROJECT
    }
    of_kept = {
        sha for (sha,) in workspace.database.rows("select sha256 from image where project_id = ?", [kept.id])
    }
    assert len(files(workspace)) == 8
    assert holdings(workspace, gone) == "6 images (6 labelled) and 1 model"

    delete_project(workspace, gone)

    for table in BY_PROJECT:
        assert workspace.database.rows(f"select * from {table} order by all") == before[table] != []
    for table in BY_MODEL:
        assert {i for (i,) in workspace.database.rows(f"select model_id from {table}")} == {models[kept.id]}
    left = {i for (i,) in workspace.database.rows("select id from image")}
    for table in ("annotation", "image_event"):
        assert {i for (i,) in workspace.database.rows(f"select image_id from {table}")} == left
    assert files(workspace) == thumbnails(workspace) == of_kept
    assert {sha for (sha,) in workspace.database.rows("select sha256 from content")} == of_kept
    assert [path.name for path in workspace.models.iterdir()] == [str(models[kept.id])]
    assert not workspace.run_folder(failed.id).exists()
    assert embeddings.exists()
    with pytest.raises(NotFound):
        delete_project(workspace, gone)
    with pytest.raises(NotFound):
        rename_project(workspace, gone, "again")


@pytest.mark.parametrize("kind", ["train", "predict", "upload"])
def test_a_project_with_a_run_is_not_deleted(
    workspace: Workspace, tmp_path: Path, kind: runs.RunKind
) -> None:
    project, other = create_project(workspace, "busy"), create_project(workspace, "other")
    uploaded(workspace, project, pictures(tmp_path / "in", range(2)))
    start_run(workspace.database, project.id, kind, "long one")
    with pytest.raises(FieldmarkError, match=r"'long one'.*cancel it or wait"):
        delete_project(workspace, project)
    assert overview(workspace)[0]["images"] == 2
    assert len(files(workspace)) == 2
    delete_project(workspace, other)


def test_a_picture_uploaded_while_its_project_is_deleted_is_there_or_refused_by_name(
    workspace: Workspace, tmp_path: Path
) -> None:
    folder = pictures(tmp_path / "in", range(40))
    into = create_project(workspace, "into")
    registry = load_registry()
    stored = 0
    for turn in range(4):
        doomed = create_project(workspace, f"doomed {turn}")
        uploaded(workspace, doomed, folder)
        reports: list[UploadReport] = []
        thread = threading.Thread(
            target=lambda found=reports, into=into: found.append(
                upload(workspace, registry, into, [folder], UploadWishes())
            )
        )
        thread.start()
        if turn % 2:
            threading.Event().wait(0.02 * turn)
        delete_project(workspace, doomed)
        thread.join()
        report = reports[0]
        assert report.seen == 40 == report.stored + len(report.duplicates) + len(report.refused)
        stored += report.stored
        shown = workspace.database.rows("select sha256 from image")
        known = {sha for (sha,) in workspace.database.rows("select sha256 from content")}
        for (sha,) in shown:
            assert sha in known
            assert hashlib.sha256(workspace.image_path(sha).read_bytes()).hexdigest() == sha
            assert workspace.thumbnail_path(sha).is_file()
        delete_project(workspace, into)
        assert files(workspace) == set()
        into = create_project(workspace, "into")
    assert stored


def test_an_upload_that_counted_on_a_forgotten_picture_is_told(workspace: Workspace, tmp_path: Path) -> None:
    project, other = create_project(workspace, "one"), create_project(workspace, "two")
    uploaded(workspace, project, pictures(tmp_path / "in", range(1)))
    ((sha,),) = workspace.database.rows("select sha256 from content")
    workspace.database.write(lambda cursor: images.hold_contents(cursor, [sha]))
    delete_project(workspace, project)
    with pytest.raises(FieldmarkError, match="upload it again"):
        workspace.database.write(lambda cursor: images.hold_contents(cursor, [sha]))
    assert uploaded(workspace, other, tmp_path / "in").stored == 1


def test_a_picture_that_arrives_while_others_are_removed_stays(workspace: Workspace, tmp_path: Path) -> None:
    sha, gone = "ab" * 32, "cd" * 32

    def keep(name: str) -> None:
        for place in ("image", "thumbnail"):
            (tmp_path / place).write_bytes(b"x")
        workspace.keep_image(tmp_path / "image", tmp_path / "thumbnail", name)

    keep(sha)
    keep(gone)

    def forget() -> list[str]:
        keep(sha)  # an upload, before its row is written
        return [sha, gone]

    assert workspace.remove_pictures(forget) == 1
    assert files(workspace) == thumbnails(workspace) == {sha}


def test_a_crash_while_a_project_is_deleted_leaves_nothing_behind(
    workspace: Workspace, tmp_path: Path
) -> None:
    project = create_project(workspace, "gone")
    uploaded(workspace, project, pictures(tmp_path / "in", range(3)))
    workspace.database.write(lambda cursor: projects.delete_project(cursor, project.id))

    def crash() -> list[str]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        workspace.remove_pictures(crash)
    assert len(files(workspace)) == 3
    workspace.close()
    opened = open_workspace(workspace.root)
    assert files(opened) == thumbnails(opened) == set()
    assert opened.database.rows("select * from content") == []
    opened.close()


def fill(workspace: Workspace, project: Project, labels: list[str | None]) -> None:
    def change(cursor: Cursor) -> None:
        shas = [hashlib.sha256(f"{project.id} {n}".encode()).hexdigest() for n in range(len(labels))]
        images.add_contents(cursor, [Content(sha, 1, "PNG", 2, 2, 1, 1, "RGB", None, ()) for sha in shas])
        added = images.add_images(cursor, project.id, [(sha, sha) for sha in shas], "me")
        statements = [
            Statement(image_id, (label,))
            for (image_id, _), label in zip(added, labels, strict=True)
            if label is not None
        ]
        apply_statements(cursor, project.id, statements, "human", "me")

    workspace.database.write(change)


@pytest.mark.parametrize(
    ("labels", "models", "page", "words"),
    [
        ([], 0, "upload", "Upload images"),
        ([None] * 3, 0, "label", "Label your 3 images: none is labelled yet"),
        (["a", "a", "b", None], 0, "label", "3 of 4 are labelled"),
        (["a", "a", "a"], 0, "upload", "two labels with at least two"),
        (["a", "a", "b", "b"], 0, "train", "Train a model on the 4 labelled images."),
        (["a", "a", "b", "b", None], 0, "train", "or label 1 more first"),
        (["a", "a", "b", "b", None], 1, "predict", "Predict new images"),
        (
            ["a", "b", *[None] * 1200],
            1,
            "label",
            "Label some of the 1,200 images without a label, or predict",
        ),
        ([], 1, "upload", "Upload images"),
    ],
)
def test_the_next_step(
    workspace: Workspace, labels: list[str | None], models: int, page: str, words: str
) -> None:
    project = create_project(workspace, "p")
    create_project(workspace, "empty")
    if labels:
        fill(workspace, project, labels)
    for _ in range(models):
        insert_model(workspace, project)
    found, empty = overview(workspace)
    assert found["next"]["page"] == page
    assert words in found["next"]["sentence"]
    assert (found["images"], found["models"]) == (len(labels), models)
    assert found["labelled"] == sum(label is not None for label in labels)
    assert empty["next"]["page"] == "upload"
