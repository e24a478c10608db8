"""Counts what a table holds, in bounded memory. Not an importer itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

from fieldmark import Description, Example, Field

Role = Literal["image", "label", "split", "other"]
_MAX_LABELS = 10_000
_MAX_VALUES = 200_000


class Tally:
    """Counts images, labels and the values of columns while a table is read."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._values: list[Counter[str]] = [Counter() for _ in columns]
        self._most = _MAX_VALUES // max(1, len(columns))
        # Hashes instead of names: a million images then take tens of megabytes.
        self._images: set[int] = set()
        self._pairs: set[int] = set()
        self.labels: Counter[str] = Counter()
        self.bad_rows = 0

    def add_cells(self, cells: Sequence[str]) -> None:
        """Count the values of one row; once a column has very many, only those seen before."""
        for values, cell in zip(self._values, cells, strict=False):
            if cell and (len(values) < self._most or cell in values):
                values[cell] += 1

    def add(self, example: Example) -> None:
        """Count an image and its labels, each label once per image."""
        self._images.add(hash(example.image))
        for label in example.labels:
            pair = hash((example.image, label))
            if pair not in self._pairs and (label in self.labels or len(self.labels) < _MAX_LABELS):
                self._pairs.add(pair)
                self.labels[label] += 1

    def describe(self, roles: Mapping[int, Role], notes: Sequence[str]) -> Description:
        """Return what was counted."""
        fields = tuple(
            Field("column", title, tuple(values.most_common(10)), len(values), roles.get(at, "other"))
            for at, (title, values) in enumerate(zip(self._columns, self._values, strict=True))
        )
        labels = dict(sorted(self.labels.items()))
        return Description(len(self._images), labels, fields, (*notes, *self._remarks()))

    def _remarks(self) -> list[str]:
        remarks = []
        if self.bad_rows:
            remarks.append(f"{self.bad_rows} rows can't be used; the import lists each of them.")
        if len(self.labels) >= _MAX_LABELS:
            remarks.append(f"There are {_MAX_LABELS} labels or more; this may be the wrong column.")
        spellings: dict[str, str] = {}
        for label in sorted(self.labels):
            other = spellings.setdefault(label.casefold(), label)
            if other != label:
                remarks.append(f"The labels `{other}` and `{label}` differ only in case and stay two labels.")
                break
        return remarks
