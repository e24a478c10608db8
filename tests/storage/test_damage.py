"""Real damage to real files: what opens afterwards, what is said, and that nothing is deleted."""

from __future__ import annotations

import hashlib
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from fieldmark.storage import damage, database
from fieldmark.storage.errors import FieldmarkError, NotSaved
from fieldmark.storage.log import drops_commits
from fieldmark.storage.workspace import create_workspace, open_workspace

DB = "fieldmark.duckdb"
LOG = "fieldmark.duckdb.wal"
CHECKPOINTED, LOGGED = 600, 100

MAKE = """
import hashlib, os, sys
from pathlib import Path
from fieldmark.storage import images
from fieldmark.storage.annotations import Statement, apply_statements
from fieldmark.storage.images import Content
from fieldmark.storage.projects import create_project
from fieldmark.storage.workspace import create_workspace

workspace = create_workspace(Path(sys.argv[1]))
project = create_project(workspace.database, "birds", "embedded")

def add(start, end):
    shas = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(start, end)]
    def change(cursor):
        images.add_contents(cursor, [Content(sha, 1, "PNG", 2, 2, 1, 1, "RGB", None, ()) for sha in shas])
        got = images.add_images(cursor, project.id, [(f"{sha}.png", sha) for sha in shas], "me")
        apply_statements(cursor, project.id, [Statement(i, (f"label {i % 5}",)) for i, _ in got], "human", "me")
    workspace.database.write(change)

add(0, 600)
workspace.database.rows("checkpoint")
for part in range(10):
    add(600 + part * 10, 610 + part * 10)
os._exit(0)  # as a killed process leaves it: the last hundred images are only in the log
"""


@pytest.fixture(scope="session")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("killed") / "ws"
    subprocess.run([sys.executable, "-c", MAKE, str(root)], check=True)
    assert (root / LOG).stat().st_size > 10_000
    return root


@pytest.fixture
def root(killed: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "ws"
    shutil.copytree(killed, copy)
    for folder in ("models/1", "models/7", "runs/3"):
        (copy / folder).mkdir()
        (copy / folder / "file").write_text("kept")
    picture = copy / "images" / "ab" / ("ab" * 32)
    picture.parent.mkdir()
    picture.write_bytes(b"kept")
    (copy / "staging" / "left").mkdir()
    return copy


def everything(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def flip(path: Path, place: int, bits: int = 0xFF) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= bits
    path.write_bytes(content)


def assert_nothing_was_deleted(root: Path, before: dict[str, str]) -> None:
    """Each file's bytes are still somewhere, but for what opening an undamaged file changes by itself."""
    after = everything(root)
    aside = {after[path.name] for path in damage.left_aside(root / DB)}
    for name, content in before.items():
        if name in (DB, LOG):
            continue
        assert after.get(name) == content, name
    if aside:
        assert aside & {before.get(DB), before.get(LOG)}


def places(size: int, number: int, start: int = 0) -> list[int]:
    chance = random.Random(size)
    return sorted(chance.randrange(start, size) for _ in range(number))


def test_a_flipped_byte_anywhere_in_the_log_loses_nothing_without_a_word(
    killed: Path, tmp_path: Path
) -> None:
    size = (killed / LOG).stat().st_size
    flips = [(place, bits) for place in range(44) for bits in (0xFF, 0x10)]
    flips += [(place, 0xFF) for place in [*places(size, 100), *range(size - 24, size)]]
    silent = []
    for number, (place, bits) in enumerate(flips):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name in (DB, LOG):
            shutil.copy(killed / name, folder / name)
        flip(folder / LOG, place, bits)
        damaged_log = (folder / LOG).read_bytes()
        try:
            opened = open_workspace(folder)
        except FieldmarkError as error:
            assert "newer DuckDB" in str(error), (place, bits, error)
            assert (folder / LOG).read_bytes() == damaged_log
            continue
        (images,) = opened.database.row("select count(*) from image") or (0,)
        notices = opened.notices
        opened.close()
        assert CHECKPOINTED <= images <= CHECKPOINTED + LOGGED
        if images < CHECKPOINTED + LOGGED:
            if not notices:
                silent.append((place, bits, images))
                continue
            aside = damage.left_aside(folder / DB)
            assert len(aside) == 1, aside
            assert str(aside[0]) in " ".join(notices)
            assert aside[0].read_bytes() == damaged_log
        shutil.rmtree(folder)
    assert not silent


@pytest.mark.parametrize("place", places(3_000_000, 60) + list(range(0, 12288, 512)))
def test_a_flipped_byte_anywhere_in_the_database_is_named_and_nothing_deleted(root: Path, place: int) -> None:
    place %= (root / DB).stat().st_size
    flip(root / DB, place)
    before = everything(root)
    opened = open_workspace(root)
    try:
        for (table,) in opened.database.rows("select table_name from duckdb_tables() order by all"):
            opened.database.rows(f"select * from {table}")
    except FieldmarkError as error:
        assert f"{DB} is damaged" in str(error)
        assert "restore a backup" in str(error)
    finally:
        opened.close()
    for notice in opened.notices:
        assert str(root) in notice
    assert_nothing_was_deleted(root, before)


DESTROYED = {
    "empty": lambda path: path.write_bytes(b""),
    "one byte": lambda path: os.truncate(path, 1),
    "cut in the header": lambda path: os.truncate(path, 5000),
    "cut after the header": lambda path: os.truncate(path, 12288),
    "cut in the first block": lambda path: os.truncate(path, 100_000),
    "text": lambda path: path.write_bytes(b"not a database" * 1000),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "noise": lambda path: path.write_bytes(random.Random(1).randbytes(50_000)),
    "noise in the middle": lambda path: _overwrite(path, 4096, random.Random(2).randbytes(16_384)),
}


def _overwrite(path: Path, place: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        file.write(content)


@pytest.mark.parametrize("how", DESTROYED)
def test_a_destroyed_database_is_set_aside_with_its_log(root: Path, how: str) -> None:
    DESTROYED[how](root / DB)
    before = everything(root)
    opened = open_workspace(root)
    assert opened.database.rows("select * from project") == []
    aside = next(path for path in damage.left_aside(root / DB) if not path.name.endswith(".wal"))
    assert hashlib.sha256(aside.read_bytes()).hexdigest() == before[DB]
    log = aside.with_name(aside.name + ".wal")  # the name under which DuckDB finds it again
    assert hashlib.sha256(log.read_bytes()).hexdigest() == before[LOG]
    assert len(opened.notices) == 1
    for said in (str(aside), "Nothing was deleted", "backup"):
        assert said in opened.notices[0]
    opened.close()
    assert_nothing_was_deleted(root, before)
    again = open_workspace(root)
    assert again.notices == []
    (model,) = again.database.row("select nextval('model_id')") or (0,)
    (run,) = again.database.row("select nextval('run_id')") or (0,)
    assert (model, run) == (8, 4)  # no new model takes the folder of an old one
    again.close()
    assert_nothing_was_deleted(root, before)


def test_a_database_set_aside_opens_with_its_log_once_it_is_mended(root: Path) -> None:
    flip(root / DB, 100)
    open_workspace(root).close()
    aside = next(path for path in damage.left_aside(root / DB) if not path.name.endswith(".wal"))
    flip(aside, 100)
    with duckdb.connect(str(aside), read_only=True) as mended:
        assert mended.execute("select count(*) from image").fetchone() == (CHECKPOINTED + LOGGED,)


def test_a_log_without_its_database_is_kept(root: Path) -> None:
    (root / DB).unlink()
    before = everything(root)
    with pytest.raises(FieldmarkError, match="no workspace"):
        open_workspace(root)
    opened = create_workspace(root)
    (aside,) = damage.left_aside(root / DB)
    assert hashlib.sha256(aside.read_bytes()).hexdigest() == before[LOG]
    assert str(aside) in opened.notices[0]
    opened.close()


def test_a_database_put_back_keeps_the_models_it_does_not_know(root: Path) -> None:
    shutil.rmtree(root / "staging" / "left")
    (root / LOG).unlink()
    opened = open_workspace(root)  # the database never gave number 7
    assert "models/7" in opened.notices[0]
    opened.close()
    again = open_workspace(root)
    assert again.notices == []
    assert (root / "models" / "7" / "file").is_file()
    (number,) = again.database.row("select nextval('model_id')") or (0,)
    assert number == 8
    again.close()


def test_a_log_that_is_whole_or_cut_by_a_crash_is_no_damage(killed: Path, tmp_path: Path) -> None:
    whole = (killed / LOG).read_bytes()
    log = tmp_path / "log"
    assert not drops_commits(log)
    commits = [place for place in range(len(whole)) if whole.startswith(bytes.fromhex("640064ffff"), place)]
    last = commits[-2] + 5  # what follows was never acknowledged until the very last byte is there
    for size in [0, 1, 2, 8, 20, last, *range(last, len(whole) - 13, 97), len(whole)]:
        log.write_bytes(whole[:size])
        assert not drops_commits(log), size


def test_a_cut_log_opens_with_what_is_whole(root: Path) -> None:
    os.truncate(root / LOG, (root / LOG).stat().st_size - 1)
    opened = open_workspace(root)
    assert opened.database.row("select count(*) from image") == (CHECKPOINTED + LOGGED - 10,)
    opened.close()


# What must be refused by name and left as it is.


def _checksum(block: bytes) -> int:
    found = 5381
    for (word,) in struct.iter_unpack("<Q", block):
        found ^= word * 0xBF58476D1CE4E5B9 & (1 << 64) - 1
    return found


def test_a_database_of_a_newer_engine_is_refused_and_left_alone(root: Path) -> None:
    content = bytearray((root / DB).read_bytes())
    assert _checksum(bytes(content[8:4096])) == struct.unpack_from("<Q", content)[0]
    struct.pack_into("<Q", content, 12, 2000)  # the version, behind checksum and "DUCK"
    struct.pack_into("<Q", content, 0, _checksum(bytes(content[8:4096])))
    (root / DB).write_bytes(content)
    before = everything(root)
    with pytest.raises(FieldmarkError, match=r"newer DuckDB.*upgrade Fieldmark"):
        open_workspace(root)
    assert everything(root) == before


def test_a_log_of_a_newer_engine_is_refused_and_left_alone(root: Path) -> None:
    _overwrite(root / LOG, 5, b"\x09")
    before = everything(root)
    with pytest.raises(FieldmarkError, match=r"newer DuckDB.*upgrade Fieldmark"):
        open_workspace(root)
    assert everything(root) == before


def test_a_file_of_another_program_is_refused_and_left_alone(root: Path) -> None:
    (root / DB).write_bytes(b"SQLite format 3\0" + bytes(5000))
    before = everything(root)
    with pytest.raises(FieldmarkError, match=r"can't be opened"):
        open_workspace(root)
    assert everything(root) == before


def test_a_damaged_log_is_left_alone_while_another_process_holds_the_database(root: Path) -> None:
    hold = f"import duckdb; held = duckdb.connect({str(root / DB)!r}); print(1, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None and other.stdout is not None
        other.stdout.readline()
        _overwrite(root / LOG, 0, b"damage") if (root / LOG).exists() else (root / LOG).write_bytes(
            b"damage" * 99
        )
        before = everything(root)
        with pytest.raises(FieldmarkError, match=f"in use by process {other.pid}"):
            open_workspace(root)
        assert everything(root) == before
        other.stdin.write("\n")


OPEN = """
import os, sys
from pathlib import Path
import duckdb
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.workspace import create_workspace
if sys.argv[2:]:
    os.setgroups([])
    os.setuid(int(sys.argv[2]))
try:
    create_workspace(Path(sys.argv[1])).close()
except FieldmarkError as error:
    print(error)
"""


def _opened_by_child(root: Path, *, before: Callable[[], None] | None = None, user: int | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-c", OPEN, str(root), *([] if user is None else [str(user)])],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=before,
    )
    return done.stdout


def _no_file_grows() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def test_a_full_disk_is_named_and_leaves_nothing_that_looks_like_damage(tmp_path: Path) -> None:
    said = _opened_by_child(tmp_path / "ws", before=_no_file_grows)
    assert "can't be opened" in said
    assert "File too large" in said
    assert not (tmp_path / "ws" / DB).exists()
    opened = create_workspace(tmp_path / "ws")
    assert opened.notices == []
    opened.close()


def test_a_damaged_log_on_a_full_disk_is_refused_until_a_copy_can_be_kept(root: Path) -> None:
    _overwrite(root / LOG, 0, b"damage")
    before = everything(root)
    said = _opened_by_child(root, before=_no_file_grows)
    assert "a copy can't be kept" in said
    assert everything(root) == before


@pytest.mark.parametrize("name", [DB, LOG])
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as a user without rights")
def test_a_file_that_may_not_be_read_is_named_and_left_alone(killed: Path, name: str) -> None:
    root = Path(f"/tmp/fieldmark-rights-{os.getpid()}")  # a folder that any user may enter
    shutil.copytree(killed, root)
    try:
        for path in [root, *root.rglob("*")]:
            path.chmod(0o777)
        (root / name).chmod(0)
        before = everything(root)
        said = _opened_by_child(root, user=65534)
        assert str(root / name) in said
        assert "may not be written" in said or "Permission denied" in said
        assert everything(root) == before
    finally:
        shutil.rmtree(root)


@pytest.mark.parametrize(
    "text",
    [
        'Failure while replaying WAL file "/w/x.wal": Could not read from file "/w/x.wal": Input/output error',
        'Failure while replaying WAL file "/w/x.wal": Out of Memory Error: failed to allocate',
        "INTERNAL Error: Attempted to access index 3 within vector of size 2",
        'IO Error: Could not write file "/w/x": No space left on device',
        "Some words that nobody knows",
    ],
)
def test_an_error_that_is_not_known_as_damage_moves_nothing(tmp_path: Path, text: str) -> None:
    assert damage.damaged(duckdb.IOException(text), tmp_path / DB) is None


def test_a_short_read_counts_as_damage_only_when_the_file_ends_there(tmp_path: Path) -> None:
    path = tmp_path / DB
    path.write_bytes(bytes(1000))

    def short(place: int) -> duckdb.Error:
        return duckdb.IOException(
            f'IO Error: Could not read enough bytes from file "{path}": attempted to read 500 bytes from location {place}'
        )

    assert damage.damaged(short(600), path) == "database"
    assert damage.damaged(short(100), path) is None


# Damage that shows only later.


def test_damage_met_by_a_query_is_a_sentence(root: Path) -> None:
    (root / LOG).unlink()
    os.truncate(root / DB, 400_000)
    opened = open_workspace(root)
    with pytest.raises(FieldmarkError, match=r"is damaged .*restore a backup"):
        for (table,) in opened.database.rows("select table_name from duckdb_tables()"):
            opened.database.rows(f"select * from {table}")
    with pytest.raises(NotSaved, match=r"nothing was saved: .* is damaged"):
        opened.database.write(lambda cursor: cursor.execute("select * from image_event").fetchall())
    opened.close()


def test_an_engine_that_has_stopped_says_to_start_again(root: Path) -> None:
    opened = open_workspace(root)

    def stop(cursor: database.Cursor) -> None:
        raise duckdb.FatalException(
            "FATAL Error: Failed: database has been invalidated because of a previous fatal error"
        )

    with pytest.raises(NotSaved, match=r"has stopped .*start Fieldmark again"):
        opened.database.write(stop)
    opened.close()


# Checkpoints and locks.


def test_labels_written_long_after_a_checkpoint_leave_the_log(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_workspace(root)
    add = "insert into label (project_id, name, created) values (1, ?, now()::timestamp)"
    opened.database.write(lambda cursor: cursor.execute(add, ["soon"]).fetchall())
    assert (root / LOG).stat().st_size > 0
    monkeypatch.setattr(database, "CHECKPOINT_SECONDS", 0.0)
    opened.database.write(lambda cursor: cursor.execute(add, ["later"]).fetchall())
    assert not (root / LOG).exists() or (root / LOG).stat().st_size == 0
    opened.close()


def test_a_copy_made_for_a_migration_does_not_let_go_of_the_lock(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_workspace(root).close()
    newest = database.migrations()[-1][0]
    more = [*database.migrations(), (newest + 1, "create table added_later (id integer)")]
    monkeypatch.setattr(database, "migrations", lambda: more)
    opened = open_workspace(root)
    assert (root / f"fieldmark.schema-{newest}.duckdb").is_file()
    assert f"in use by process {os.getpid()}" in _opened_by_child(root)
    opened.close()
