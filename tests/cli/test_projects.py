"""`fieldmark project rename` and `delete`, and what every command says after damage."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def filled(fieldmark, shapes: Path):
    fieldmark("project", "create", "shapes")
    fieldmark("upload", "shapes", shapes, "--labels-from-folder")
    return fieldmark


def test_a_project_is_renamed(filled) -> None:
    renamed = filled("project", "rename", "shapes", "forms").document
    assert renamed == {"id": 1, "name": "forms", "was": "shapes"}
    assert "forms is called squares now." in filled("project", "rename", "1", "squares", json=False).out
    (found,) = filled("projects").document["projects"]
    assert (found["name"], found["images"]) == ("squares", 24)
    filled("project", "create", "other")
    assert "already" in filled("project", "rename", "other", "squares", code=1).document["error"]


def test_a_project_is_deleted_only_when_it_is_confirmed(filled) -> None:
    asked = filled("project", "delete", "shapes", code=1)
    assert "would lose 24 images (24 labelled) and 0 models for good: add --yes" in asked.document["error"]
    assert filled("projects").document["projects"][0]["images"] == 24
    assert filled("project", "delete", "shapes", "--yes").document == {"deleted": "shapes", "id": 1}
    assert filled("projects").document == {"projects": []}
    assert not list((filled.workspace / "images").glob("*/*"))
    assert "no project 'shapes'" in filled("project", "delete", "shapes", "--yes", code=1).document["error"]


def test_projects_say_the_next_step(filled) -> None:
    (found,) = filled("projects").document["projects"]
    assert found["next"] == {"page": "train", "sentence": "Train a model on the 24 labelled images."}
    assert "Train a model" in filled("projects", json=False).out


def test_what_was_set_aside_is_told_once_on_stderr(filled) -> None:
    file = filled.workspace / "fieldmark.duckdb"
    file.write_bytes(file.read_bytes()[:5000])
    done = filled("projects")
    assert done.document == {"projects": []}
    assert f"{file} was damaged" in done.err
    assert f"{file}.damaged-" in done.err
    assert "Nothing was deleted." in done.err
    assert filled("projects").err == ""
    assert len(list((filled.workspace / "images").glob("*/*"))) == 24
