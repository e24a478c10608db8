"""Runs over REST: trainings and predictions are started, watched and cancelled here, and their results leave."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from fieldmark.api.context import Context, ProjectInPath
from fieldmark.core.contracts.terms import CheckpointName, Task
from fieldmark.core.export import export_run
from fieldmark.core.models import find_model
from fieldmark.core.pictures.kinds import kind_of
from fieldmark.core.pictures.showing import MEDIA_TYPES
from fieldmark.core.projects import find_project
from fieldmark.core.run_progress import RunView
from fieldmark.core.train import TrainRequest
from fieldmark.storage.errors import FieldmarkError, NotFound

router = APIRouter()
CHUNK = 1 << 20


class TrainingWishes(BaseModel):
    """A training as a form sends it; what is left out takes the default of the app."""

    model_config = ConfigDict(extra="forbid")

    task: Task = "single-label"
    name: str | None = None
    trainer: str | None = None
    trainer_options: dict[str, Any] = {}
    backbone: str | None = None
    backbone_options: dict[str, Any] = {}
    labels: list[str] = []
    minutes: float = 1.0
    validation: float | Literal["user-defined"] = Field(0.2, description="fraction, or the user-defined set")
    seed: int = 0


class PredictionWishes(BaseModel):
    """What to predict with which model: files of an upload, those of an earlier prediction, or project images."""

    model_config = ConfigDict(extra="forbid")

    model: str
    checkpoint: CheckpointName = "best"
    upload: str | None = None
    earlier: int | None = None
    images: list[int] | Literal["all"] | None = None


@router.post("/projects/{project}/trainings", status_code=202)
def train(wishes: TrainingWishes, project: ProjectInPath, app: Context) -> dict[str, int]:
    """Start a training."""
    values = wishes.model_dump()
    values["labels"] = tuple(values["labels"])
    values["validation"] = None if wishes.validation == "user-defined" else wishes.validation
    return {"run": app.runs.train(project, TrainRequest(**values, offline=app.runs.offline))}


@router.post("/projects/{project}/predictions", status_code=202)
def predict(wishes: PredictionWishes, project: ProjectInPath, app: Context) -> dict[str, int]:
    """Start a prediction."""
    model = find_model(app.workspace, project, wishes.model)
    if wishes.images is not None:
        if wishes.upload or wishes.earlier is not None:
            raise FieldmarkError("give project images, or files, not both")
        chosen = None if wishes.images == "all" else wishes.images
        return {"run": app.runs.predict_images(model, wishes.checkpoint, chosen)}
    if wishes.upload is None and wishes.earlier is None:
        raise FieldmarkError("there is nothing to predict: give an upload, an earlier prediction, or images")
    received = app.runs.inbox.take(wishes.upload) if wishes.upload else None
    run = app.runs.predict_files(model, wishes.checkpoint, received=received, earlier=wishes.earlier)
    return {"run": run}


@router.get("/runs")
def list_runs(app: Context, active: bool = True, project: str | None = None) -> dict[str, Any]:
    """Return the runs at work, or the latest that have ended."""
    chosen = find_project(app.workspace, project).id if project is not None else None
    if active:
        return {"runs": [_view(view) for view in app.runs.active(chosen)]}
    if chosen is None:
        raise FieldmarkError("name a project to see its past runs")
    return {"runs": [_view(view) for view in app.runs.past(chosen)]}


@router.get("/runs/{run}")
def show_run(run: int, app: Context) -> dict[str, Any]:
    """Return how far a run is; an upload that has ended carries its report, as long as it is remembered."""
    report = app.runs.report(run)
    return {**_view(app.runs.view(run)), "report": asdict(report) if report else None}


@router.post("/runs/{run}/cancel")
def cancel_run(run: int, app: Context) -> dict[str, Any]:
    """Ask a run to stop."""
    app.runs.cancel(run)
    return _view(app.runs.view(run))


@router.get("/runs/{run}/report")
def download_report(run: int, app: Context) -> Response:
    """Return an upload's report as a JSON file."""
    report = app.runs.report(run)
    if report is None:
        raise NotFound("there is no report of that run any more: reports are kept until a restart")
    named = {"Content-Disposition": f'attachment; filename="upload-{run}.json"'}
    return JSONResponse(asdict(report), headers=named)


@router.get("/runs/{run}/images/{sha256}/{size}")
def predicted_file(run: int, sha256: str, size: Literal["thumbnail", "original"], app: Context) -> Response:
    """Return a predicted file or its thumbnail, while it is kept."""
    basket = app.runs.predicted_basket(run)
    path = basket.path_of(sha256)
    headers = {
        "Cache-Control": "private, max-age=3600",
        "ETag": f'"{sha256}-{size}"',
        "Content-Security-Policy": "sandbox",
    }
    if size == "thumbnail":
        return FileResponse(basket.thumbnail_path(sha256), media_type="image/jpeg", headers=headers)
    with path.open("rb") as file:
        kind = kind_of(file.read(32))
    return FileResponse(path, media_type=MEDIA_TYPES[kind or ""], headers=headers)


@router.get("/runs/{run}/download")
def download(run: int, format: str, app: Context) -> StreamingResponse:
    """Stream what a run predicted in one of the exporters' formats."""
    exporter = app.registry.exporter(format, {})
    made = export_run(app.workspace, app.runs, exporter, run)

    file = made.path.open("rb")
    size = made.path.stat().st_size
    made.path.unlink()  # the open file stays readable, and nothing is left behind when a download breaks off

    def chunks() -> Iterator[bytes]:
        with file:
            while chunk := file.read(CHUNK):
                yield chunk

    headers = {"Content-Disposition": f'attachment; filename="{made.name}"', "Content-Length": str(size)}
    return StreamingResponse(chunks(), media_type=exporter.media_type, headers=headers)


def _view(view: RunView) -> dict[str, Any]:
    return {**asdict(view), "active": view.active}
