"""What the database knows before a training starts: how its images are labelled, how fast earlier ones went."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fieldmark.storage.database import Database

MOST_EARLIER = 5


@dataclass(frozen=True, slots=True)
class EarlierTraining:
    """A training that ended by itself, with what decides how long one takes."""

    seconds: float
    images: int
    """Those it learned from."""
    labels: int


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """How many images of a project carry labels, and how many carry more than one."""

    labelled: int
    several: int
    none_of_these: int


def images_state(db: Database, project_id: int) -> tuple[Any, ...]:
    """Return a value that changes with anything a training sees: images, states, splits, labels."""
    images = db.row(
        "select count(*), sum(hash(id, name, sha256, state, split, default_label_id, revision)) from image"
        " where project_id = ?",
        [project_id],
    )
    annotations = db.row(
        "select count(*), sum(hash(a.image_id, a.label_id, a.position)) from annotation a"
        " join image i on i.id = a.image_id where i.project_id = ?",
        [project_id],
    )
    names = db.row("select count(*), sum(hash(id, name)) from label where project_id = ?", [project_id])
    return (images, annotations, names)


def earlier_trainings(
    db: Database, trainer: str, trainer_options: Mapping[str, Any], backbone: str
) -> list[EarlierTraining]:
    """Return the latest trainings of any project with this trainer and these options that their time didn't end.

    Those on the same backbone, where there are any: the length of its vectors decides how long a step takes.
    """
    rows = db.rows(
        "select m.train_seconds, cast(e.report->>'count' as bigint), len(m.labels), m.trainer_options,"
        " m.backbone = ? from model m join evaluation e on e.model_id = m.id"
        " where m.trainer = ? and m.ended <> 'time' and e.checkpoint = 'best' and e.split = 'train'"
        " order by m.id desc",
        [backbone, trainer],
    )
    alike = [row for row in rows if json.loads(row[3]) == dict(trainer_options)]
    chosen = [row for row in alike if row[4]] or alike
    return [EarlierTraining(*row[:3]) for row in chosen[:MOST_EARLIER]]


def labelled_images(db: Database, project_id: int) -> LabelledImages:
    """Return how many images carry labels, in one pass."""
    row = db.row(
        "select count(*) filter (where state = 'labelled'),"
        " count(*) filter (where state = 'labelled' and labels > 1),"
        " count(*) filter (where state = 'none-of-these')"
        " from (select any_value(i.state) as state, count(a.image_id) as labels from image i"
        " left join annotation a on a.image_id = i.id where i.project_id = ? group by i.id)",
        [project_id],
    )
    return LabelledImages(*row) if row else LabelledImages(0, 0, 0)
