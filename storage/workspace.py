"""The workspace folder: where everything lies, and the database that knows what is in it."""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from fieldmark.storage import holder
from fieldmark.storage.damage import left_aside
from fieldmark.storage.database import Database
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.files import fsync_file, fsync_folder
from fieldmark.storage.sweeping import sweep

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
        self.thumbnail_folder = root / "thumbnails"
        self.staging_folder = root / "staging"
        for folder in (
            self.embeddings, self.models, self.runs, self.image_folder, self.thumbnail_folder, self.staging_folder,
        ):  # fmt: skip
            folder.mkdir(exist_ok=True)
        self.database = Database(root / DATABASE_NAME, readable=self.embeddings)
        self.notices = self.database.notices
        """A sentence for each file that was damaged and set aside when this workspace was opened."""
        self._moving = threading.Lock()
        self._removing = threading.Lock()
        self._arrived: set[str] | None = None
        """Pictures kept while others are being removed."""
        holder.withdraw(root)  # the database's lock is ours, so whoever wrote it is gone
        try:
            self.notices += sweep(self)
        except BaseException:
            self.database.close()
            raise

    def announce(self, address: str) -> None:
        """Tell whoever finds the workspace locked that it's served at `address` by this process."""
        holder.announce(self.root, address)

    def close(self) -> None:
        """Release the database; whatever `announce` told ends with it."""
        holder.withdraw(self.root, only_own=True)
        self.database.close()

    def image_path(self, sha256: str) -> Path:
        """Return where an image's bytes lie."""
        return self.image_folder / sha256[:2] / sha256

    def thumbnail_path(self, sha256: str) -> Path:
        """Return where an image's thumbnail (JPEG, longest side 256 px) lies."""
        return self.thumbnail_folder / sha256[:2] / f"{sha256}.jpg"

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
        folder = self.staging_folder / uuid.uuid4().hex
        folder.mkdir()
        yield folder
        shutil.rmtree(folder, ignore_errors=True)

    def keep_image(self, staged: Path, staged_thumbnail: Path, sha256: str) -> None:
        """Move a checked image and its thumbnail to their places, surviving a power cut."""
        with self._moving:
            if self._arrived is not None:
                self._arrived.add(sha256)
            for source, target in (
                (staged_thumbnail, self.thumbnail_path(sha256)),
                (staged, self.image_path(sha256)),
            ):
                target.parent.mkdir(exist_ok=True)
                fsync_file(source)
                source.replace(target)
                fsync_folder(target.parent)

    def remove_pictures(self, forget: Callable[[], Collection[str]]) -> int:
        """Remove the files of the pictures (sha256) that `forget` has taken out of the database; return how many.

        A picture that arrives again meanwhile keeps its files, whether or not its row is there yet. After a crash
        in between, the next start sweeps what no row points to.
        """
        removed = 0
        with self._removing, self.staging():
            self._arrived = set()
            try:
                for sha256 in forget():
                    with self._moving:
                        if sha256 not in self._arrived:
                            self.image_path(sha256).unlink(missing_ok=True)
                            self.thumbnail_path(sha256).unlink(missing_ok=True)
                            removed += 1
            finally:
                self._arrived = None
        return removed


def open_workspace(root: Path) -> Workspace:
    """Open an existing workspace; raises `FieldmarkError` naming the absolute path when there is none."""
    root = root.resolve()
    database = root / DATABASE_NAME
    if not database.is_file() and not (root.is_dir() and left_aside(database)):
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
