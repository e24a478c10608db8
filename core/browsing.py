"""A project's images a page at a time, filtered, as a grid shows them."""

from __future__ import annotations

from fieldmark.core.contracts.terms import SPLITS, STATES
from fieldmark.core.paging import DEFAULT_PAGE, Page, check_limit, page_of, read_cursor
from fieldmark.core.pictures.showing import remember_pictures
from fieldmark.storage import browse
from fieldmark.storage.browse import ImageFilter, Tile
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.projects import Project
from fieldmark.storage.workspace import Workspace


def browse_images(
    workspace: Workspace,
    project: Project,
    chosen: ImageFilter,
    cursor: str | None = None,
    limit: int = DEFAULT_PAGE,
) -> Page[Tile]:
    """Return a page of a project's images, by id.

    Raises `FieldmarkError` for a filter, cursor or limit that can't be used.
    """
    if chosen.state is not None and chosen.state not in STATES:
        raise FieldmarkError(f"no image is {chosen.state!r}: a state is one of {', '.join(STATES)}")
    if chosen.split not in (None, "none", *SPLITS):
        raise FieldmarkError(f"there is no split {chosen.split!r}: it is one of {', '.join(SPLITS)}, none")
    after, limit = read_cursor(cursor), check_limit(limit)
    rows, total = browse.image_page(workspace.database, project.id, chosen, after, limit + 1)
    remember_pictures(workspace, {row.id: row.sha256 for row in rows})
    return page_of(rows, total, limit)
