"""Labels: names inside a project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import category, normalize

from fieldmark.storage.bulk import incoming
from fieldmark.storage.database import Cursor, Database, now
from fieldmark.storage.errors import FieldmarkError

LONGEST = 500


@dataclass(frozen=True, slots=True)
class LabelCount:
    """A label with the number of images that carry it, and of those whose default label it is."""

    name: str
    images: int
    default: int


def check_label(name: str) -> str:
    """Return the label as it will be stored; raises `FieldmarkError` if unusable.

    Surrounding blanks go, and the text is composed (Unicode NFC): it looks the same, and an é typed as one
    character and one typed as two are one label.
    """
    cleaned = normalize("NFC", name.strip())
    if not cleaned:
        raise FieldmarkError("a label can't be empty: give it a name")
    if len(cleaned) > LONGEST:
        raise FieldmarkError(
            f"the label {cleaned[:40]!r}… has {len(cleaned)} characters; the most is {LONGEST}"
        )
    kinds = {category(character) for character in cleaned}
    if "Cs" in kinds:
        raise FieldmarkError(f"the label {cleaned[:40]!r} holds characters that are not text")
    if kinds & {"Cc", "Zl", "Zp"}:
        raise FieldmarkError(
            f"the label {cleaned[:40]!r} holds control characters, such as a line break: write it on one line"
        )
    return cleaned


def ensure_labels(cursor: Cursor, project_id: int, names: Sequence[str]) -> dict[str, int]:
    """Return {name: label id}, adding those that are new, in the order given."""
    unique = list(dict.fromkeys(names))
    with incoming(
        cursor, [("name", "string"), ("position", "int64")], [(n, i) for i, n in enumerate(unique)]
    ):
        cursor.execute(
            "insert into label (project_id, name, created) select ?, name, ? from "
            "(select name from incoming where name not in (select name from label where project_id = ?)"
            " order by position)",
            [project_id, now(), project_id],
        ).fetchall()
        rows = cursor.execute(
            "select l.name, l.id from label l join incoming n on n.name = l.name where l.project_id = ?",
            [project_id],
        ).fetchall()
    return dict(rows)


def label_ids(cursor: Cursor, project_id: int, names: Sequence[str]) -> dict[str, int]:
    """Return {name: label id} of those that the project has."""
    rows = cursor.execute(
        "select name, id from label where project_id = ? and name in (select unnest(?))",
        [project_id, list(names)],
    ).fetchall()
    return dict(rows)


def create_label(db: Database, project_id: int, name: str) -> None:
    """Make a label that no image carries yet; raises `FieldmarkError` when the project has it already."""

    def insert(cursor: Cursor) -> None:
        # Looked up first: a transaction that fails on a key can't be gone on with.
        if label_ids(cursor, project_id, [name]):
            raise FieldmarkError(f"there is a label {name!r} already: use it, or choose another name")
        ensure_labels(cursor, project_id, [name])

    db.write(insert)


def label_counts(db: Database, project_id: int) -> list[LabelCount]:
    """Return every label with its counts, by name."""
    rows = db.rows(
        """
        select l.name, count(a.image_id), count(a.image_id) filter (where i.default_label_id = l.id)
        from label l
        left join annotation a on a.label_id = l.id
        left join image i on i.id = a.image_id
        where l.project_id = ?
        group by l.id, l.name order by l.name
        """,
        [project_id],
    )
    return [LabelCount(*row) for row in rows]
