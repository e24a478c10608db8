"""The worker process: `python -m fieldmark.core.worker runs/<id>`. It never opens the database."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from fieldmark.core.jobs.files import ERROR, JOB, LOCK, PID, RESULT, PredictJob, Step, TrainJob, append_step
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.files import fsync_file, fsync_folder, replacing

NICENESS = 10
GRACE_SECONDS = 3.0
"""How long a worker whose starter is gone may take to stop by itself; the next command waits for it."""


class Work:
    """What a job needs of its worker: a place to write, a way to tell, and whether it should stop."""

    def __init__(self, folder: Path, stop_with: int | None) -> None:
        self.folder = folder
        self.started = time.monotonic()
        self.stopping = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: self.stopping.set())
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if stop_with is not None:
            threading.Thread(target=self._watch, args=(stop_with,), daemon=True).start()

    def _watch(self, starter: int) -> None:
        while os.getppid() == starter:
            time.sleep(0.2)
        self.stopping.set()
        time.sleep(GRACE_SECONDS)
        os._exit(1)

    def cancelled(self) -> bool:
        """Return whether the person cancelled, or the process that asked for the work is gone."""
        return self.stopping.is_set()

    def tell(self, step: Step) -> None:
        """Report progress, stamped with the seconds since the start."""
        append_step(self.folder, step.model_copy(update={"seconds": self.seconds()}))

    def seconds(self) -> float:
        """Return wall seconds since the worker started its work."""
        return time.monotonic() - self.started


def _give_way() -> None:
    """Let whoever uses the machine go first, above all the app that started this.

    Where Linux groups processes by session, it weighs the groups before it looks inside: a worker has a session of its
    own, so without its group's niceness its own would mean nothing to the app.
    """
    os.nice(NICENESS)
    if os.getsid(0) == os.getpid():
        with suppress(OSError):  # no such grouping here
            Path("/proc/self/autogroup").write_text(str(NICENESS), "ascii")


def main() -> int:
    """Do the job in the folder named by the first argument; exit 0 with a result, 1 with `error.json`."""
    folder = Path(sys.argv[1])
    _give_way()
    with FileLock(folder / LOCK):
        with replacing(folder / PID) as file:
            file.write(str(os.getpid()).encode())
        try:
            _work(folder)
        except FieldmarkError as error:
            return _fail(folder, str(error))
        except MemoryError:
            return _fail(folder, "the machine ran out of memory: close other programs, or use fewer images")
        except OSError as error:
            traceback.print_exc()
            return _fail(folder, f"the worker could not read or write its files: {error.strerror or error}")
        except Exception as error:  # noqa: BLE001 - a worker answers with a sentence, whatever a plugin does
            traceback.print_exc()
            return _fail(
                folder, f"the worker failed ({type(error).__name__}: {error}); its log is in {folder}"
            )
    return 0


def _work(folder: Path) -> None:
    text = (folder / JOB).read_text("utf-8")
    job: TrainJob | PredictJob
    if json.loads(text)["kind"] == "train":
        from fieldmark.core.jobs.training_job import run_training

        job = TrainJob.model_validate_json(text)
        work = Work(folder, job.stop_with)
        unfinished = _fresh(folder)
        run_training(job, work, unfinished)
    else:
        from fieldmark.core.jobs.prediction_job import run_prediction

        job = PredictJob.model_validate_json(text)
        work = Work(folder, job.stop_with)
        unfinished = _fresh(folder)
        run_prediction(job, work, unfinished)
    _publish(unfinished, folder / RESULT)


def _fresh(folder: Path) -> Path:
    unfinished = folder / f"{RESULT}.tmp"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    return unfinished


def _publish(unfinished: Path, result: Path) -> None:
    """Make a result appear whole: what a plugin wrote reaches the disk before the rename does."""
    for path in [*unfinished.rglob("*"), unfinished]:
        (fsync_folder if path.is_dir() else fsync_file)(path)
    os.replace(unfinished, result)
    fsync_folder(result.parent)


def _fail(folder: Path, message: str) -> int:
    with replacing(folder / ERROR) as file:
        file.write(json.dumps({"error": message}).encode())
    return 1


if __name__ == "__main__":
    sys.exit(main())
