"""Jobs run in a process of their own: started, followed, cancelled, and taken in again after a crash."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Container, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from fieldmark.core.jobs.files import (
    DATASET,
    JOB,
    LOCK,
    LOG,
    PID,
    RESULT,
    PredictJob,
    ProgressReader,
    Step,
    TrainJob,
    read_error,
)
from fieldmark.core.jobs.process_environment import worker_environment
from fieldmark.storage import runs
from fieldmark.storage.errors import FieldmarkError, NotSaved
from fieldmark.storage.files import replacing
from fieldmark.storage.runs import Run
from fieldmark.storage.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

POLL_SECONDS = 0.05
STOP_SECONDS = 10.0
_KINDS: dict[runs.RunKind, str] = {"train": "training", "predict": "prediction", "upload": "upload"}


def launch(folder: Path, job: TrainJob | PredictJob, dataset: pa.Table) -> subprocess.Popen[bytes]:
    """Write the job's files and start its worker."""
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / DATASET) as file:
        pq.write_table(dataset, file)
    with replacing(folder / JOB) as file:
        file.write(job.model_dump_json(indent=2).encode())
    with (folder / LOG).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "fieldmark.core.worker", str(folder)],
            cwd=folder,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **worker_environment(), **_hub_cache(job.weights)},
        )


def _hub_cache(weights: Path) -> dict[str, str]:
    """Keep downloaded weights in the workspace, unless the person has a cache of the hub already."""
    return {} if {"HF_HOME", "HF_HUB_CACHE"} & set(os.environ) else {"HF_HUB_CACHE": str(weights)}


class Cancelled(FieldmarkError):
    """The person stopped the work."""


class Worker(Protocol):
    """A worker's process, as far as following it needs one: `subprocess.Popen`, or `AdoptedWorker`."""

    @property
    def pid(self) -> int:
        """Process id, which is its group's too."""

    def poll(self) -> int | None:
        """Return the exit status, or None while it works."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; raises `subprocess.TimeoutExpired`."""


class AdoptedWorker:
    """A worker that an earlier process started: known by its lock, which it holds while it lives."""

    def __init__(self, folder: Path) -> None:
        from filelock import FileLock

        self._folder = folder
        self._lock = FileLock(folder / LOCK)

    @property
    def pid(self) -> int:
        """Process id; raises `ProcessLookupError` where the worker has not written it."""
        try:
            return int((self._folder / PID).read_text("ascii"))
        except (OSError, ValueError):
            raise ProcessLookupError from None

    def poll(self) -> int | None:
        """Return 0 once nobody holds the lock: how it ended is told by its files."""
        from filelock import Timeout

        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return None
        self._lock.release()
        return 0

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; raises `subprocess.TimeoutExpired`."""
        until = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            if until is not None and time.monotonic() > until:
                raise subprocess.TimeoutExpired("worker", timeout or 0)
            time.sleep(POLL_SECONDS)
        return 0


class Left(Exception):
    """Whoever followed a worker goes, and the worker goes on."""


def follow(
    folder: Path,
    worker: Worker,
    cancelled: Callable[[], bool] = lambda: False,
    leaving: Callable[[], bool] = lambda: False,
) -> Iterator[Step]:
    """Yield the worker's steps until it has ended; closing or an exception here stops the worker.

    Raises `Cancelled`, or `FieldmarkError` with the worker's own sentence when it failed, or naming its log when it
    died. Once `leaving` is true, raises `Left` and lets the worker go on.
    """
    reader = ProgressReader(folder)
    try:
        while worker.poll() is None:
            if leaving():
                raise Left
            if cancelled():
                raise Cancelled("cancelled")
            yield from reader.fresh()
            time.sleep(POLL_SECONDS)
        yield from reader.fresh()
    except Left:
        raise
    except BaseException:
        stop(worker)
        raise
    if (folder / RESULT).exists():
        return
    raise FieldmarkError(read_error(folder) or _death(worker.poll(), folder / LOG))


def stop(worker: Worker) -> None:
    """Ask a worker to end and make sure that it does."""
    for ask in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(worker.pid, ask)
            worker.wait(STOP_SECONDS)
            return
        except (ProcessLookupError, PermissionError):
            with suppress(subprocess.TimeoutExpired):
                worker.wait(STOP_SECONDS)
            return
        except subprocess.TimeoutExpired:
            continue


def _death(returncode: int | None, log: Path) -> str:
    if returncode == -signal.SIGKILL:
        return "the worker was killed, probably because the machine ran out of memory: close other programs, or train on fewer images"
    return f"the worker ended without a result (exit {returncode}): {log} holds what it said last"


def recover(
    workspace: Workspace, take_in: Callable[[Run], object], followed: Container[int] = ()
) -> list[str]:
    """Settle runs that a dead process left: take in a finished result, else mark the run interrupted.

    A result that can't be taken in is removed and its run marked failed, so that one damaged run never stands in
    the way of the next command. A worker that is still at work for a process that lives on is left alone.
    `followed` are ids of runs that somebody follows. Returns a sentence for each.
    """
    return [
        _settle(workspace, run, take_in)
        for run in runs.running(workspace.database)
        if run.id not in followed and not _alive(workspace.run_folder(run.id))
    ]


def _settle(workspace: Workspace, run: Run, take_in: Callable[[Run], object]) -> str:
    folder = workspace.run_folder(run.id)
    model = workspace.model_folder(run.model_id) if run.kind == "train" and run.model_id else None
    if model is None or not ((folder / RESULT).exists() or model.exists()):
        _end(workspace, run, "interrupted", _left_error(folder))
        return f"the {_KINDS[run.kind]} {run.name!r} was interrupted"
    try:
        take_in(run)
    except NotSaved as error:
        return f"the training {run.name!r} has finished, but its model could not be taken in yet: {error}"
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one result, the next command must run
        reason = str(error) if isinstance(error, FieldmarkError) else f"{type(error).__name__}: {error}"
        sentence = (
            f"the training {run.name!r} had finished, but its result can't be used and was removed "
            f"({reason}): train again"
        )
        _end(workspace, run, "failed", sentence)
        shutil.rmtree(model, ignore_errors=True)
        return sentence
    return f"the training {run.name!r} had finished: its model is there now"


def _end(workspace: Workspace, run: Run, status: runs.RunStatus, message: str | None) -> None:
    workspace.database.write(partial(runs.finish_run, run_id=run.id, status=status, message=message))
    shutil.rmtree(workspace.run_folder(run.id), ignore_errors=True)


def _left_error(folder: Path) -> str | None:
    try:
        return read_error(folder)
    except (OSError, ValueError, LookupError):
        return None


def _alive(folder: Path) -> bool:
    """Return whether a worker holds the folder; one that stops with its dead starter is given time to."""
    if not (folder / JOB).exists():
        return False
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=STOP_SECONDS if _orphaned(folder) else 0)
    except Timeout:
        return True
    lock.release()
    return False


def _orphaned(folder: Path) -> bool:
    import json

    starter = json.loads((folder / JOB).read_text("utf-8")).get("stop_with")
    if starter is None:
        return False
    try:
        os.kill(starter, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
