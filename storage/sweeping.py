"""What no row points to is removed when a workspace opens, but only where the database can be trusted to know."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from fieldmark.storage.damage import left_aside
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.files import replacing

if TYPE_CHECKING:
    from fieldmark.storage.workspace import Workspace

KEPT = "unknown-folders-are-kept.txt"
_WHY = b"""The database of this workspace was damaged once, or met folders of models or runs that it has never made, as
after putting back a backup. So Fieldmark removes no image, model or run that the database doesn't know. When you
miss nothing any more, delete this file to let it tidy up again.
"""


def sweep(workspace: Workspace) -> list[str]:
    """Remove what no row points to: runs and models that ended while they were being removed, and after a
    crash staged files and images renamed before their row. Return a sentence for what a person should know.

    After damage, or when folders show that another database once ran this workspace (a backup was put back), this
    one doesn't know all that belongs to it: then only staged files go, and new models and runs get numbers that no
    folder has. Raises `FieldmarkError` when that can't be written down: then the workspace had better not be used.
    """
    mark = workspace.root / KEPT
    told = []
    if not mark.exists():
        strange = _strangers(workspace)
        after_damage = bool(left_aside(workspace.database.path))
        if strange or after_damage:
            with replacing(mark) as file:
                file.write(_WHY)
        if strange and not after_damage:  # after damage, the database's own notice has said so
            names = ", ".join(str(path) for path in strange[:5])
            told = [
                f"the database doesn't know {names}: kept, as nothing unknown is removed while {mark} exists"
            ]
    if mark.exists():
        _number_past_folders(workspace)
    left = list(workspace.staging_folder.iterdir())
    try:
        if not mark.exists():
            _remove_ended(workspace)
            if left:
                _remove_unknown_images(workspace)
    except FieldmarkError as error:  # a damaged part of the database; nothing may go that it may know of
        return [*told, f"nothing was tidied up in {workspace.root}: {error}"]
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return told


def _strangers(workspace: Workspace) -> list[Path]:
    """Return the folders with numbers that this database never gave."""
    issued = _issued(workspace)
    return [
        path
        for folder, sequence in _numbered(workspace)
        for path in folder.iterdir()
        if _number(path) > issued[sequence]
    ]


def _remove_ended(workspace: Workspace) -> None:
    db = workspace.database
    runs = {str(i) for (i,) in db.rows("select id from run where status in ('running', 'failed')")}
    pending = db.rows("select model_id from run where status = 'running' and model_id is not null")
    models = {str(i) for (i,) in [*db.rows("select id from model"), *pending]}
    for folder, kept in ((workspace.runs, runs), (workspace.models, models)):
        for path in folder.iterdir():
            if path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)


def _remove_unknown_images(workspace: Workspace) -> None:
    db = workspace.database
    db.write(
        lambda cursor: cursor.execute(
            "delete from content where sha256 not in (select sha256 from image)"
        ).fetchall()
    )
    known = {sha for (sha,) in db.rows("select sha256 from content")}
    for folder in (workspace.image_folder, workspace.thumbnail_folder):
        for path in folder.glob("*/*"):
            if path.name.removesuffix(".jpg") not in known:
                path.unlink()


def _number_past_folders(workspace: Workspace) -> None:
    """Give numbers away until those of all folders are behind: a new model must not take another's folder."""
    issued = _issued(workspace)
    for folder, sequence in _numbered(workspace):
        highest = max((_number(path) for path in folder.iterdir()), default=0)
        missing = highest - issued[sequence]
        if missing > 0:
            workspace.database.rows(f"select max(nextval('{sequence}')) from range(?)", [missing])


def _numbered(workspace: Workspace) -> Iterator[tuple[Path, str]]:
    yield workspace.models, "model_id"
    yield workspace.runs, "run_id"


def _issued(workspace: Workspace) -> dict[str, int]:
    """Return the last number that each sequence gave, 0 for none."""
    return dict(
        workspace.database.rows("select sequence_name, coalesce(last_value, 0) from duckdb_sequences()")
    )


def _number(path: Path) -> int:
    """Return the number a folder is called by, 0 for another name."""
    return int(path.name) if path.name.isascii() and path.name.isdecimal() and len(path.name) < 10 else 0
