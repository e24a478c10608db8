import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fieldmark.storage.embeddings import EmbeddingCache

FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


def sha(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def vectors_of(numbers: list[int], dim: int = 5) -> np.ndarray:
    return np.array([np.arange(dim) + 100 * number for number in numbers], dtype=np.float32)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), dim=st.integers(1, 9), batches=st.lists(st.integers(0, 6), max_size=4))
def test_what_was_appended_is_read_back_exactly_in_the_order_asked(data, dim, batches):
    stored = {}
    with tempfile.TemporaryDirectory() as folder:
        cache = EmbeddingCache(Path(folder) / "fingerprint")
        for place, size in enumerate(batches):
            names = [sha(100 * place + row) for row in range(size)]
            vectors = data.draw(arrays(np.float32, (size, dim), elements=FINITE))
            cache.append(names, vectors)
            stored |= dict(zip(names, vectors, strict=True))
        asked = data.draw(st.lists(st.sampled_from([*stored, sha(-1), sha(-2)]), max_size=20))
        found, matrix = cache.read(asked, dim=dim)
    assert found.tolist() == [name in stored for name in asked]
    assert matrix.dtype == np.float32 and matrix.shape == (found.sum(), dim)
    for row, name in enumerate(name for name in asked if name in stored):
        assert matrix[row].tobytes() == stored[name].tobytes()


def test_what_is_held_is_told_without_reading_vectors_or_touching_a_damaged_file(tmp_path):
    cache = EmbeddingCache(tmp_path / "none")
    assert cache.holds([sha(1)]).tolist() == [False] and not cache.folder.exists()
    cache = EmbeddingCache(tmp_path)
    cache.append([sha(1), sha(2)], vectors_of([1, 2]))
    cache.append([sha(3)], vectors_of([3]))
    asked = [sha(3), sha(4), sha(1), sha(3)]
    assert cache.holds(asked).tolist() == cache.read(asked)[0].tolist() == [True, False, True, True]
    assert cache.holds([]).tolist() == []
    for path in tmp_path.glob("*.parquet"):
        if pq.read_table(path).num_rows == 1:
            path.write_bytes(path.read_bytes()[:-40])
    pq.write_table(pa.table({"name": ["a"]}), tmp_path / "foreign.parquet")
    files = sorted(tmp_path.iterdir())
    assert cache.holds(asked).tolist() == [False, False, True, False]
    assert sorted(tmp_path.iterdir()) == files


def test_an_empty_or_absent_folder_has_nothing(tmp_path):
    found, matrix = EmbeddingCache(tmp_path / "none").read([sha(1)])
    assert found.tolist() == [False] and matrix.shape == (0, 0)
    assert not (tmp_path / "none").exists()


def test_the_same_image_twice_in_the_cache_is_harmless(tmp_path):
    cache = EmbeddingCache(tmp_path)
    cache.append([sha(1), sha(2)], vectors_of([1, 2]))
    cache.append([sha(2), sha(3)], vectors_of([2, 3]))
    found, matrix = cache.read([sha(3), sha(2), sha(2)])
    assert found.all()
    assert np.array_equal(matrix, vectors_of([3, 2, 2]))


def test_shapes_that_do_not_fit_are_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(ValueError, match="2 images"):
        EmbeddingCache(tmp_path).append([sha(1), sha(2)], vectors_of([1]))
    assert list(tmp_path.iterdir()) == []


def _damage_truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20])


def _damage_flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    place = content.index(np.float32(104).tobytes())
    content[place] ^= 0xFF
    file.write_bytes(content)


def _damage_empty(file: Path) -> None:
    file.write_bytes(b"")


def _replace_foreign(file: Path) -> None:
    pq.write_table(pa.table({"a": [1, 2]}), file)


def _replace_other_length(file: Path) -> None:
    vectors = pa.FixedSizeListArray.from_arrays(pa.array([1.0, 2.0], pa.float32()), 2)
    pq.write_table(pa.table({"sha256": [sha(1)], "vector": vectors}), file)


def _replace_not_finite(file: Path) -> None:
    vectors = pa.FixedSizeListArray.from_arrays(pa.array([float("nan")] * 5, pa.float32()), 5)
    pq.write_table(pa.table({"sha256": [sha(1)], "vector": vectors}), file)


@pytest.mark.parametrize(
    "damage",
    [
        _damage_truncate,
        _damage_flip,
        _damage_empty,
        _replace_foreign,
        _replace_other_length,
        _replace_not_finite,
    ],
)
def test_a_damaged_file_is_set_aside_and_the_others_are_read(tmp_path, damage):
    cache = EmbeddingCache(tmp_path)
    cache.append([sha(1)], vectors_of([1]))
    (file,) = tmp_path.iterdir()
    damage(file)
    cache.append([sha(2)], vectors_of([2]))

    found, matrix = cache.read([sha(1), sha(2)], dim=5)

    assert found.tolist() == [False, True]
    assert np.array_equal(matrix, vectors_of([2]))
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".damaged", ".parquet"]
    cache.append([sha(1)], vectors_of([1]))
    assert cache.read([sha(1), sha(2)], dim=5)[0].all()


def test_a_disk_or_memory_that_refuses_says_nothing_against_the_file(tmp_path, monkeypatch):
    cache = EmbeddingCache(tmp_path)
    cache.append([sha(1)], vectors_of([1]))
    opened = Path.open
    for error in (PermissionError(13, "no"), OSError(24, "too many open files"), pa.ArrowMemoryError("full")):

        def refuse(path, mode, error=error):
            raise error

        monkeypatch.setattr(Path, "open", refuse)
        with pytest.raises(type(error)):
            cache.read([sha(1)])
        monkeypatch.setattr(Path, "open", opened)
    found, _ = cache.read([sha(1)])
    assert found.all()
    assert [path.suffix for path in tmp_path.iterdir()] == [".parquet"]


_APPEND = """
import sys
from pathlib import Path
import numpy as np
from fieldmark.storage.embeddings import EmbeddingCache
cache = EmbeddingCache(Path(sys.argv[1]))
for sha256, number in zip(sys.argv[3:], range(int(sys.argv[2]), 40)):
    cache.append([sha256], np.array([np.arange(5) + 100 * number], dtype=np.float32))
"""


def test_two_processes_add_at_once_and_lose_nothing(tmp_path):
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", _APPEND, tmp_path, str(first), *[sha(n) for n in range(first, first + 20)]]
        )
        for first in (0, 20)
    ]
    assert [worker.wait() for worker in workers] == [0, 0]
    found, matrix = EmbeddingCache(tmp_path).read([sha(number) for number in range(40)])
    assert found.all()
    assert np.array_equal(matrix, vectors_of(list(range(40))))
    assert all(path.suffix == ".parquet" for path in tmp_path.iterdir())
