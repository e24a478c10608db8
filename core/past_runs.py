"""Trainings and predictions that ended without a result: what a person is told of them afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fieldmark.storage import runs
from fieldmark.storage.projects import Project
from fieldmark.storage.runs import Run, RunKind
from fieldmark.storage.workspace import Workspace

LOOKED_AT = 200
"""Latest runs of a project among which those without a result are looked for."""
_WITHOUT_MESSAGE = {
    "cancelled": "It was cancelled; nothing of it was kept.",
    "interrupted": "It was interrupted, as when the machine stops; nothing of it was kept: start it again.",
    "failed": "It failed without saying why: the log of the server may know.",
}


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that left nothing."""

    kind: RunKind
    name: str
    """Of the model it was to make or to use."""
    status: runs.RunStatus
    sentence: str
    ended: datetime
    """UTC, naive."""


def runs_without_result(workspace: Workspace, project: Project, most: int = 20) -> list[EndedRun]:
    """Return the latest trainings and predictions that failed, were cancelled or interrupted, the latest first."""
    latest = runs.latest_runs(workspace.database, project.id, LOOKED_AT)
    found = [run for run in latest if run.kind != "upload" and run.status in _WITHOUT_MESSAGE]
    return [_ended(run) for run in found[:most]]


def _ended(run: Run) -> EndedRun:
    sentence = run.message or _WITHOUT_MESSAGE[run.status]
    return EndedRun(run.kind, run.name, run.status, sentence, run.finished or run.created)
