"""The Statistics page from top to bottom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import streamlit as st

from fieldmark.core.contracts.terms import Split
from fieldmark.core.statistics import statistics
from fieldmark.storage.projects import Project
from fieldmark.ui.charts import learning_curves
from fieldmark.ui.definitions import DEFINITIONS, TITLES
from fieldmark.ui.navigation import link
from fieldmark.ui.session import app
from fieldmark.ui.statistics.choice import Choice, choose
from fieldmark.ui.statistics.confusion import confusion_matrix
from fieldmark.ui.statistics.figures import figures, label_table
from fieldmark.ui.statistics.predictions import predictions
from fieldmark.ui.statistics.sets import SETS, measured
from fieldmark.ui.statistics.summary import images_per_label, notes, settings, summary

_NO_IMAGES = {
    "training": "None of the training images is measured here.",
    "validation": "There were no validation images, so nothing says how well this model does on images it has not "
    "learnt from. Train again with a share of the images held back for validation.",
}


def statistics_page(project: Project) -> None:
    """Show how a model of the project did."""
    choice = choose(project)
    if choice is None:
        return
    found = statistics(app().workspace, choice.model, choice.checkpoint)
    summary(found)
    _sets(choice, found)
    if choice.advanced:
        _curves(found)
    images_per_label(found)
    notes(found)
    if choice.advanced:
        settings(found)
    link("predict", "Predict with this model", model=choice.model.name, checkpoint=choice.checkpoint)


def _sets(choice: Choice, found: Mapping[str, Any]) -> None:
    """Show each set in its own tab; only the open one is worked out."""
    names = [name for name in SETS if name != "test" or measured(found, name)]
    titles = [name.capitalize() for name in names]
    tabs = st.tabs(titles, default="Validation", key="statistics_set", on_change="rerun")
    for name, tab in zip(names, tabs, strict=True):
        if tab.open:
            with tab:
                if measured(found, name):
                    _set(choice, found[name], cast("Split", SETS[name]))
                else:
                    st.info(_NO_IMAGES[name])


def _set(choice: Choice, report: Mapping[str, Any], split: Split) -> None:
    figures(report, advanced=choice.advanced)
    predictions(choice, split)
    if not choice.advanced:
        return
    if report["confusion"] is not None:
        confusion_matrix(choice, report, split)
    label_table(report, f"statistics_labels_{split}")


def _curves(found: Mapping[str, Any]) -> None:
    st.subheader(TITLES["learning_curves"], anchor=False, help=DEFINITIONS["learning_curves"])
    if not found["curve"]:
        st.caption("This training recorded no curve.")
        return
    best = found["saved"].get("best")
    accuracy, entropy = st.columns(2, gap="large")
    step = None if best is None else best["step"]
    accuracy.altair_chart(learning_curves(found["curve"], step, "accuracy"), key="curve_accuracy")
    entropy.altair_chart(learning_curves(found["curve"], step, "cross_entropy"), key="curve_cross_entropy")
