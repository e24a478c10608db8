"""Trainings that can't work are refused in a sentence before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def project(fieldmark, shapes: Path):
    fieldmark("project", "create", "p")
    fieldmark("upload", "p", shapes, "--labels-from-folder")
    return fieldmark


def test_too_little_to_learn_from(fieldmark, shapes: Path) -> None:
    fieldmark("project", "create", "p")
    assert "no image of 'p' is labelled" in fieldmark("train", "p", code=1).err
    fieldmark("upload", "p", shapes / "disc", "--label", "disc")
    assert "at least two labels" in fieldmark("train", "p", code=1).err
    fieldmark("upload", "p", shapes / "square" / "00.png", "--label", "square")
    assert "'square' (1)" in fieldmark("train", "p", code=1).err
    assert not list((fieldmark.workspace / "runs").iterdir())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--label", "disc", "--label", "dics"], "'dics' is no default label"),
        (["--minutes", "0"], "0 minutes can't be used"),
        (["--minutes", "nan"], "nan minutes can't be used"),
        (["--validation", "99"], "99% for validation"),
        (["--validation", "user-defined"], "user-defined validation set holds no image"),
        (["--trainer", "singel-label"], "'single-label'"),
        (["--trainer-option", "learning_rat=1"], "learning_rate"),
        (["--trainer-option", "learning_rate=fast"], "learning_rate"),
        (["--backbone", "embeded"], "'embedded'"),
        (["--backbone", "embedded:x"], "no variants"),
        (["--task", "one-class"], "one-class"),
    ],
    ids=lambda value: "-".join(value)[:40] if isinstance(value, list) else "",
)
def test_what_can_not_be_used_is_named(project, arguments, sentence) -> None:
    assert sentence in project("train", "p", *arguments, code=1).err


def test_unreadable_images_are_a_sentence(project) -> None:
    for path in (project.workspace / "images").glob("*/*"):
        path.write_bytes(b"gone")
    assert "none of the 24 images could be read" in project("train", "p", code=1).err


def test_pretrained_weights_are_not_fetched_offline_and_no_network_is_said(project) -> None:
    arguments = ["train", "p", "--backbone", "timm:resnet10t"]
    assert "Offline mode forbids" in project(*arguments, "--offline", code=1).err
    assert "Offline mode forbids" in project(*arguments, code=1, FIELDMARK_OFFLINE="1").err
    said = project(*arguments, code=1, HF_ENDPOINT="http://127.0.0.1:9").err
    assert "127.0.0.1" in said
    assert project("projects").document["projects"][0]["backbone"] == "embedded"


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder in which nobody can make a file")
def test_a_prediction_that_can_not_be_written_leaves_no_copy_of_its_images(project, shapes: Path) -> None:
    project("train", "p", "--minutes", "0.05", "--name", "m")
    before = sorted(path.name for path in (project.workspace / "runs").iterdir())
    said = project("predict", "m", shapes / "disc", "--project", "p", "--output", "/proc/self/o.json", code=1)
    assert "o.json can't be written" in said.err
    assert sorted(path.name for path in (project.workspace / "runs").iterdir()) == before
    assert not list((project.workspace / "runs").glob("*/inputs"))
    shown = project("stats", "m", "--project", "p", json=False).out
    confusion = shown.split("Confusion")[1].splitlines()[1:3]
    assert [line.split()[0] for line in confusion] == ["disc", "square"]


def test_a_damaged_model_is_named(project, tmp_path: Path) -> None:
    project("train", "p", "--minutes", "0.2", "--name", "m")
    (weights,) = (project.workspace / "models" / "1" / "best").glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    predict = [
        "predict",
        "m",
        "--project-images",
        "--project",
        "p",
        "--format",
        "json",
        "--output",
        tmp_path / "o",
    ]
    said = project(*predict, code=1)
    assert "is not what was saved" in said.err
    assert not (tmp_path / "o").exists()
    project(*predict, "--checkpoint", "last")
    inside = project.workspace / "fieldmark.duckdb"
    assert "lies in the workspace" in project(*predict[:-1], inside, code=1).err
    assert "is a folder" in project(*predict[:-1], tmp_path, code=1).err
    assert "is not there" in project(*predict[:-1], tmp_path / "no" / "o", code=1).err
