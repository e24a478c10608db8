"""Images from strangers, decoded where they can do no harm: in child processes with limits."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fieldmark.storage.errors import FieldmarkError

_START_SECONDS = 60.0
_LONGEST_ANSWER = 1 << 16
_WINDOW = 8
"""Images under way or waiting for their turn, for each child."""
_MOST_CHILDREN = 16


@dataclass(frozen=True, slots=True)
class DecodeJob:
    """One image file to check; the thumbnail's folder must exist. `key` comes back untouched."""

    path: Path
    thumbnail: Path
    key: Any = None


@dataclass(frozen=True, slots=True)
class Decoded:
    """A sound image, whose thumbnail (JPEG, upright, longest side 256 pixels) is written."""

    width: int
    """Pixels, upright, as is `height`."""
    height: int
    format: str
    """JPEG, PNG, WEBP, GIF, BMP or TIFF, by its content."""
    orientation: int
    """EXIF orientation of the file, 1 to 8; 1 is upright."""
    frames: int
    mode: str
    """Pillow's name for the pixels in the file, such as RGB, L, P or CMYK."""
    phash: str | None
    """See `fieldmark.core.pictures.perceptual.perceptual_hash`."""
    notes: tuple[str, ...] = ()
    """What was done to it that a person should know."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An image that is not taken; `reason` continues a sentence that begins with its name."""

    reason: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What one image may cost. How large it may be is in `fieldmark.core.pictures.pixels`."""

    cpu_seconds: int = 10
    wall_seconds: float = 30.0
    memory_bytes: int = 3 << 29
    """Address space of a child, its libraries included."""


class Decoders:
    """A pool of child processes that decode images; a context manager.

    Children start when there is work, run niced, and end when the pool is closed or this process dies. One
    that dies or takes too long is replaced, and the image it was at is refused.
    """

    def __init__(self, count: int | None = None, limits: Limits = Limits()) -> None:
        self._count = count or min(_processors(), _MOST_CHILDREN)
        self._limits = limits
        self._lock = threading.Lock()
        self._children: set[_Child] = set()
        self._idle: list[_Child] = []
        self._closed = False
        self._threads = ThreadPoolExecutor(self._count, thread_name_prefix="decode")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all children, whatever they are at; the pool can't be used afterwards."""
        with self._lock:
            self._closed = True
            children = list(self._children)
        self._threads.shutdown(wait=False, cancel_futures=True)
        for child in children:
            child.kill()
        self._threads.shutdown(wait=True)
        for child in children:
            child.release()
        self._children.clear()
        self._idle.clear()

    def check(self, jobs: Iterable[DecodeJob]) -> Iterator[tuple[DecodeJob, Decoded | Refused]]:
        """Decode each image in full, write its thumbnail, and yield what became of it, in order.

        Takes jobs only a little ahead of what it yields. Raises `FieldmarkError` when no child can be started.
        """
        pending: deque[tuple[DecodeJob, Future[Decoded | Refused]]] = deque()
        try:
            for job in jobs:
                pending.append((job, self._threads.submit(self._decode, job)))
                if len(pending) >= _WINDOW * self._count:
                    done, future = pending.popleft()
                    yield done, future.result()
            while pending:
                done, future = pending.popleft()
                yield done, future.result()
        finally:
            for _, future in pending:
                future.cancel()

    def _decode(self, job: DecodeJob) -> Decoded | Refused:
        child = self._take()
        result = child.decode(job)
        with self._lock:
            if child.usable and not self._closed:
                self._idle.append(child)
            elif not self._closed:
                self._children.discard(child)
                child.release()
        return result

    def _take(self) -> _Child:
        with self._lock:
            while self._idle:
                child = self._idle.pop()
                if child.process.poll() is None:
                    return child
                self._children.discard(child)
                child.release()
            if self._closed:
                raise FieldmarkError("The image decoders are closed.")
            child = _Child(self._limits)
            self._children.add(child)
        child.wait_until_ready()
        return child


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Child:
    """One decoding process; used by one thread at a time, but may be killed by any."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.usable = True
        # -P: nothing is imported from the folder the person happens to be in. Its own session: an interrupt from
        # the keyboard is for this process, which then ends its children in order.
        self.process = subprocess.Popen(
            [
                sys.executable, "-P", "-m", "fieldmark.core.pictures.decode_child",
                str(limits.cpu_seconds), str(limits.memory_bytes),
            ],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0,
            start_new_session=True, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip

    def wait_until_ready(self) -> None:
        try:
            ready = json.loads(self._line(_START_SECONDS) or b"{}").get("ready")
        except (ValueError, TimeoutError):
            ready = None
        if not ready:
            self.kill()
            raise FieldmarkError(
                "The image decoder did not start. Run `python -m fieldmark.core.pictures.decode_child 10 2000000000` to see"
                " why; it should wait for input."
            )

    def decode(self, job: DecodeJob) -> Decoded | Refused:
        question = json.dumps({"path": str(job.path.absolute()), "thumbnail": str(job.thumbnail.absolute())})
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(question.encode("ascii") + b"\n")
            answer = json.loads(self._line(self.limits.wall_seconds) or b"null")
            if "refused" in answer:
                return Refused(str(answer["refused"]))
            return Decoded(**{**answer, "notes": tuple(answer["notes"])})
        except TimeoutError:
            self.kill()
            return Refused(
                f"took more than {self.limits.wall_seconds:g} s to decode; try again when the machine is less busy"
            )
        except (OSError, ValueError, TypeError, KeyError):
            self.kill()
            return Refused(self._epitaph())

    def _line(self, seconds: float) -> bytes:
        """Return the next line of output, or what there was of it when the process ended."""
        assert self.process.stdout is not None
        output = self.process.stdout.fileno()
        poll = select.poll()
        poll.register(output, select.POLLIN | select.POLLHUP)
        deadline = time.monotonic() + seconds
        line = b""
        while not line.endswith(b"\n") and len(line) < _LONGEST_ANSWER:
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                raise TimeoutError
            portion = os.read(output, _LONGEST_ANSWER)
            if not portion:
                break
            line += portion
        return line

    def _epitaph(self) -> str:
        ended_by = -self.process.wait()
        if ended_by == signal.SIGXCPU:
            return f"took more than {self.limits.cpu_seconds} s of processor time to decode"
        if ended_by == signal.SIGKILL:
            return "could not be decoded: the system ended the decoder, most likely for want of memory"
        return "made the decoder crash; save it anew with an image editor and upload that"

    def kill(self) -> None:
        self.usable = False
        self.process.kill()

    def release(self) -> None:
        """Wait for the end of a killed process and close its pipes."""
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
