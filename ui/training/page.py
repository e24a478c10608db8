"""The Train page as a whole."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from fieldmark.core.advice import Kind
from fieldmark.core.models import free_name
from fieldmark.storage.images import counts_by_state
from fieldmark.storage.labels import LabelCount, label_counts
from fieldmark.storage.projects import Project
from fieldmark.ui.navigation import link
from fieldmark.ui.session import app, current_project
from fieldmark.ui.training.advanced import choose_advanced
from fieldmark.ui.training.forecast import show_sets
from fieldmark.ui.training.keys import key
from fieldmark.ui.training.kind_choice import choose_kind
from fieldmark.ui.training.label_table import choose_labels
from fieldmark.ui.training.outcome import show_outcome
from fieldmark.ui.training.start import Wishes, start_panel, started

MINUTES = 1.0


def train_page() -> None:
    """Show the page of the current project."""
    project = current_project()
    if project is None:
        st.info("There is no project yet: make one on Home, or look at the demo.")
        link("home")
        return
    show_outcome(project)
    counts = label_counts(app().workspace.database, project.id)
    if _nothing_to_learn(project, counts):
        return
    kind = choose_kind(project)
    if kind is None:
        return
    form, panel = st.columns([3, 2], gap="large")
    with form:
        name, minutes = _name_and_minutes(project, kind)
        labels = choose_labels(project, kind.task, counts)
        advanced, shown = choose_advanced(project, kind)
        sets = st.container()
    with panel:
        found = start_panel(project, Wishes(kind, name, minutes, labels, advanced))
    if shown and found:
        with sets:
            show_sets(found)


def _nothing_to_learn(project: Project, counts: Sequence[LabelCount]) -> bool:
    """Say what to do before anything can be trained; return whether that is so."""
    states = counts_by_state(app().workspace.database, project.id)
    if not sum(states.values()):
        st.info("There are no images in this project yet: upload some, then label them.")
        link("upload", "Upload images")
        return True
    if not states.get("labelled"):
        st.info("No image is labelled yet: give at least two labels to a few images each, then train.")
        link("label", "Label images")
        link("upload", "Upload labels from a file")
        return True
    if sum(label.images > 0 for label in counts) == 1:
        st.info(
            "All labelled images have the same label, so there is nothing to tell apart: label some images otherwise, "
            "for example as background."
        )
        link("label", "Label images")
    return False


def _name_and_minutes(project: Project, kind: Kind) -> tuple[str | None, float]:
    name, minutes = st.columns([2, 1])
    typed = name.text_input(
        "Name of the model",
        placeholder=free_name(app().workspace, project, kind.task, None),
        key=key(project, "name", str(started(project))),
        persist_state="session",
        max_chars=64,
        help="Letters, digits, dots, hyphens and underscores. Left empty, it gets the name that is shown.",
    )
    most = minutes.number_input(
        "Minutes",
        min_value=0.1,
        max_value=1440.0,
        value=MINUTES,
        step=1.0,
        format="%g",
        placeholder=f"{MINUTES:g}",
        key=key(project, "minutes"),
        persist_state="session",
        help="The most time the training takes. Embedding images for the first time is counted apart.",
    )
    return (typed or "").strip() or None, most or MINUTES
