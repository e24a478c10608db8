"""Long lists a page at a time: the cursor says behind which row the next page begins."""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from fieldmark.storage.errors import FieldmarkError

LARGEST_PAGE = 500
DEFAULT_PAGE = 100
_BY_ID = re.compile(r"id:(\d{1,18})")


class Numbered(Protocol):
    """A row of a list that is sorted by its id."""

    @property
    def id(self) -> int:
        """Grows from row to row."""


Row = TypeVar("Row", bound=Numbered)


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows of a list; `next` is the cursor of the page after, None on the last one."""

    rows: Sequence[Row]
    next: str | None
    total: int
    """Rows of the whole list."""


def page_of(rows: Sequence[Row], total: int, limit: int) -> Page[Row]:
    """Make a page of the first `limit` rows; the caller read one more, which tells whether there is a next page."""
    shown = rows[:limit]
    return Page(shown, _cursor(shown[-1].id) if len(rows) > limit else None, total)


def check_limit(limit: int) -> int:
    """Return the limit; raises `FieldmarkError` for one that no page has."""
    if not 1 <= limit <= LARGEST_PAGE:
        raise FieldmarkError(f"a page of {limit} can't be given: ask for 1 to {LARGEST_PAGE}")
    return limit


def read_cursor(cursor: str | None) -> int:
    """Return the id behind which a page begins, 0 for the first page.

    Raises `FieldmarkError` for a text that is no cursor.
    """
    if cursor is None:
        return 0
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        found = _BY_ID.fullmatch(urlsafe_b64decode(padded).decode("ascii"))
    except (UnicodeError, binascii.Error):
        found = None
    if found is None:
        raise FieldmarkError(
            f"the cursor {cursor[:40]!r} can't be used: take it from 'next' of the page before, or leave it out for the "
            "first page"
        )
    return int(found[1])


def _cursor(row_id: int) -> str:
    # The sort order is part of it, so that a cursor can't be taken for one of another order.
    return urlsafe_b64encode(f"id:{row_id}".encode("ascii")).decode("ascii").rstrip("=")
