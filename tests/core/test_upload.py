"""What becomes of every file of an upload, on a real workspace with real decoders."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from fieldmark.core import upload as upload_module
from fieldmark.core.projects import create_project
from fieldmark.core.registry import load_registry
from fieldmark.core.upload import UploadReport, UploadWishes, upload
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.images import image_rows
from fieldmark.storage.projects import Project
from fieldmark.storage.workspace import Workspace, create_workspace, open_workspace


def picture(path: Path, number: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (40, 30), (number % 256, 80, 20))
    image.putpixel((number // 40 % 40, number % 30), (255, 255, 255))
    image.save(path, "PNG")
    return path


@pytest.fixture
def workspace(tmp_path: Path):
    opened = create_workspace(tmp_path / "ws")
    yield opened
    opened.close()


@pytest.fixture
def project(workspace: Workspace) -> Project:
    return create_project(workspace, "p")


def put(workspace: Workspace, project: Project, *paths: Path, **wishes: object) -> UploadReport:
    report = upload(workspace, load_registry(), project, paths, UploadWishes(**wishes))
    assert report.seen == report.stored + len(report.duplicates) + len(report.refused) + len(report.skipped)
    return report


def labels(workspace: Workspace, project: Project) -> dict[str, tuple[str, ...]]:
    return {row.name: row.labels for row in image_rows(workspace.database, project.id)}


def test_a_folder_that_holds_the_workspace_does_not_swallow_it(workspace, project, tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 1)
    picture(tmp_path / "b.png", 2)
    assert put(workspace, project, tmp_path).stored == 2
    again = put(workspace, project, tmp_path)
    assert (again.stored, len(again.duplicates)) == (0, 2)
    assert "workspace" in put(workspace, project, workspace.root).refused[0].reason


def test_a_folder_name_that_is_no_label_costs_only_the_label(workspace, project, tmp_path: Path) -> None:
    for number in range(3):
        picture(tmp_path / "src" / "cat" / f"{number}.png", number)
        picture(tmp_path / "src" / " " / f"{number}.png", 10 + number)
    report = put(workspace, project, tmp_path / "src", labels_from_folder=True)
    assert (report.stored, report.labels) == (6, 3)
    assert len([note for note in report.notes if "empty" in note.reason]) == 3


def test_labels_from_folder_goes_on_after_a_path_without_images(workspace, project, tmp_path: Path) -> None:
    picture(tmp_path / "src" / "cat" / "1.png", 1)
    (tmp_path / "notes.txt").write_text("nothing to see")
    picture(tmp_path / "dog" / "no-ending", 2)
    report = put(
        workspace,
        project,
        tmp_path / "src",
        tmp_path / "notes.txt",
        tmp_path / "dog",
        labels_from_folder=True,
    )
    assert (report.stored, [item.name for item in report.refused]) == (2, ["notes.txt"])
    assert labels(workspace, project)["no-ending"] == ()
    assert any(note.name == "no-ending" for note in report.notes)


def test_files_named_one_by_one_take_the_label_of_the_folder_they_lie_in(
    workspace, project, tmp_path: Path
) -> None:
    files = [picture(tmp_path / "wren" / f"{number}.png", number) for number in range(3)]
    assert put(workspace, project, *files, labels_from_folder=True).labels == 3
    assert set(labels(workspace, project).values()) == {("wren",)}


def test_many_files_of_one_name_and_of_one_picture(workspace, project, tmp_path: Path) -> None:
    files = [picture(tmp_path / str(number) / "IMG_1.png", number) for number in range(150)]
    copy = tmp_path / "copy" / "same.png"
    copy.parent.mkdir()
    shutil.copy(files[0], copy)
    report = put(workspace, project, *files, copy, copy)
    assert (report.stored, len(report.duplicates), len(report.renamed)) == (150, 2, 149)
    assert len(labels(workspace, project)) == 150


def test_a_picture_whose_file_is_gone_is_stored_again(workspace, project, tmp_path: Path) -> None:
    source = picture(tmp_path / "a.png", 1)
    put(workspace, project, source)
    (sha,) = [row.sha256 for row in image_rows(workspace.database, project.id)]
    workspace.image_path(sha).unlink()
    assert len(put(workspace, project, source).duplicates) == 1
    assert workspace.image_path(sha).read_bytes() == source.read_bytes()


def test_an_interrupted_batch_leaves_no_file_without_a_row(
    workspace, project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        picture(tmp_path / "src" / f"{number}.png", number)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(upload_module._Intake, "_record", interrupted)
    with pytest.raises(KeyboardInterrupt):
        put(workspace, project, tmp_path / "src")
    monkeypatch.undo()
    assert list(workspace.image_folder.glob("*/*"))
    workspace.close()
    opened = open_workspace(workspace.root)
    assert not list(opened.image_folder.glob("*/*"))
    assert put(opened, project, tmp_path / "src").stored == 3
    opened.close()


def test_a_batch_that_can_not_be_recorded_is_listed_and_the_next_goes_on(
    workspace, project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_module, "BATCH", 2)
    for number in range(4):
        picture(tmp_path / "src" / f"{number}.png", number)
    once = iter([True])
    record = upload_module._Intake._record

    def failing(self, *arguments):
        if next(once, False):
            raise FieldmarkError("nothing was saved: the disk is full")
        return record(self, *arguments)

    monkeypatch.setattr(upload_module._Intake, "_record", failing)
    report = put(workspace, project, tmp_path / "src")
    assert (report.stored, len(report.refused)) == (2, 2)
    assert len(list(workspace.image_folder.glob("*/*"))) == 2
