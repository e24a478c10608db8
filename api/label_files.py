"""Label files of other tools over REST: looked at, tried, and read."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from fieldmark.api.context import Context, ProjectInPath
from fieldmark.core.ingest import import_labels

router = APIRouter()


class LabelFile(BaseModel):
    """A received label file, and how to read it."""

    model_config = ConfigDict(extra="forbid")

    upload: str
    format: str | None = None
    options: dict[str, Any] = {}
    use_split: bool = False
    dry_run: bool = False


@router.post("/projects/{project}/labels/import")
def read_labels(wanted: LabelFile, project: ProjectInPath, app: Context) -> dict[str, Any]:
    """Read labels for the project's images; a dry run reports what would change."""
    received = app.runs.inbox.find(wanted.upload)
    report = import_labels(
        app.workspace,
        app.registry,
        project,
        received.together(),
        format_name=wanted.format,
        options=wanted.options,
        use_split=wanted.use_split,
        dry_run=wanted.dry_run,
    )
    if not wanted.dry_run:
        app.runs.inbox.drop(wanted.upload)
    return asdict(report)
