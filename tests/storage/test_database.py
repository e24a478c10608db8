import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fieldmark.storage import database
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.workspace import Workspace, create_workspace, open_workspace


@pytest.fixture
def workspace(tmp_path: Path):
    opened = create_workspace(tmp_path / "ws")
    yield opened
    opened.close()


def test_another_process_is_told_who_holds_the_workspace(workspace: Workspace) -> None:
    script = (
        "import sys; from pathlib import Path; from fieldmark.storage.workspace import open_workspace\n"
        "from fieldmark.storage.errors import FieldmarkError\n"
        "try: open_workspace(Path(sys.argv[1]))\nexcept FieldmarkError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(workspace.root)], capture_output=True, text=True, check=False
    )
    assert f"in use by process {os.getpid()}" in done.stdout


def test_no_workspace_names_the_absolute_path(tmp_path: Path) -> None:
    with pytest.raises(FieldmarkError, match=r"no workspace at .*/nowhere"):
        open_workspace(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_newer_schema_is_refused_and_left_alone(workspace: Workspace) -> None:
    workspace.database.rows("insert into schema_version values (999, now()::timestamp)")
    workspace.close()
    with pytest.raises(FieldmarkError, match="made by a newer Fieldmark"):
        open_workspace(workspace.root)


def test_an_older_schema_is_migrated_and_a_copy_kept(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = database.migrations()[-1][0]
    workspace.close()
    more = [*database.migrations(), (newest + 1, "create table added_later (id integer)")]
    monkeypatch.setattr(database, "migrations", lambda: more)
    opened = open_workspace(workspace.root)
    assert opened.database.rows("select * from added_later") == []
    opened.close()
    assert (workspace.root / f"fieldmark.schema-{newest}.duckdb").is_file()


def test_a_migration_that_fails_leaves_the_old_schema(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = database.migrations()[-1][0]
    workspace.close()
    broken = [*database.migrations(), (newest + 1, "create table half (id integer); select * from nowhere")]
    monkeypatch.setattr(database, "migrations", lambda: broken)
    with pytest.raises(Exception, match="nowhere"):
        create_workspace(workspace.root)
    monkeypatch.undo()
    opened = open_workspace(workspace.root)
    assert not opened.database.rows("select 1 from duckdb_tables() where table_name = 'half'")
    opened.close()


def test_sql_can_reach_no_file_outside_the_embeddings(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    with pytest.raises(Exception, match=r"Permission Error|disabled"):
        workspace.database.rows(f"select * from read_csv('{tmp_path}/secret.csv')")


def test_threads_that_write_the_same_row_all_succeed(workspace: Workspace) -> None:
    db = workspace.database
    db.rows("create table counter (id integer primary key, n integer)")
    db.rows("insert into counter values (1, 0)")

    def add() -> None:
        for _ in range(10):
            db.write(lambda cursor: cursor.execute("update counter set n = n + 1 where id = 1").fetchall())

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert db.rows("select n from counter") == [(80,)]


def test_what_a_killed_process_was_told_is_saved_is_there(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from fieldmark.storage.workspace import create_workspace\n"
        "from fieldmark.storage.projects import create_project\n"
        "ws = create_workspace(Path(sys.argv[1]))\n"
        "for n in range(10000):\n"
        "    create_project(ws.database, f'p{n}', 'embedded'); print(n, flush=True)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "ws")], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    acknowledged = [int(child.stdout.readline()) for _ in range(50)]
    child.kill()
    child.wait()
    child.stdout.close()
    opened = open_workspace(tmp_path / "ws")
    names = {name for (name,) in opened.database.rows("select name from project")}
    opened.close()
    assert {f"p{n}" for n in acknowledged} <= names


def test_a_crash_leaves_no_file_without_a_row(workspace: Workspace) -> None:
    orphan = workspace.image_path("ab" * 32)
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"x")
    (workspace.root / "staging" / "left").mkdir()
    workspace.close()
    opened = open_workspace(workspace.root)
    assert not orphan.exists()
    assert not list((workspace.root / "staging").iterdir())
    opened.close()
