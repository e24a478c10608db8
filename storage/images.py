"""Images: content stored once by sha256, a unique name inside each project, aliases for the same picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fieldmark.storage.bulk import incoming
from fieldmark.storage.database import Cursor, Database, now
from fieldmark.storage.errors import FieldmarkError

LARGEST_ID = 2**63 - 1
"""What the database can hold; it fails at larger numbers, which no image has."""


@dataclass(frozen=True, slots=True)
class Content:
    """What the decoder found out about a picture; width and height in pixels as seen upright."""

    sha256: str
    bytes: int
    format: str
    width: int
    height: int
    orientation: int
    frames: int
    mode: str
    perceptual_hash: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImageRow:
    """An image of a project as training and prediction need it."""

    id: int
    name: str
    sha256: str
    state: str
    split: str | None
    default_label: str | None
    labels: tuple[str, ...]
    perceptual_hash: str | None


@dataclass(frozen=True, slots=True)
class ImageFile:
    """Which file an image is; `format` is the decoder's word for its content."""

    name: str
    sha256: str
    format: str


def image_file(db: Database, image_id: int) -> ImageFile | None:
    """Return which file an image is, or None when there is no such image."""
    if image_id > LARGEST_ID:
        return None
    row = db.row("select name, sha256 from image where id = ?", [image_id])
    # By themselves, each is found through its index; a join would read every picture's row.
    content = db.row("select format from content where sha256 = ?", [row[1]]) if row else None
    return ImageFile(row[0], row[1], content[0]) if row and content else None


def known_contents(db: Database, sha256s: Sequence[str]) -> set[str]:
    """Return which of these pictures the workspace holds already."""
    return {
        sha for (sha,) in db.rows("select sha256 from content where sha256 in (select unnest(?))", [sha256s])
    }


def images_by_sha(cursor: Cursor, project_id: int, sha256s: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Return {sha256: (image id, name)} for the pictures that the project holds."""
    rows = cursor.execute(
        "select sha256, id, name from image where project_id = ? and sha256 in (select unnest(?))",
        [project_id, list(sha256s)],
    ).fetchall()
    return {sha: (image_id, name) for sha, image_id, name in rows}


def labels_of(cursor: Cursor, image_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Return {image id: its labels, oldest first} for images that carry any."""
    rows = cursor.execute(
        "select a.image_id, list(l.name order by a.position) from annotation a join label l on l.id = a.label_id"
        " where a.image_id in (select unnest(?)) group by a.image_id",
        [list(image_ids)],
    ).fetchall()
    return {image_id: tuple(names) for image_id, names in rows}


def add_contents(cursor: Cursor, contents: Sequence[Content]) -> None:
    """Record pictures; one that is known stays as it is."""
    schema = [
        ("sha256", "string"), ("bytes", "int64"), ("format", "string"), ("width", "int64"), ("height", "int64"),
        ("orientation", "int64"), ("frames", "int64"), ("mode", "string"), ("perceptual_hash", "string"),
        ("notes", "list<string>"), ("created", "timestamp"),
    ]  # fmt: skip
    rows = [
        (c.sha256, c.bytes, c.format, c.width, c.height, c.orientation, c.frames, c.mode, c.perceptual_hash,
         list(c.notes), now())
        for c in contents
    ]  # fmt: skip
    with incoming(cursor, schema, rows):
        cursor.execute("insert into content by name select * from incoming on conflict do nothing").fetchall()


def hold_contents(cursor: Cursor, sha256s: Sequence[str]) -> None:
    """Make sure that pictures which are about to be shown stay recorded.

    Writing their rows makes this transaction and one that forgets a picture exclude each other. Raises
    `FieldmarkError` when one has been forgotten since it was looked for.
    """
    held = cursor.execute(
        "update content set created = created where sha256 in (select unnest(?)) returning sha256",
        [list(sha256s)],
    ).fetchall()
    if len(held) < len(set(sha256s)):
        raise FieldmarkError("was removed with another project at the same moment: upload it again")


def forget_unused(cursor: Cursor, sha256s: Sequence[str]) -> list[str]:
    """Forget those of these pictures that no project shows, and return them; their files are still there."""
    rows = cursor.execute(
        "delete from content where sha256 in (select unnest(?))"
        " and sha256 not in (select sha256 from image where sha256 in (select unnest(?))) returning sha256",
        [list(sha256s), list(sha256s)],
    ).fetchall()
    return [sha for (sha,) in rows]


def add_images(
    cursor: Cursor,
    project_id: int,
    images: Sequence[tuple[str, str]],
    author: str,
    numbers: dict[str, int] | None = None,
) -> list[tuple[int, str]]:
    """Add (name, sha256) pairs, in order; return (image id, name it got).

    A name that is taken becomes `name (2).ext`, `name (3).ext` and so on. `numbers` remembers between calls
    which number a name got last, so that ten thousand files of one name are not tried again from 2 on.
    """
    names = free_names(cursor, project_id, [name for name, _ in images], {} if numbers is None else numbers)
    schema = [("name", "string"), ("sha256", "string")]
    with incoming(cursor, schema, [(name, sha) for name, (_, sha) in zip(names, images, strict=True)]):
        rows = cursor.execute(
            "insert into image (project_id, name, sha256, added_by, added)"
            " select ?, name, sha256, ?, ? from incoming returning id, name",
            [project_id, author, now()],
        ).fetchall()
    ids = {name: image_id for image_id, name in rows}
    return [(ids[name], name) for name in names]


def add_alias(cursor: Cursor, project_id: int, name: str, image_id: int) -> None:
    """Remember another name of an image for matching, unless an image or an alias has it."""
    cursor.execute(
        "insert into image_alias select ?, ?, ?, ?"
        " where not exists (select 1 from image where project_id = ? and name = ?) on conflict do nothing",
        [project_id, name, image_id, now(), project_id, name],
    ).fetchall()


def free_names(cursor: Cursor, project_id: int, wanted: Sequence[str], numbers: dict[str, int]) -> list[str]:
    """Return a free name for each wanted one, all different."""
    given: set[str] = set()
    result = []
    taken = _taken(cursor, project_id, wanted)
    for name in wanted:
        free, number = name, numbers.get(name, 1)
        while free in given or free in taken:
            number += 1
            free = numbered(name, number)
            if free not in given and free not in taken:
                taken |= _taken(cursor, project_id, [free])
        if number > 1:
            numbers[name] = number
        given.add(free)
        result.append(free)
    return result


def numbered(name: str, number: int) -> str:
    """Return `photos/a (2).jpg` for `photos/a.jpg` and 2."""
    stem, dot, suffix = name.rpartition(".")
    if not stem or "/" in suffix:
        return f"{name} ({number})"
    return f"{stem} ({number}){dot}{suffix}"


def _taken(cursor: Cursor, project_id: int, names: Sequence[str]) -> set[str]:
    rows = cursor.execute(
        "select name from image where project_id = ? and name in (select unnest(?)) union "
        "select name from image_alias where project_id = ? and name in (select unnest(?))",
        [project_id, list(names), project_id, list(names)],
    ).fetchall()
    return {name for (name,) in rows}


def names_and_aliases(db: Database, project_id: int) -> Iterator[tuple[int, str]]:
    """Yield (image id, name) for every name and alias of a project, a block at a time."""
    with db.cursor() as cursor:
        cursor.execute(
            "select id, name from image where project_id = ? union all "
            "select image_id, name from image_alias where project_id = ?",
            [project_id, project_id],
        )
        while block := cursor.fetchmany(10_000):
            yield from block


def image_rows(db: Database, project_id: int, image_ids: Sequence[int] | None = None) -> list[ImageRow]:
    """Return the project's images (or those named by id) with labels, by id; the default label comes first."""
    chosen = "" if image_ids is None else "and i.id in (select unnest(?))"
    rows = db.rows(
        f"""
        select i.id, i.name, i.sha256, i.state, i.split, d.name,
               list(l.name order by l.id = i.default_label_id desc, a.position) filter (where l.id is not null),
               any_value(c.perceptual_hash)
        from image i
        join content c on c.sha256 = i.sha256
        left join annotation a on a.image_id = i.id
        left join label l on l.id = a.label_id
        left join label d on d.id = i.default_label_id
        where i.project_id = ? {chosen}
        group by i.id, i.name, i.sha256, i.state, i.split, d.name
        order by i.id
        """,
        [project_id] if image_ids is None else [project_id, list(image_ids)],
    )
    return [ImageRow(r[0], r[1], r[2], r[3], r[4], r[5], tuple(r[6] or ()), r[7]) for r in rows]


def counts_by_state(db: Database, project_id: int) -> dict[str, int]:
    """Return how many images are in each state."""
    return dict(
        db.rows("select state, count(*) from image where project_id = ? group by state", [project_id])
    )
