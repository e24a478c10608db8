"""Which labels are taken for which others: the matrix, the most common mistakes, and the images of a cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from fieldmark.core.contracts.terms import Split
from fieldmark.core.counted import counted
from fieldmark.core.mistakes import Mistake, mistakes
from fieldmark.ui.charts import chosen_cell, confusion
from fieldmark.ui.charts.confusion import SELECTION
from fieldmark.ui.definitions import DEFINITIONS, TITLES
from fieldmark.ui.gallery import gallery
from fieldmark.ui.statistics.choice import Choice
from fieldmark.ui.statistics.predictions import predictions_source

_LISTED_AT_ONCE = 8
_BESIDE_THE_LIST = 12
"""Most labels with which the matrix leaves room for the list at its side."""


def confusion_matrix(choice: Choice, report: Mapping[str, Any], split: Split) -> None:
    """Show the matrix of one set and, below it, the images of the cell that was chosen in it or in the list."""
    labels = list(choice.model.labels)
    st.subheader(TITLES["confusion"], anchor=False, help=DEFINITIONS["confusion"])
    cell = _Cell(choice, split)
    # A large matrix needs the whole width.
    drawn, listed = (
        st.columns([3, 2], gap="large")
        if len(labels) <= _BESIDE_THE_LIST
        else (st.container(), st.container())
    )
    with drawn:
        st.altair_chart(
            confusion(report["confusion"], labels),
            key=cell.chart_key,
            width=min(1000, 240 + 90 * len(labels)),
            on_select=cell.from_chart,
            selection_mode=SELECTION,
            alt=DEFINITIONS["confusion"],
        )
    with listed:
        _mistakes(mistakes(report["confusion"], labels), cell)
    chosen = cell.chosen
    if chosen is None or not set(chosen) <= set(labels):
        st.caption("Click a cell, or a line of the list, to see its images.")
        return
    truth, predicted = chosen
    images = report["confusion"][labels.index(truth)][labels.index(predicted)]
    _heading(truth, predicted, images)
    gallery(
        source=predictions_source(choice, split, truth=truth, predicted=predicted),
        key=f"statistics_cell_{split}",
        selectable=False,
        captions="scores",
        height=440,
        empty="No image fell into this cell.",
    )


def _mistakes(found: Sequence[Mistake], cell: _Cell) -> None:
    st.markdown("**Most common mistakes**")
    if not found:
        st.caption("None: every image was decided right.")
        return
    cell.mistakes = found
    st.dataframe(
        {
            "Truth": [one.truth for one in found],
            "Predicted": [one.predicted for one in found],
            "Images": [one.images for one in found],
        },
        hide_index=True,
        height=38 + 35 * min(len(found), _LISTED_AT_ONCE),
        column_config={"Images": st.column_config.NumberColumn(width="small")},
        key=cell.list_key,
        on_select=cell.from_list,
        selection_mode="single-row",
    )


class _Cell:
    """The cell that was chosen last, in the matrix or in the list; choosing in one clears the other."""

    def __init__(self, choice: Choice, split: Split) -> None:
        self._home = f"statistics_cell_of_{choice.model.id}_{choice.checkpoint}_{split}"
        self.mistakes: Sequence[Mistake] = ()
        state = st.session_state.setdefault(self._home, {"cell": None, "chart": 0, "list": 0})
        self._state: dict[str, Any] = state
        # A widget that gets another key begins anew, with nothing chosen.
        self.chart_key = f"{self._home}_chart_{state['chart']}"
        self.list_key = f"{self._home}_list_{state['list']}"

    @property
    def chosen(self) -> tuple[str, str] | None:
        found: tuple[str, str] | None = self._state["cell"]
        return found

    def from_chart(self) -> None:
        self._state["cell"] = chosen_cell(st.session_state[self.chart_key])
        self._state["list"] += 1

    def from_list(self) -> None:
        rows = st.session_state[self.list_key]["selection"]["rows"]
        mistake = self.mistakes[rows[0]] if rows and rows[0] < len(self.mistakes) else None
        self._state["cell"] = None if mistake is None else (mistake.truth, mistake.predicted)
        self._state["chart"] += 1


def _heading(truth: str, predicted: str, images: int) -> None:
    count = counted(images, "image")
    if truth == predicted:
        st.text(f"✓ {count} of {truth}, rightly predicted")
    else:
        st.text(f"✗ {count} of {truth}, predicted as {predicted}")
