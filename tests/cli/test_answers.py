"""What scripts rely on: one document, sentences, exit codes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

EVERY_COMMAND = [
    ["projects"],
    ["labels", "list", "p"],
    ["models"],
    ["models", "list"],
    ["stats", "m", "--project", "p"],
    ["train", "p"],
    ["upload", "p", "x.png"],
    ["labels", "import", "p", "x.csv"],
]


@pytest.mark.parametrize("arguments", EVERY_COMMAND, ids=" ".join)
def test_without_a_workspace_every_command_names_where_it_looked(fieldmark, arguments) -> None:
    done = fieldmark(*arguments, code=1)
    assert f"no workspace at {fieldmark.workspace}" in done.document["error"]
    assert done.err.startswith("fieldmark: ")
    assert not fieldmark.workspace.exists()


def test_the_workspace_comes_from_the_environment_when_not_named(fieldmark, tmp_path: Path) -> None:
    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [*fieldmark.arguments(*arguments)[: 3 + len(arguments)], "--json"]
        return subprocess.run(
            command,
            cwd=tmp_path,
            env=fieldmark.environment(**environment),
            capture_output=True,
            text=True,
            check=False,
        )

    assert run("project", "create", "a", FIELDMARK_WORKSPACE=str(tmp_path / "named")).returncode == 0
    assert (tmp_path / "named" / "fieldmark.duckdb").is_file()
    assert run("project", "create", "a").returncode == 0
    assert (tmp_path / "fieldmark-workspace" / "fieldmark.duckdb").is_file()


def test_wrong_usage_is_2(fieldmark, shapes) -> None:
    for arguments in (
        ["train"],
        ["frobnicate"],
        ["train", "p", "--task", "flying"],
        ["train", "p", "--validation", "some"],
        ["predict", "m", "--project", "p", "--output", "o"],
        ["predict", "m", "x.png", "--project-images", "--project", "p", "--output", "o"],
        ["stats", "m", "--project", "p", "--checkpoint", "middle"],
    ):
        fieldmark("project", "create", "p", code=None)
        assert fieldmark(*arguments, code=2).out == ""


def test_projects_are_found_by_id_and_name_and_never_twice(fieldmark) -> None:
    assert fieldmark("project", "create", "birds").document["id"] == 1
    assert "called 'birds' already" in fieldmark("project", "create", "birds", code=1).err
    assert "a number alone" in fieldmark("project", "create", "12", code=1).err
    assert fieldmark("labels", "list", "1").document == fieldmark("labels", "list", "birds").document
    assert "there are birds (1)" in fieldmark("labels", "list", "fish", code=1).err


def test_duplicates_are_already_so_and_refusals_count_only_when_strict(fieldmark, shapes: Path) -> None:
    (shapes / "disc" / "bad.png").write_text("not a picture")
    (shapes / "notes.txt").write_text("about the pictures")
    fieldmark("project", "create", "p")
    first = fieldmark("upload", "p", shapes).document
    assert (first["seen"], first["stored"], len(first["refused"]), len(first["skipped"])) == (26, 24, 1, 1)
    assert first["refused"][0]["name"] == "disc/bad.png"
    again = fieldmark("upload", "p", shapes).document
    assert (again["stored"], again["duplicates"]) == (0, 24)
    assert fieldmark("upload", "p", shapes, "--strict", code=1).document["duplicates"] == 24
    only_bad = fieldmark("upload", "p", shapes / "disc" / "bad.png", code=1)
    assert only_bad.document["stored"] == 0
    assert only_bad.err.count("\n") == 1
    missing = fieldmark("upload", "p", "nowhere", code=1)
    assert missing.document["refused"][0]["name"] == "nowhere"
    assert missing.err.startswith("fieldmark: nothing was stored: nowhere: ")


def test_labels_at_upload_and_for_the_same_picture_under_two_names(
    fieldmark, shapes: Path, tmp_path: Path
) -> None:
    fieldmark("project", "create", "p")
    one = shapes / "disc" / "00.png"
    other = tmp_path / "other.png"
    other.write_bytes(one.read_bytes())
    fieldmark("upload", "p", one, "--label", "cat", "--label", "<script>")
    said = fieldmark("upload", "p", other, "--label", "dog").document
    assert (said["stored"], said["duplicates"]) == (0, 1)
    assert "carries both now" in said["contradictions"][0]["reason"]
    counts = {row["name"]: row for row in fieldmark("labels", "list", "p").document["labels"]}
    assert {name: row["images"] for name, row in counts.items()} == {"cat": 1, "<script>": 1, "dog": 1}
    assert counts["cat"]["default"] == 1
    table = tmp_path / "more.csv"
    table.write_text("image,label\nother.png,found by its second name\n")
    assert fieldmark("labels", "import", "p", table, "--format", "csv").document["matched"] == 1


def test_an_import_says_first_what_it_would_do(fieldmark, shapes: Path, tmp_path: Path) -> None:
    fieldmark("project", "create", "p")
    fieldmark("upload", "p", shapes)
    table = tmp_path / "labels.csv"
    table.write_bytes("image;label\r\ndisc/00.png;NA\r\ndisc/01.png;01\r\nnobody.png;x\r\n".encode("utf-16"))
    dry = fieldmark("labels", "import", "p", table, "--dry-run").document
    assert (dry["rows"], dry["matched"], dry["unmatched"]) == (3, 2, 1)
    assert (dry["annotations"], dry["images"]) == (2, 2)
    assert fieldmark("labels", "list", "p").document["labels"] == []
    done = fieldmark("labels", "import", "p", table).document
    assert done["annotations"] == 2
    assert done["listed"][0]["name"] == "nobody.png"
    assert [row["name"] for row in fieldmark("labels", "list", "p").document["labels"]] == ["01", "NA"]
    table.write_text("image,label\nnobody.png,x\n")
    refused = fieldmark("labels", "import", "p", table, code=1)
    assert refused.document["matched"] == 0
    assert "none of the 1 rows" in refused.err


@pytest.mark.parametrize("arguments", [["plugins"], ["plugins", "list"], ["version"]], ids=" ".join)
def test_questions_that_need_no_workspace(fieldmark, arguments) -> None:
    assert fieldmark(*arguments).document
    assert fieldmark(*arguments, json=False).out


def test_plugins_show_their_options(fieldmark) -> None:
    shown = fieldmark("plugins", "show", "trainer", "single-label").document
    assert "learning_rate" in {option["name"] for option in shown["options"]}
    assert "Available" in fieldmark("plugins", "show", "trainer", "singel-label", code=1).err


def test_help_imports_nothing_heavy() -> None:
    import sys

    script = (
        "import sys, runpy; sys.argv = ['fieldmark', '--help']\n"
        "try: runpy.run_module('fieldmark', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'streamlit', 'timm', 'sklearn', 'albumentations', 'pandas', 'numpy', 'duckdb', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "demo" in done.stdout
    assert done.stderr.strip() == "[]"


def test_text_output_is_for_people(fieldmark) -> None:
    fieldmark("project", "create", "[bold]birds[/bold]")
    out = fieldmark("projects", json=False).out
    assert "[bold]birds[/bold]" in out
    with pytest.raises(json.JSONDecodeError):
        json.loads(out)
