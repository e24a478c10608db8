"""What the command line makes of the words it is given, and how odd names reach the terminal."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fieldmark.cli import answer, models
from fieldmark.cli.app import app
from fieldmark.core.pictures.staging import Listed


def run(*arguments: object, **environment: str):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env=environment)


@pytest.mark.parametrize(
    "arguments",
    [
        ["models", "--workspace", "A", "delete", "m", "--project", "p"],
        ["models", "--project", "p", "rename", "m", "n", "--project", "q"],
        ["models", "--json", "list"],
        ["plugins", "--json", "show", "trainer", "single-label"],
    ],
    ids=" ".join,
)
def test_options_that_the_command_would_never_see_are_wrong_usage(arguments, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert done.exit_code == 2
    words = " ".join(done.stderr.replace("│", " ").split())
    assert f"{arguments[1]}: write it behind the command: fieldmark {arguments[0]}" in words


def test_a_workspace_from_the_environment_is_no_option(tmp_path: Path) -> None:
    done = run("models", "list", "--json", FIELDMARK_WORKSPACE=str(tmp_path / "ws"), FIELDMARK_OFFLINE="1")
    assert done.exit_code == 1
    assert f"no workspace at {tmp_path / 'ws'}" in done.stderr
    assert run("plugins", "list", "--json", FIELDMARK_WORKSPACE=str(tmp_path)).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["train", "p", "--seed", "-1"], "--seed"),
        (["train", "p", "--validation", "nan"], "--validation"),
        (["train", "p", "--validation", "inf"], "--validation"),
        (["upload", "p", "x.png", "--use-split"], "--use-split"),
    ],
)
def test_values_that_make_no_sense_are_wrong_usage(arguments, option) -> None:
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert option in done.stderr


@pytest.mark.parametrize("name", ["", "  ", "12", "a\nb", "a\x9bb"])
def test_a_project_name_that_is_refused_leaves_no_workspace(tmp_path: Path, name: str) -> None:
    done = run("project", "create", name, "--workspace", tmp_path / "ws", "--json")
    assert done.exit_code == 1
    assert "project" in json.loads(done.stdout)["error"]
    assert not (tmp_path / "ws").exists()


def test_the_demo_stays_out_of_a_persons_own_workspace(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fieldmark-demo").write_text("in the way, so that the demo ends where it starts")
    done = run("demo", "--json", FIELDMARK_WORKSPACE=str(tmp_path / "mine"))
    assert "fieldmark-demo" in json.loads(done.stdout)["error"]
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("environment", [{"PYTHONIOENCODING": "utf-8:strict"}, {"LC_ALL": "C"}], ids=str)
def test_a_name_that_is_no_text_can_be_told(fieldmark, tmp_path: Path, environment) -> None:
    def told(*arguments: str | bytes | Path) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            [sys.executable, "-m", "fieldmark", *arguments, "--json"],
            cwd=tmp_path,
            env=fieldmark.environment(**environment),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 1
        assert b"Error" not in done.stderr
        assert done.stderr.decode("utf-8").count("-café") >= 1
        return done

    fieldmark("project", "create", "p")
    name = b"\xff-caf\xc3\xa9.png"
    uploaded = told("upload", "p", name, "--workspace", fieldmark.workspace)
    assert "-café.png" in json.loads(uploaded.stdout)["refused"][0]["name"]
    (tmp_path / os.fsdecode(name)).write_bytes(b"no picture")
    told("upload", "p", name, "--workspace", fieldmark.workspace)
    nowhere = told("projects", "--workspace", name)
    assert os.fsencode(tmp_path) + b"/" + name in os.fsencode(json.loads(nowhere.stdout)["error"])


def shown(print_it, monkeypatch) -> str:
    stdout = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stdout)
    print_it(answer._console())
    return stdout.getvalue()


def test_escape_sequences_in_names_and_sentences_reach_no_terminal(monkeypatch, capsys) -> None:
    evil = "a\x1b[2J\x9b1mb"
    out = shown(
        lambda console: answer.listed(console, "Refused", [Listed(evil, f"{evil} is odd")]), monkeypatch
    )
    assert out == "Refused (1):\n  a\ufffd[2J\ufffd1mb: a\ufffd[2J\ufffd1mb is odd\n"
    out = shown(lambda console: answer.table(console, ["name"], [[evil]]), monkeypatch)
    assert out.split() == ["name", "a\ufffd[2J\ufffd1mb"]
    answer.tell(evil)
    assert capsys.readouterr().err == "fieldmark: a\ufffd[2J\ufffd1mb\n"


def test_each_row_of_the_confusion_begins_with_its_label(monkeypatch) -> None:
    labels = ["cat", "猫", "a label much longer than a terminal would like it to be"]
    counts = [[10, 0, 1], [2, 3, 0], [0, 0, 4]]
    out = shown(lambda console: models._show_confusion(console, labels, counts), monkeypatch)
    assert out.splitlines() == [
        f"  {'cat':<30}  10  0  1",
        f"  {'猫':<29}   2  3  0",
        "  a label much longer than a ter   0  0  4",
    ]
