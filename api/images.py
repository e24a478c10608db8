"""A project's images over REST: the list, the edits of labels, and the two files behind each image."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, StrictInt

from fieldmark.api.context import Context, ProjectInPath
from fieldmark.core.browsing import browse_images
from fieldmark.core.labelling import label_images
from fieldmark.core.open_app import held
from fieldmark.core.paging import DEFAULT_PAGE
from fieldmark.core.pictures import showing
from fieldmark.storage.browse import ImageFilter, Tile
from fieldmark.storage.edits import Edit
from fieldmark.storage.errors import FieldmarkError

router = APIRouter()

_ASK_AGAIN = {"Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}
"""Another workspace at the same address has other images under the same ids, so a browser must ask each time; the answer
is mostly a 304."""


class Annotations(BaseModel):
    """What is to be true of the images; `split` null takes them out of every user-defined set."""

    model_config = ConfigDict(extra="forbid")

    images: list[StrictInt]
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    default: str | None = None
    state: str | None = None
    split: str | None = None
    revisions: dict[int, StrictInt] = {}

    def edit(self) -> Edit:
        """Return the change in the words of core."""
        split = "none" if "split" in self.model_fields_set and self.split is None else self.split
        return Edit(self.add, self.remove, self.default, self.state, split)


@router.get("/projects/{project}/images")
def list_images(
    project: ProjectInPath,
    app: Context,
    text: str | None = None,
    label: Annotated[tuple[str, ...], Query()] = (),
    without: Annotated[tuple[str, ...], Query()] = (),
    default: str | None = None,
    state: str | None = None,
    split: str | None = None,
    ids: str | None = None,
    cursor: str | None = None,
    limit: int = DEFAULT_PAGE,
) -> dict[str, Any]:
    """Return a page of a project's images, by id; every filter that is given must hold."""
    chosen = ImageFilter(text, label, without, default, state, split, None if ids is None else _ids(ids))
    page = browse_images(app.workspace, project, chosen, cursor, limit)
    return {"images": [tile(row) for row in page.rows], "next": page.next, "total": page.total}


@router.post("/projects/{project}/annotations")
def annotate(wanted: Annotations, project: ProjectInPath, app: Context) -> dict[str, Any]:
    """Change labels, default label, state or split of many images at once, all or nothing.

    `images` shows each image as it is now. `conflicts` holds the ids that were left alone because their revision is
    not the one given under `revisions`, and `kept_labelled` those that were asked for another state but carry labels.
    """
    done = label_images(app.workspace, project, wanted.images, wanted.edit(), revisions=wanted.revisions)
    return {
        "changed": len(done.edited.changed),
        "conflicts": done.edited.conflicts,
        "kept_labelled": done.edited.kept_labelled,
        "images": [tile(row) for row in done.tiles],
    }


@router.get("/images/{image}/thumbnail", response_class=Response)
async def thumbnail(image: int, request: Request) -> Response:
    """Return an image's thumbnail: JPEG, longest side at most 256 pixels.

    A grid asks for hundreds at a time: what the browser has is answered without the database, and without a thread;
    only a file is read in one, because a slow disk must not hold up everybody's clicks.
    """
    workspace = held().workspace
    sha256 = showing.remembered_picture(workspace, image)
    if sha256 is None:
        sha256 = await run_in_threadpool(showing.picture, workspace, image)
    headers = {"ETag": f'"{sha256}"', **_ASK_AGAIN}
    if _has(request, sha256):
        return Response(status_code=304, headers=headers)
    content = await run_in_threadpool(showing.thumbnail, workspace, image)
    return Response(content, media_type="image/jpeg", headers=headers)


@router.get("/images/{image}/original", response_class=Response)
def original(image: int, request: Request, app: Context) -> Response:
    """Return an image's file as it was uploaded, or the part of it that a Range asks for."""
    found = showing.original(app.workspace, image)
    headers = {
        "ETag": f'"{found.sha256}"',
        # A picture from a stranger, opened by itself, runs nothing and reaches nothing.
        "Content-Security-Policy": "sandbox",
        "Content-Disposition": f"inline; filename*=UTF-8''{quote(found.name.rpartition('/')[2], safe='')}",
        **_ASK_AGAIN,
    }
    if _has(request, found.sha256):
        return Response(status_code=304, headers=headers)
    return FileResponse(found.path, media_type=found.media_type, headers=headers)


def tile(row: Tile) -> dict[str, Any]:
    """Return what a grid shows of an image."""
    return {
        "id": row.id,
        "name": row.name,
        "width": row.width,
        "height": row.height,
        "state": row.state,
        "split": row.split,
        "revision": row.revision,
        "labels": [{"name": label.name, "default": label.default} for label in row.labels],
    }


def _ids(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise FieldmarkError(f"{text[:60]!r} is no list of image ids: write them as 3,17,40") from None


def _has(request: Request, sha256: str) -> bool:
    """Tell whether the browser has the picture already; a cache on the way may have made the tag a weak one."""
    known = request.headers.get("if-none-match")
    if known is None:
        return False
    return known.strip() == "*" or f'"{sha256}"' in (
        tag.strip().removeprefix("W/") for tag in known.split(",")
    )
