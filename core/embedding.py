"""From image files to embeddings: decode, embed, cache. Each image is computed once, ever."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fieldmark.core.contracts.backbone import Backbone
from fieldmark.core.contracts.plugin import PluginError
from fieldmark.core.pictures.pixels import UnreadableImage, open_upright
from fieldmark.storage.embeddings import EmbeddingCache
from fieldmark.storage.errors import FieldmarkError

_CONCURRENT_BATCH = 16
"""Images that one thread decodes and embeds in one go; larger batches fall out of the processor's cache."""
_CACHE_BATCH = 512
_CACHE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class EmbedItem:
    """An image to embed: its content's hash and where the file lies."""

    sha256: str
    path: Path


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors for those items that have one."""

    found: NDArray[np.bool_]
    """bool [n]: which items have a vector."""
    matrix: NDArray[np.float32]
    """float32 [found, dim], in the order of the items."""
    failures: list[tuple[int, str]]
    """Index of an item without a vector, and why, as a sentence; what a cancelled run did not reach is not listed."""
    seconds: float
    computed: int
    """Different images that went through the backbone."""
    from_cache: int
    """Different images that were cached already."""
    cancelled: bool = False


@dataclass(slots=True)
class _Batch:
    """What one thread made of a few files."""

    sha256s: list[str]
    images: list[Image.Image]
    vectors: NDArray[np.float32] | None
    failures: dict[str, str]


def embed_images(
    backbone: Backbone[Any],
    items: Sequence[EmbedItem],
    cache: EmbeddingCache,
    *,
    threads: int | None = None,
    report: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Embedded:
    """Return a vector for every item whose file can be decoded, computing only what is not cached.

    `backbone` is loaded, and `cache` is that of its fingerprint. New vectors are cached as the work goes, so a run
    that is cancelled or killed keeps what it has. `threads` None takes every core this process may use. `report`
    gets (different images done, in all) and `cancelled` is asked between batches; both are called on the calling
    thread. Raises `FieldmarkError` when the backbone fails or the cache can't be written.
    """
    started = time.monotonic()
    sha256s = [item.sha256 for item in items]
    todo = {item.sha256: item.path for item in items}
    found, matrix = cache.read(sha256s, dim=backbone.dim)
    for index in np.flatnonzero(found):
        todo.pop(sha256s[index], None)
    total = len(set(sha256s))
    from_cache = total - len(todo)
    failures: dict[str, str] = {}
    computed = 0
    stopped = False
    if report:
        report(from_cache, total)
    if todo:
        del matrix
        writer = _Writer(cache)
        batches = _batches(backbone, list(todo.items()), threads or _cores())
        try:
            with closing(batches):
                for batch in batches:
                    failures |= batch.failures
                    computed += writer.add(batch)
                    if report:
                        report(from_cache + computed + len(failures), total)
                    if cancelled and cancelled():
                        stopped = True
                        break
        finally:
            writer.flush()
        found, matrix = cache.read(sha256s, dim=backbone.dim)
    listed = [(index, failures[sha256]) for index, sha256 in enumerate(sha256s) if sha256 in failures]
    return Embedded(found, matrix, listed, time.monotonic() - started, computed, from_cache, stopped)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _batches(
    backbone: Backbone[Any], files: list[tuple[str, Path]], threads: int
) -> Generator[_Batch, None, None]:
    """Yield batches with vectors as they are ready, in order, a bounded number in memory."""
    size = min(_CONCURRENT_BATCH, backbone.batch_size) if backbone.concurrent else backbone.batch_size

    def work(chunk: list[tuple[str, Path]]) -> _Batch:
        batch = _decode(chunk, backbone.short_side)
        return _embed(backbone, batch) if backbone.concurrent else batch

    # One decoder needs to be ahead of a backbone that computes on this thread; more would only use memory.
    ahead = 2 * threads if backbone.concurrent else max(2, threads)
    pending: deque[Future[_Batch]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="embed")
    try:
        for start in range(0, len(files), size):
            pending.append(pool.submit(work, files[start : start + size]))
            if len(pending) >= ahead:
                yield _finished(backbone, pending.popleft())
        while pending:
            yield _finished(backbone, pending.popleft())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _finished(backbone: Backbone[Any], future: Future[_Batch]) -> _Batch:
    batch = future.result()
    return batch if backbone.concurrent else _embed(backbone, batch)


def _decode(chunk: list[tuple[str, Path]], short_side: int) -> _Batch:
    batch = _Batch([], [], None, {})
    for sha256, path in chunk:
        try:
            image = open_upright(path, short_side)
        except UnreadableImage as error:
            batch.failures[sha256] = str(error)
        else:
            batch.sha256s.append(sha256)
            batch.images.append(image)
    return batch


def _embed(backbone: Backbone[Any], batch: _Batch) -> _Batch:
    """Fill in the vectors and let go of the pixels."""
    images, batch.images = batch.images, []
    if not images:
        return batch
    try:
        vectors = np.asarray(backbone.embed(images), dtype=np.float32)
    except FieldmarkError:
        raise
    except Exception as error:
        raise PluginError(
            f"The backbone {backbone.name} failed while embedding images ({type(error).__name__}: {error}); choose "
            "another backbone or tell its authors."
        ) from error
    if vectors.shape != (len(images), backbone.dim):
        raise PluginError(
            f"The backbone {backbone.name} returned an array of shape {vectors.shape} for {len(images)} images "
            f"instead of {(len(images), backbone.dim)}; choose another backbone or tell its authors."
        )
    finite = [bool(np.isfinite(vector).all()) for vector in vectors]
    for row in np.flatnonzero(np.logical_not(finite)):
        batch.failures[batch.sha256s[row]] = (
            f"The backbone {backbone.name} gave values that are not finite for this image; use another backbone."
        )
    batch.sha256s = [sha256 for sha256, good in zip(batch.sha256s, finite, strict=True) if good]
    batch.vectors = vectors[finite]
    return batch


class _Writer:
    """Gathers vectors into cache files that are neither tiny nor long in coming."""

    def __init__(self, cache: EmbeddingCache) -> None:
        self._cache = cache
        self._sha256s: list[str] = []
        self._vectors: list[NDArray[np.float32]] = []
        self._written = time.monotonic()

    def add(self, batch: _Batch) -> int:
        """Take a batch's vectors and return how many there were."""
        if batch.vectors is None or not len(batch.vectors):
            return 0
        self._sha256s += batch.sha256s
        self._vectors.append(batch.vectors)
        if len(self._sha256s) >= _CACHE_BATCH or time.monotonic() - self._written > _CACHE_SECONDS:
            self.flush()
        return len(batch.sha256s)

    def flush(self) -> None:
        if not self._sha256s:
            return
        sha256s, vectors = self._sha256s, np.concatenate(self._vectors)
        self._sha256s, self._vectors = [], []
        try:
            self._cache.append(sha256s, vectors)
        except OSError as error:
            raise FieldmarkError(
                f"Embeddings could not be saved in {self._cache.folder.parent.name}/ of the workspace "
                f"({error.strerror or type(error).__name__}): make room there or mend its permissions, then go on."
            ) from error
        self._written = time.monotonic()
