"""The embedding cache: append-only Parquet files, one folder for each backbone fingerprint."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

_COLUMNS = ["sha256", "vector"]


class EmbeddingCache:
    """Vectors by image sha256, under `embeddings/<fingerprint>/`.

    Every `append` writes one new file, so several processes may add at once and a process that is killed
    loses nothing that was written before. A file that cannot be read is renamed to `*.damaged` and its images
    count as not cached. A process that is killed while it writes leaves a hidden `.tmp` file, which nobody reads.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(
        self, sha256s: Sequence[str], *, dim: int | None = None
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Return which of the images are cached, and their vectors.

        With `dim`, a file whose vectors have another length is set aside as foreign; without it, the first file
        read decides.

        The mask is bool [n]; the matrix is float32 [found, dim], in the order asked for, dim 0 when none is
        found and `dim` is not given. Memory: the matrix and one batch of a few thousand rows. Raises `OSError`
        when the disk or the system refuses to read, which says nothing against the file.
        """
        wanted = _Wanted(sha256s, dim)
        for file in self._files():
            if wanted.complete:
                break
            try:
                for sha256s_found, vectors in _batches(file):
                    wanted.take(sha256s_found, vectors)
            except FileNotFoundError:
                continue
            except _set_aside_for():
                _set_aside(file)
            except OSError as error:
                if error.errno is not None:
                    raise
                _set_aside(file)  # Arrow's own word for content that does not add up
        return wanted.result()

    def holds(self, sha256s: Sequence[str]) -> NDArray[np.bool_]:
        """Return bool [n]: which of the images are cached, without reading a vector.

        A file that can't be read counts as holding nothing and stays where it is.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        missing = set(sha256s)
        for file in self._files():
            if not missing:
                break
            try:
                with file.open("rb") as opened, pq.ParquetFile(opened) as parquet:
                    if set(_COLUMNS) <= set(parquet.schema_arrow.names):
                        missing.difference_update(parquet.read(columns=["sha256"])["sha256"].to_pylist())
            except (OSError, pa.ArrowException):
                continue
        return np.array([sha256 not in missing for sha256 in sha256s], dtype=np.bool_)

    def append(self, sha256s: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Store float32 [n, dim] vectors, one for each sha256; nothing is written when n is 0.

        Raises `ValueError` when the shapes do not fit together and `OSError` when the disk refuses.
        """
        if vectors.ndim != 2 or len(sha256s) != len(vectors):
            raise ValueError(f"{len(sha256s)} images cannot have vectors of shape {vectors.shape}")
        if not sha256s:
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        values = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
        table = pa.table(
            {
                "sha256": pa.array(sha256s, pa.string()),
                "vector": pa.FixedSizeListArray.from_arrays(values, int(vectors.shape[1])),
            }
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        name = uuid.uuid4().hex
        temporary = self.folder / f".{name}.tmp"
        try:
            with temporary.open("xb") as file:
                # Vectors are noise to a compressor, and plain floats read fastest.
                pq.write_table(
                    table,
                    file,
                    compression="none",
                    use_dictionary=False,
                    write_statistics=False,
                    write_page_checksum=True,
                )
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(self.folder / f"{name}.parquet")
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(self.folder)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.parquet"))


class _Wanted:
    """Gathers the vectors of the images asked for, each into its place."""

    def __init__(self, sha256s: Sequence[str], dim: int | None) -> None:
        self._sha256s = sha256s
        self._row = {sha256: row for row, sha256 in enumerate(dict.fromkeys(sha256s))}
        self._found = np.zeros(len(self._row), dtype=np.bool_)
        self._dim = dim
        self._matrix = np.zeros((0, dim or 0), dtype=np.float32)

    @property
    def complete(self) -> bool:
        return bool(self._found.all())

    def take(self, sha256s: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Keep those vectors that are asked for; raises `_Foreign` when they have another length."""
        pairs = [(self._row[sha256], place) for place, sha256 in enumerate(sha256s) if sha256 in self._row]
        if not pairs:
            return
        if self._dim is None:
            self._dim = int(vectors.shape[1])
        if vectors.shape[1] != self._dim:
            raise _Foreign
        if not len(self._matrix):
            self._matrix = np.zeros((len(self._row), self._dim), dtype=np.float32)
        rows, places = np.array(pairs).T
        self._matrix[rows] = vectors[places]
        self._found[rows] = True

    def result(self) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        rows = np.array([self._row[sha256] for sha256 in self._sha256s], dtype=np.int64)
        found = self._found[rows]
        if found.all() and len(rows) == len(self._row):
            return found, self._matrix
        return found, self._matrix[rows[found]]


class _Foreign(Exception):
    """A Parquet file that holds something other than embeddings of this folder."""


def _set_aside_for() -> tuple[type[Exception], ...]:
    import pyarrow as pa

    return _Foreign, pa.ArrowInvalid, pa.ArrowNotImplementedError


def _batches(file: Path) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with file.open("rb") as opened, pq.ParquetFile(opened, page_checksum_verification=True) as parquet:
        schema = parquet.schema_arrow
        if not set(_COLUMNS) <= set(schema.names):
            raise _Foreign
        kind = schema.field("vector").type
        if not (pa.types.is_fixed_size_list(kind) and pa.types.is_float32(kind.value_type)):
            raise _Foreign
        if not pa.types.is_string(schema.field("sha256").type):
            raise _Foreign
        for batch in parquet.iter_batches(batch_size=2048, columns=_COLUMNS):
            yield _rows(batch, kind.list_size)


def _rows(batch: pa.RecordBatch, dim: int) -> tuple[list[str], NDArray[np.float32]]:
    column = batch.column("vector")
    if column.null_count or column.flatten().null_count:
        raise _Foreign
    vectors = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, dim)
    if not np.isfinite(vectors).all():
        raise _Foreign
    return batch.column("sha256").to_pylist(), vectors


def _set_aside(file: Path) -> None:
    # Another worker may have set it aside already.
    try:
        file.rename(file.with_name(file.name + ".damaged"))
    except FileNotFoundError:
        return


def _sync_folder(folder: Path) -> None:
    # Some systems (Windows, a few network drives) cannot fsync a folder; the file itself is safe by then.
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
