"""The figures of one set of images, over all labels and for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from fieldmark.ui.definitions import DEFINITIONS, LABEL_DEFINITIONS, TITLES

BASIC = ("accuracy", "precision", "recall", "f1")
ADVANCED = ("cross_entropy", "matthews")
_LABEL_TITLES = {
    "count": "Images",
    "accuracy": "Accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "matthews": "Matthews",
    "true_positives": "TP",
    "false_positives": "FP",
    "false_negatives": "FN",
    "true_negatives": "TN",
}
_SHARES = ("accuracy", "precision", "recall", "f1", "matthews")


def shown(figure: str, value: float | None) -> str:
    """Return a figure as a person reads it: shares in percent to a tenth, cross-entropy in nats."""
    if value is None:
        return "none"
    return f"{value:.3f}" if figure == "cross_entropy" else f"{value:.1%}"


def figures(report: Mapping[str, Any], *, advanced: bool) -> None:
    """Show the figures over all labels, each with its definition."""
    for names in (BASIC, ADVANCED) if advanced else (BASIC,):
        # As many columns in each row, so that the figures stand below each other.
        for column, name in zip(st.columns(len(BASIC)), names, strict=False):
            column.metric(TITLES[name], shown(name, report[name]), help=DEFINITIONS[name])
    right = round(report["accuracy"] * report["count"])
    st.caption(f"Measured on {report['count']:,} images, of which {right:,} were decided right.")


def label_table(report: Mapping[str, Any], key: str) -> None:
    """Show the figures of each label; a click on a heading sorts."""
    st.subheader("Each label", anchor=False)
    rows: Sequence[Mapping[str, Any]] = report["labels"]
    columns = {"Label": [row["label"] for row in rows]}
    settings: dict[str, Any] = {"Label": st.column_config.TextColumn(pinned=True)}
    for name, title in _LABEL_TITLES.items():
        columns[title] = [row[name] for row in rows]
        settings[title] = st.column_config.NumberColumn(
            help=f"{name.replace('_', ' ').capitalize()}: {LABEL_DEFINITIONS[name]}",
            format="%.1f%%" if name in _SHARES else "localized",
        )
        if name in _SHARES:
            columns[title] = [None if row[name] is None else 100 * row[name] for row in rows]
    st.dataframe(columns, hide_index=True, column_config=settings, key=key)
