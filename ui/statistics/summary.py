"""What the training was: its times, when the best was saved and why, how many images each label had, its notes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from fieldmark.ui.charts import label_counts
from fieldmark.ui.definitions import DEFINITIONS, TITLES
from fieldmark.ui.moments import length
from fieldmark.ui.plain import plain
from fieldmark.ui.statistics.sets import SETS, measured

_ENDED = {
    "converged": "The training stopped by itself: there was nothing more to learn.",
    "finished": "The training took all its planned steps.",
    "time": "The training stopped when its minutes were up.",
}
_LABELS_AT_ONCE = 12
"""With more, their bars lie behind a click."""


def summary(found: Mapping[str, Any]) -> None:
    """Show what `core.statistics.statistics` says of the training as a whole."""
    saved = found["saved"]
    best = saved.get("best")
    figures = [
        ("train_time", length(found["seconds"])),
        ("embed_time", length(found["embed_seconds"])),
        ("best_saved_at", "none" if best is None else f"{length(best['seconds'])}, step {best['step']:,}"),
    ]
    for column, (figure, value) in zip(st.columns([1, 1, 1.6]), figures, strict=True):
        column.metric(TITLES[figure], value, help=DEFINITIONS[figure])
    st.caption(how_best_was_chosen(found))


def how_best_was_chosen(found: Mapping[str, Any]) -> str:
    """Return in a sentence what makes `best` the best, as `core.learning.training` does it."""
    validation = found["validation"]
    judged = "validation" if validation and validation["count"] else "training"
    why = "" if judged == "validation" else " (there are no validation images)"
    same = ""
    saved = found["saved"]
    if saved.get("best") and saved.get("best") == saved.get("last"):
        same = " Here that was the last step, so best and last are the same."
    return (
        f"Best is the model as it was at the step with the lowest cross-entropy on the {judged} images{why}; that is "
        f"not always the step with the highest accuracy.{same}"
    )


def notes(found: Mapping[str, Any]) -> None:
    """Show how the training ended and what it had to say."""
    st.subheader("Notes", anchor=False)
    sentences = [_ENDED.get(found["ended"], found["ended"]), *found["notes"]]
    st.markdown("\n".join(f"- {plain(sentence)}" for sentence in sentences))


def images_per_label(found: Mapping[str, Any]) -> None:
    """Show how many images of each set carry each label."""
    counts = {
        label: {
            split: found[name]["labels"][place]["count"]
            for name, split in SETS.items()
            if measured(found, name)
        }
        for place, label in enumerate(found["labels"])
    }
    title = f"{TITLES['label_count']} ({len(counts)} labels)"
    with st.expander(title, expanded=len(counts) <= _LABELS_AT_ONCE):
        st.altair_chart(label_counts(counts), key="label_counts", alt=DEFINITIONS["label_count"])


def settings(found: Mapping[str, Any]) -> None:
    """Show what the training was made with: trainer, backbone and their options."""
    rows = [("task", found["task"])]
    for kind in ("trainer", "backbone"):
        rows.append((kind, found[kind]["name"]))
        rows += [(f"{kind}: {option}", _shown(value)) for option, value in found[kind]["options"].items()]
    with st.expander("Settings of the training"):
        st.dataframe(
            {"Setting": [row[0] for row in rows], "Value": [row[1] for row in rows]}, hide_index=True
        )


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "automatic" if value is None else str(value)
