"""Files on their way in: streamed to disk one by one under a token, then stored in a project or predicted."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict
from starlette.requests import ClientDisconnect

from fieldmark.api.context import Context, ProjectInPath
from fieldmark.core.pictures.staging import disk_reason
from fieldmark.core.sources.received import LARGEST_FILE, Received, checked_name
from fieldmark.core.upload import UploadWishes
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.labels import check_label

router = APIRouter()
SPARE_BYTES = 512 * 2**20
"""What an upload leaves free on the disk."""
CHECKED_EVERY = 64 * 2**20


class Wishes(BaseModel):
    """Which received files to store, and what to say about them."""

    model_config = ConfigDict(extra="forbid")

    upload: str
    labels: list[str] = []
    labels_from_folder: bool = False
    use_split: bool = False


@router.post("/uploads", status_code=201)
def new_upload(app: Context) -> dict[str, str]:
    """Make room for files to come."""
    return {"upload": app.runs.inbox.new().token}


@router.get("/uploads/{token}")
def show_upload(token: str, app: Context) -> dict[str, int]:
    """Return how much has arrived."""
    return _sums(app.runs.inbox.find(token))


@router.delete("/uploads/{token}", status_code=204)
def drop_upload(token: str, app: Context) -> None:
    """Forget files that arrived."""
    app.runs.inbox.drop(token)


@router.put("/uploads/{token}/files")
async def put_file(token: str, name: str, request: Request, app: Context) -> dict[str, Any]:
    """Take one file in, chunk by chunk; `name` is its path inside the folder it comes from."""
    received = app.runs.inbox.find(token)
    clean = checked_name(name)
    announced = request.headers.get("content-length", "")
    _check_room(received.folder, int(announced) if announced.isdecimal() else 0, clean)
    part = received.place()
    size = 0
    try:
        with part.open("wb") as file:
            async for chunk in request.stream():
                size += len(chunk)
                if size // CHECKED_EVERY != (size - len(chunk)) // CHECKED_EVERY:
                    _check_room(received.folder, 0, clean)
                if size > LARGEST_FILE:
                    raise FieldmarkError(f"{clean} is larger than {LARGEST_FILE // 2**30} GB: split it")
                file.write(chunk)
    except ClientDisconnect:
        part.unlink(missing_ok=True)
        raise FieldmarkError(f"{clean} broke off: send it again") from None
    except OSError as error:
        part.unlink(missing_ok=True)
        raise FieldmarkError(f"{clean}: {disk_reason(error)}") from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    received.keep(clean, part, size)
    return {"name": clean, "bytes": size}


@router.post("/projects/{project}/images", status_code=202)
def store(wishes: Wishes, project: ProjectInPath, app: Context) -> dict[str, int]:
    """Store received files in a project, in the background."""
    labels = tuple(check_label(label) for label in wishes.labels)
    received = app.runs.inbox.take(wishes.upload)
    chosen = UploadWishes(labels, wishes.labels_from_folder, wishes.use_split)
    return {"run": app.runs.upload(project, received, chosen)}


def _check_room(folder: Path, announced: int, name: str) -> None:
    if announced > LARGEST_FILE:
        raise FieldmarkError(f"{name} is larger than {LARGEST_FILE // 2**30} GB: split it")
    free = shutil.disk_usage(folder).free
    if announced + SPARE_BYTES > free:
        raise FieldmarkError(
            f"{name} does not fit: the disk has {free / 2**30:.1f} GB left; free some space and try again"
        )


def _sums(received: Received) -> dict[str, int]:
    return {"files": len(received.names), "bytes": sum(received.sizes.values())}
