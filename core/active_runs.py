"""Runs that go on while pages come and go: started in the server, watched from every page, cancelled, taken in."""

from __future__ import annotations

import logging
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from fieldmark.core.basket import Basket
from fieldmark.core.contracts.terms import CheckpointName
from fieldmark.core.jobs import control
from fieldmark.core.jobs.control import AdoptedWorker, Cancelled, Worker
from fieldmark.core.jobs.files import Step, TrainJob
from fieldmark.core.jobs.files import read_job as read_job_file
from fieldmark.core.pictures.staging import Offer
from fieldmark.core.predict import Predicted, predict_basket, predict_project, start_prediction
from fieldmark.core.registry import Registry
from fieldmark.core.run_progress import RunProgress, RunView
from fieldmark.core.sources.received import KEPT_SECONDS, Inbox, Received
from fieldmark.core.train import TrainRequest, finish_training, start_training, take_in
from fieldmark.core.upload import UploadReport, UploadWishes, upload
from fieldmark.storage import runs
from fieldmark.storage.errors import FieldmarkError, NotFound, NotSaved
from fieldmark.storage.models import Model
from fieldmark.storage.projects import Project
from fieldmark.storage.runs import Run
from fieldmark.storage.workspace import Workspace

REMEMBERED = 50
"""Ended runs whose report or result is kept at hand."""
STOP_SECONDS = 15.0
SETTLE_SECONDS = 10.0
_log = logging.getLogger("fieldmark.runs")


@dataclass(slots=True)
class _Job:
    progress: RunProgress
    cancelled: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    report: UploadReport | None = None
    predicted: Predicted | None = None
    basket: Basket | None = None

    @property
    def at_work(self) -> bool:
        return self.thread is not None and self.thread.is_alive()


class ActiveRuns:
    """Every run of one open workspace. Safe to use from any thread."""

    def __init__(self, workspace: Workspace, registry: Registry, *, offline: bool = False) -> None:
        self._workspace = workspace
        self._registry = registry
        self.offline = offline
        self._lock = threading.Lock()
        self._jobs: dict[int, _Job] = {}
        self._starting = threading.Lock()
        """Held while a run is being started, so that nobody takes it for one that was lost."""
        self._settled = time.monotonic()
        self._closing = threading.Event()
        self.inbox = Inbox(workspace.staging_folder)

    def recover(self) -> list[str]:
        """Settle what a dead process left and follow the trainings that still go on; return a sentence for each."""
        told = self._settle_lost()
        for run in runs.running(self._workspace.database):
            folder = self._workspace.run_folder(run.id)
            job = read_job_file(folder)
            if run.kind == "train" and isinstance(job, TrainJob):
                self._follow_training(run, AdoptedWorker(folder), job.seconds)
                told.append(f"the training {run.name!r} still goes on")
        return told

    def train(self, project: Project, request: TrainRequest) -> int:
        """Start a training that outlives this process; return its run's id. Raises `FieldmarkError` when refused."""
        with self._starting:
            training = start_training(
                self._workspace, self._registry, project, request, outlives_starter=True
            )
            self._follow_training(training.run, training.worker, request.minutes * 60, training.notes)
        return training.run.id

    def upload(self, project: Project, received: Received, wishes: UploadWishes) -> int:
        """Store received files, which were taken from the inbox, in the background; return the run's id."""
        if not received.names:
            received.remove()
            raise FieldmarkError("nothing was sent: choose some images, a folder or a zip")

        def work(run: Run, job: _Job) -> None:
            total = received.total()

            def progress(seen: int) -> None:
                job.progress.tell(Step(stage="check", done=min(seen, total), total=total))

            progress(0)
            try:
                job.report = upload(
                    self._workspace, self._registry, project, received.offers(), wishes, progress,
                    job.cancelled.is_set,
                )  # fmt: skip
            finally:
                received.remove()
            self._end(run, "cancelled" if job.report.cut_short else "finished", summary(job.report))

        return self._start(
            lambda: runs.start_run(self._workspace.database, project.id, "upload", received.title()), work
        )

    def predict_files(
        self,
        model: Model,
        checkpoint: CheckpointName,
        *,
        received: Received | None = None,
        earlier: int | None = None,
    ) -> int:
        """Predict received files, which were taken from the inbox, with those of an earlier prediction of files.

        Returns the run's id.
        """
        basket = self.predicted_basket(earlier) if earlier is not None else None
        if basket is None:
            basket = Basket(self._workspace.staging_folder / f"basket-{uuid.uuid4().hex}")
        offered: list[Offer] = list(received.offers()) if received else []

        def work(run: Run, job: _Job) -> None:
            try:
                job.predicted = predict_basket(
                    self._workspace, run, model, checkpoint, basket, offered, offline=self.offline,
                    tell=job.progress.tell, cancelled=job.cancelled.is_set,
                )  # fmt: skip
            finally:
                shutil.rmtree(self._workspace.run_folder(run.id), ignore_errors=True)
                if received:
                    received.remove()

        return self._start(lambda: start_prediction(self._workspace, model), work, basket)

    def predict_images(
        self, model: Model, checkpoint: CheckpointName, image_ids: Sequence[int] | None = None
    ) -> int:
        """Predict images of the project, all or those named by id; return the run's id."""

        def work(run: Run, job: _Job) -> None:
            try:
                job.predicted = predict_project(
                    self._workspace, run, model, checkpoint, image_ids, offline=self.offline,
                    tell=job.progress.tell, cancelled=job.cancelled.is_set,
                )  # fmt: skip
            finally:
                shutil.rmtree(self._workspace.run_folder(run.id), ignore_errors=True)

        return self._start(lambda: start_prediction(self._workspace, model), work)

    def active(self, project_id: int | None = None) -> list[RunView]:
        """Return the runs at work, oldest first; runs whose end could not be recorded are settled now and then."""
        # While a run is being started, which may take seconds, no page waits for it here.
        if time.monotonic() - self._settled > SETTLE_SECONDS and not self._starting.locked():
            self._settle_lost()
        with self._lock:
            jobs = list(self._jobs.values())
        views = [job.progress.view() for job in jobs if not job.progress.ended]
        return [view for view in views if project_id in (None, view.project_id)]

    def past(self, project_id: int, limit: int = 20) -> list[RunView]:
        """Return a project's latest runs that have ended, the latest first."""
        ended = runs.latest_runs(self._workspace.database, project_id, limit)
        return [self.view(run.id) for run in ended]

    def view(self, run_id: int) -> RunView:
        """Return one run, at work or ended; raises `FieldmarkError` when there is none."""
        with self._lock:
            job = self._jobs.get(run_id)
        if job is not None:
            return job.progress.view()
        run = runs.run_by_id(self._workspace.database, run_id)
        if run is None:
            raise NotFound(f"there is no run {run_id}")
        return RunProgress(run).view()

    def report(self, run_id: int) -> UploadReport | None:
        """Return what became of an upload's files, while it is remembered."""
        job = self._job(run_id)
        return job.report if job else None

    def predicted(self, run_id: int) -> Predicted | None:
        """Return a prediction's outcome, while it is remembered."""
        job = self._job(run_id)
        return job.predicted if job else None

    def predicted_basket(self, run_id: int) -> Basket:
        """Return the files that a prediction was made on; raises `FieldmarkError` when they are gone."""
        job = self._job(run_id)
        if job is None or job.basket is None or job.basket.dropped:
            raise NotFound("the images of that prediction are gone, as after a restart: choose them again")
        return job.basket

    def cancel(self, run_id: int) -> None:
        """Ask a run to stop; one that has ended stays as it is."""
        job = self._job(run_id)
        if job is not None:
            job.cancelled.set()
        if job is None or not job.at_work:
            self._settle_lost()
        self.view(run_id)

    def drop_basket(self, run_id: int) -> None:
        """Let go of the files that a prediction was made on."""
        job = self._job(run_id)
        if job is not None and job.basket is not None:
            job.basket.drop()

    def wait(self, run_id: int, seconds: float | None = None) -> RunView:
        """Wait until a run has ended or the time is over."""
        job = self._job(run_id)
        if job is not None and job.thread is not None:
            job.thread.join(seconds)
        return self.view(run_id)

    def close(self) -> list[str]:
        """Let go: uploads and predictions are stopped, trainings go on by themselves. Return those trainings' names."""
        self._closing.set()
        with self._lock:
            jobs = [job for job in self._jobs.values() if not job.progress.ended]
        for job in jobs:
            if job.progress.run.kind != "train":
                job.cancelled.set()
        until = time.monotonic() + STOP_SECONDS
        for job in jobs:
            if job.thread is not None:
                job.thread.join(max(0.0, until - time.monotonic()))
        return [
            job.progress.run.name
            for job in jobs
            if job.progress.run.kind == "train" and not job.progress.ended
        ]

    def _job(self, run_id: int) -> _Job | None:
        with self._lock:
            return self._jobs.get(run_id)

    def _follow_training(self, run: Run, worker: Worker, seconds: float, notes: tuple[str, ...] = ()) -> None:
        job = _Job(RunProgress(run, train_seconds=seconds, notes=notes))

        def work(run: Run, job: _Job) -> None:
            finish_training(
                self._workspace, run, worker, job.progress.tell, job.cancelled.is_set, self._closing.is_set
            )

        self._follow(run, job, work)

    def _start(
        self, record: Callable[[], Run], work: Callable[[Run, _Job], None], basket: Basket | None = None
    ) -> int:
        with self._starting:
            run = record()
            self._follow(run, _Job(RunProgress(run), basket=basket), work)
        return run.id

    def _follow(self, run: Run, job: _Job, work: Callable[[Run, _Job], None]) -> None:
        def guarded() -> None:
            sentence = "it ended without saying why"
            try:
                work(run, job)
            except control.Left:
                return
            except Cancelled:
                sentence = "the server was stopped" if self._closing.is_set() else "cancelled"
            except NotSaved as error:
                # Nothing is recorded: what was finished waits in its folder until it can be.
                job.progress.settle(replace(run, status="failed", message=str(error)))
                return
            except FieldmarkError as error:
                sentence = str(error)
            except Exception as error:  # noqa: BLE001 - a thread has nobody above it who could tell the person
                _log.exception("run %s failed", run.id)
                sentence = f"it failed inside ({type(error).__name__}); the log of the server says where"
            self._settle(run, job, sentence)
            self._forget_old()

        job.thread = threading.Thread(target=guarded, name=f"run-{run.id}", daemon=True)
        with self._lock:
            self._jobs[run.id] = job
        job.thread.start()

    def _settle(self, run: Run, job: _Job, sentence: str) -> None:
        """Make sure that a run which nobody follows any more is not recorded as running."""
        try:
            found = runs.run_by_id(self._workspace.database, run.id)
            if found is not None and found.status == "running":
                self._end(run, "failed", sentence)
            elif found is not None and found.status == "cancelled" and self._closing.is_set():
                self._end(run, "interrupted", "the server was stopped")
            found = runs.run_by_id(self._workspace.database, run.id)
        except FieldmarkError as error:
            found = replace(run, status="failed", message=f"{sentence} ({error})")
        job.progress.settle(found or replace(run, status="failed", message=sentence))

    def _settle_lost(self) -> list[str]:
        """Settle runs that are recorded as running although nobody follows them and no worker does them."""
        with self._starting, self._lock:
            self._settled = time.monotonic()
            followed = {run_id for run_id, job in self._jobs.items() if job.at_work}
            lost = [job for job in self._jobs.values() if not job.at_work]
        told = control.recover(self._workspace, lambda run: take_in(self._workspace, run), followed)
        for job in lost:
            if told:
                job.progress.settle(runs.run_by_id(self._workspace.database, job.progress.run.id))
        return told

    def _end(self, run: Run, status: runs.RunStatus, message: str | None) -> None:
        self._workspace.database.write(lambda cursor: runs.finish_run(cursor, run.id, status, message))

    def _forget_old(self) -> None:
        with self._lock:
            ended = [run_id for run_id, job in self._jobs.items() if job.progress.ended]
            gone = [self._jobs.pop(run_id) for run_id in ended[:-REMEMBERED]]
            used = {id(job.basket) for job in self._jobs.values()}
            working = {id(job.basket) for job in self._jobs.values() if job.at_work}
            baskets = {id(job.basket): job.basket for job in [*gone, *self._jobs.values()] if job.basket}
        for key, basket in baskets.items():
            old = time.monotonic() - basket.touched > KEPT_SECONDS
            if key not in working and (old or key not in used):
                basket.drop()


def summary(report: UploadReport) -> str:
    """Return an upload's outcome in one sentence."""
    parts = [f"{report.stored} stored"]
    parts += [
        f"{len(found)} {word}"
        for word, found in (
            ("duplicates", report.duplicates), ("refused", report.refused), ("not images", report.skipped),
        )
        if found
    ]  # fmt: skip
    return ", ".join(parts)
