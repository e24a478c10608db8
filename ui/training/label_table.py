"""The labels to learn: a table with tick boxes and counts, as good for five hundred labels as for two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from fieldmark.core.contracts.terms import Task
from fieldmark.core.learning.dataset import FEWEST_IMAGES
from fieldmark.storage.labels import LabelCount
from fieldmark.storage.projects import Project
from fieldmark.ui.training.keys import key

SHOWN_ROWS = 12
_ROW, _HEAD = 35, 38
"""Pixels."""
USE = "Use"


@dataclass(slots=True)
class LabelTable:
    """What the table shows, and which labels are left out.

    The table in the browser holds ticks as changes to what it was given, by row. So `shown` stays as it is until
    the labels change or a person leaves the page; then a table of another `version` takes up from `left_out`.
    """

    rows: tuple[tuple[str, int], ...]
    shown: frozenset[str]
    """Labels that the table was given unticked."""
    left_out: frozenset[str]
    """Labels that are unticked now."""
    version: int = 0

    def fit(self, rows: tuple[tuple[str, int], ...], *, anew: bool) -> None:
        """Take in the labels as they are now; `anew`: the browser has no table of this version any more."""
        if rows != self.rows or anew:
            before = dict(self.rows)
            fresh = {name for name, count in rows if count < FEWEST_IMAGES and before.get(name) != count}
            grown = {
                name for name, count in rows if before.get(name, count) < FEWEST_IMAGES <= count
            }  # they were left out only for being too few
            self.show(frozenset((self.left_out | fresh) - grown) & {name for name, _ in rows})
            self.rows = rows

    def show(self, left_out: frozenset[str]) -> None:
        """Give the browser a new table with these labels unticked."""
        self.shown = self.left_out = left_out
        self.version += 1

    def take(self, edited: Mapping[int, Mapping[str, Any]]) -> None:
        """Take in the ticks that a person changed since the table was given."""
        left_out = set(self.shown)
        for row, changes in edited.items():
            if USE in changes:
                (left_out.discard if changes[USE] else left_out.add)(self.rows[row][0])
        self.left_out = frozenset(left_out)

    @property
    def ticked(self) -> dict[str, int]:
        """{label: images} of the labels to learn."""
        return {name: count for name, count in self.rows if name not in self.left_out}

    @property
    def learnable(self) -> int:
        """How many labels have images enough to be learnt."""
        return sum(count >= FEWEST_IMAGES for _, count in self.rows)


def choose_labels(project: Project, task: Task, counts: Sequence[LabelCount]) -> LabelTable:
    """Ask which labels to learn; for single-label an image counts under its default label alone."""
    single = task == "single-label"
    rows = tuple((label.name, label.default if single else label.images) for label in counts if label.images)
    table = _table(project, task, rows)
    heading, every, none = st.columns([4, 1, 1], vertical_alignment="bottom")
    words = heading.empty()
    every.button("All", key=key(project, task, "all"), width="stretch", on_click=_tick_all, args=(table,))
    none.button("None", key=key(project, task, "none"), width="stretch", on_click=_tick_none, args=(table,))
    st.data_editor(
        {
            USE: [name not in table.shown for name, _ in table.rows],
            "Label": [name for name, _ in table.rows],
            "Images": [count for _, count in table.rows],
        },
        column_config={
            USE: st.column_config.CheckboxColumn(USE, width=70),
            "Label": st.column_config.TextColumn("Label", width=280),
            "Images": st.column_config.NumberColumn(
                "Images",
                format="localized",
                width=90,
                help="Images whose default label it is." if single else "Images that carry the label.",
            ),
        },
        disabled=["Label", "Images"],
        hide_index=True,
        height=_HEAD + _ROW * min(len(rows), SHOWN_ROWS),
        row_height=_ROW,
        key=_editor(project, task, table),
    )
    table.take(st.session_state[_editor(project, task, table)]["edited_rows"])
    words.markdown(f"**Labels** · {len(table.ticked):,} of {len(rows):,} to learn")
    if single:
        st.caption("If an image has more than one label, only the default one is used.")
    few = [name for name, count in rows if count < FEWEST_IMAGES and name in table.left_out]
    if few:
        have = "1 label has" if len(few) == 1 else f"{len(few):,} labels have"
        st.caption(f"{have} fewer than {FEWEST_IMAGES} images and can't be learnt yet: label more images so.")
    return table


def _table(project: Project, task: Task, rows: tuple[tuple[str, int], ...]) -> LabelTable:
    """Return the table that this tab remembers, fitted to the labels as they are now."""
    name = key(project, task, "labels")
    if name not in st.session_state:
        few = frozenset(name for name, count in rows if count < FEWEST_IMAGES)
        st.session_state[name] = LabelTable(rows, few, few)
    table: LabelTable = st.session_state[name]
    table.fit(rows, anew=_editor(project, task, table) not in st.session_state)
    return table


def _editor(project: Project, task: Task, table: LabelTable) -> str:
    return key(project, task, "ticks", str(table.version))


def _tick_all(table: LabelTable) -> None:
    table.show(frozenset())


def _tick_none(table: LabelTable) -> None:
    table.show(frozenset(name for name, _ in table.rows))
