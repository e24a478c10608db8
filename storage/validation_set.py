"""The images that somebody marked for a set by hand: how many, and of which labels."""

from __future__ import annotations

from dataclasses import dataclass

from fieldmark.storage.database import Database
from fieldmark.storage.labels import LabelCount


@dataclass(frozen=True, slots=True)
class MarkedImages:
    """The images of one user-defined set."""

    images: int
    labels: tuple[LabelCount, ...]
    """Those that any of the images carries, by name."""


def marked_images(db: Database, project_id: int, split: str = "validation") -> MarkedImages:
    """Return how many images of a project are marked as `validation` or `test`, and how they are labelled."""
    total = db.row("select count(*) from image where project_id = ? and split = ?", [project_id, split])
    rows = db.rows(
        "select l.name, count(*), count(*) filter (where i.default_label_id = l.id)"
        " from image i join annotation a on a.image_id = i.id join label l on l.id = a.label_id"
        " where i.project_id = ? and i.split = ? group by l.id, l.name order by l.name",
        [project_id, split],
    )
    return MarkedImages(total[0] if total else 0, tuple(LabelCount(*row) for row in rows))
