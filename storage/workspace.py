"""The workspace folder: where everything lies, and the database that knows what is in it."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fieldmark.storage.database import Database
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.files import fsync_file, fsync_folder

DATABASE_NAME = "fieldmark.duckdb"


class Workspace:
    """One open workspace. Use `open_workspace` or `create_workspace`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.embeddings = root / "embeddings"
        self.models = root / "models"
        self.runs = root / "runs"
        self.weights = root / "weights"
        self.image_folder = root / "images"
        self._thumbnails = root / "thumbnails"
        self._staging = root / "staging"
        for folder in (
            self.embeddings, self.models, self.runs, self.image_folder, self._thumbnails, self._staging,
        ):  # fmt: skip
            folder.mkdir(exist_ok=True)
        self.database = Database(root / DATABASE_NAME, readable=self.embeddings)
        self._sweep()

    def close(self) -> None:
        """Release the database."""
        self.database.close()

    def image_path(self, sha256: str) -> Path:
        """Return where an image's bytes lie."""
        return self.image_folder / sha256[:2] / sha256

    def thumbnail_path(self, sha256: str) -> Path:
        """Return where an image's thumbnail (JPEG, longest side 256 px) lies."""
        return self._thumbnails / sha256[:2] / f"{sha256}.jpg"

    def embedding_folder(self, fingerprint: str) -> Path:
        """Return the folder of Parquet files that one backbone filled."""
        return self.embeddings / fingerprint

    def model_folder(self, model_id: int) -> Path:
        """Return a model's folder."""
        return self.models / str(model_id)

    def run_folder(self, run_id: int) -> Path:
        """Return a run's folder."""
        return self.runs / str(run_id)

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Give a folder that is empty now and gone after a good end.

        After an exception it stays, and so tells the next start to sweep, as after a crash.
        """
        folder = self._staging / uuid.uuid4().hex
        folder.mkdir()
        yield folder
        shutil.rmtree(folder, ignore_errors=True)

    def keep_image(self, staged: Path, staged_thumbnail: Path, sha256: str) -> None:
        """Move a checked image and its thumbnail to their places, surviving a power cut."""
        for source, target in (
            (staged_thumbnail, self.thumbnail_path(sha256)),
            (staged, self.image_path(sha256)),
        ):
            target.parent.mkdir(exist_ok=True)
            fsync_file(source)
            source.replace(target)
            fsync_folder(target.parent)

    def _sweep(self) -> None:
        """Remove what no row points to: runs and models that ended while they were being removed, and after a
        crash staged files and images renamed before their row."""
        runs = {
            str(i) for (i,) in self.database.rows("select id from run where status in ('running', 'failed')")
        }
        pending = self.database.rows(
            "select model_id from run where status = 'running' and model_id is not null"
        )
        models = {str(i) for (i,) in [*self.database.rows("select id from model"), *pending]}
        for folder, kept in ((self.runs, runs), (self.models, models)):
            for path in folder.iterdir():
                if path.name not in kept:
                    shutil.rmtree(path, ignore_errors=True)
        left = list(self._staging.iterdir())
        if not left:
            return
        known = {sha for (sha,) in self.database.rows("select sha256 from content")}
        for folder in (self.image_folder, self._thumbnails):
            for path in folder.glob("*/*"):
                if path.name.removesuffix(".jpg") not in known:
                    path.unlink()
        for path in left:
            shutil.rmtree(path, ignore_errors=True)


def open_workspace(root: Path) -> Workspace:
    """Open an existing workspace; raises `FieldmarkError` naming the absolute path when there is none."""
    root = root.resolve()
    if not (root / DATABASE_NAME).is_file():
        raise FieldmarkError(
            f"there is no workspace at {root}: make one with 'fieldmark project create NAME', "
            "or name another with --workspace"
        )
    return Workspace(root)


def create_workspace(root: Path) -> Workspace:
    """Open the workspace, making it first where there is none."""
    root = root.resolve()
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FieldmarkError(f"the workspace {root} can't be made: {error.strerror}") from error
    return Workspace(root)
