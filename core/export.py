"""Results leave: one exporter writes one file, whole or not at all."""

from __future__ import annotations

import os
import stat
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fieldmark.core.contracts.exporter import Exporter
from fieldmark.core.plugin_calls import blamed_on
from fieldmark.core.predict import Predicted, export_context, export_records, recall
from fieldmark.core.sources.rules import cause
from fieldmark.storage.errors import FieldmarkError, NotFound
from fieldmark.storage.files import replacing
from fieldmark.storage.projects import Project, project_by_id
from fieldmark.storage.workspace import Workspace

if TYPE_CHECKING:
    from fieldmark.core.active_runs import ActiveRuns


def check_target(exporter: Exporter[Any], target: Path, workspace: Path, inputs: Sequence[Path]) -> None:
    """Raise `FieldmarkError` now rather than after the work when the file can't or must not be written.

    It may lie neither in the workspace nor over one of the files that are to be predicted.
    """
    if exporter.exports != "predictions":
        raise FieldmarkError(
            f"the exporter {exporter.name!r} writes labels, not predictions: choose another format"
        )
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        mode = 0
    except (OSError, ValueError) as error:
        raise FieldmarkError(f"{target} can't be written: {cause(error)}; name another file") from error
    place = Path(os.path.realpath(target))
    if place.is_relative_to(os.path.realpath(workspace)):
        raise FieldmarkError(
            f"{target} lies in the workspace, which is Fieldmark's own: name a file elsewhere"
        )
    if place.exists() and any(place.is_relative_to(os.path.realpath(path)) for path in inputs):
        raise FieldmarkError(f"{target} is one of the files to be predicted: name another file")
    if stat.S_ISDIR(mode):
        raise FieldmarkError(
            f"{target} is a folder: name a file, such as {target / ('predictions' + exporter.suffix)}"
        )
    if not target.absolute().parent.is_dir():
        raise FieldmarkError(
            f"the folder {target.absolute().parent} is not there: make it first, or name another file"
        )


@dataclass(frozen=True, slots=True)
class Download:
    """A file made for one download; whoever sends it removes it."""

    path: Path
    name: str


def export_run(workspace: Workspace, runs: ActiveRuns, exporter: Exporter[Any], run_id: int) -> Download:
    """Write what a run predicted to a file of its own, to be sent and removed.

    Raises `FieldmarkError` when there is nothing to export, or images that the format needs are gone.
    """
    if exporter.exports != "predictions":
        raise FieldmarkError(
            f"the exporter {exporter.name!r} writes labels, not predictions: choose another format"
        )
    outcome = recall(workspace, run_id)
    remembered = runs.predicted(run_id)
    outcome.paths = remembered.paths if remembered else {}
    project = project_by_id(workspace.database, outcome.model.project_id)
    if project is None:
        raise NotFound("the project of that prediction was deleted")
    target = workspace.staging_folder / f"download-{uuid.uuid4().hex}"
    export_predictions(workspace, exporter, project, outcome, target)
    return Download(target, f"{outcome.model.name}-{outcome.checkpoint}-run{run_id}{exporter.suffix}")


def export_predictions(
    workspace: Workspace, exporter: Exporter[Any], project: Project, outcome: Predicted, target: Path
) -> list[str]:
    """Write what was predicted to `target`; return a sentence for each thing that the format could not carry.

    Raises `FieldmarkError` that names the exporter or the target; then `target` is as it was.
    """
    context = export_context(outcome, project)
    title = f"exporter '{exporter.name}'"
    with blamed_on(title):
        lost = exporter.loses(context)
    with replacing(target) as file, blamed_on(title, OSError):  # `replacing` says which file a full disk hit
        exporter.write(export_records(workspace, outcome), context, file)
    return lost
