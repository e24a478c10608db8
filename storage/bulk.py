"""Many rows in one statement: columns of Python values as a table that SQL can read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from fieldmark.storage.database import Cursor


@contextmanager
def incoming(
    cursor: Cursor, schema: Sequence[tuple[str, str]], rows: Sequence[Sequence[Any]], table: str = "incoming"
) -> Iterator[None]:
    """Make `rows` readable as a table on this cursor.

    `schema` gives each column's name and Arrow type: `int64`, `double`, `string`, `bool`, `list<string>`,
    `list<float>` or `timestamp`.
    """
    cursor.register(table, arrow_table(schema, rows))
    try:
        yield
    finally:
        cursor.unregister(table)


def arrow_table(schema: Sequence[tuple[str, str]], rows: Sequence[Sequence[Any]]) -> pa.Table:
    """Return rows as an Arrow table."""
    import pyarrow as pa

    types = {
        "int64": pa.int64(),
        "double": pa.float64(),
        "string": pa.string(),
        "bool": pa.bool_(),
        "list<string>": pa.list_(pa.string()),
        "list<float>": pa.list_(pa.float32()),
        "timestamp": pa.timestamp("us"),
    }
    columns = [
        pa.array([row[index] for row in rows], type=types[kind]) for index, (_, kind) in enumerate(schema)
    ]
    return pa.table(columns, names=[name for name, _ in schema])
