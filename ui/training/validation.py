"""Which images check a training: a share that is drawn for it, or the set that somebody marked."""

from __future__ import annotations

import streamlit as st

from fieldmark.core.contracts.terms import Task
from fieldmark.storage.projects import Project
from fieldmark.storage.validation_set import MarkedImages, marked_images
from fieldmark.ui.gallery import gallery
from fieldmark.ui.navigation import link
from fieldmark.ui.session import app
from fieldmark.ui.training.keys import key

PERCENT = 20
_SHARE, _MARKED = "A share of the images", "User-defined set"
_MOST = 90


def choose_validation(project: Project, task: Task) -> float | None:
    """Ask for the validation images; return their share of all, or None for the user-defined set."""
    way = st.radio(
        "Validation images",
        [_SHARE, _MARKED],
        horizontal=True,
        key=key(project, "validation"),
        persist_state="session",
        help="Images that the model is checked with and never learns from.",
    )
    if way == _MARKED:
        _marked(project, task)
        return None
    percent = st.number_input(
        "Validation set size (%)",
        min_value=0,
        max_value=_MOST,
        value=PERCENT,
        step=5,
        placeholder=str(PERCENT),
        key=key(project, "percent"),
        persist_state="session",
        help="Near-duplicates stay together on one side, and each label keeps its share.",
    )
    if percent is None:
        return PERCENT / 100
    if not percent:
        st.caption(
            "Without validation images nobody can say how good the model is on images it has not seen."
        )
    return percent / 100


def validation_words(validation: float | None) -> str:
    """Return a choice in a few words."""
    return "the user-defined validation set" if validation is None else f"validation {validation:.0%}"


def marked_set(project: Project) -> MarkedImages:
    """Return the user-defined validation set as it is now."""
    return marked_images(app().workspace.database, project.id)


def _marked(project: Project, task: Task) -> None:
    marked = marked_set(project)
    if not marked.images:
        st.info(
            "No image is in the user-defined validation set yet: select images on the Label page and choose "
            "**Add to the validation set**."
        )
        link("label")
        return
    images = "1 image is" if marked.images == 1 else f"{marked.images:,} images are"
    st.markdown(f"{images} in the user-defined validation set.")
    counted = [
        (label.name, label.default if task == "single-label" else label.images) for label in marked.labels
    ]
    st.dataframe(
        {"Label": [name for name, _ in counted], "Images in the set": [count for _, count in counted]},
        hide_index=True,
        height=min(38 + 35 * len(counted), 280) if counted else "auto",
        key=key(project, "marked"),
    )
    if st.button("Look at the images", key=key(project, "look"), icon=":material/grid_view:"):
        _look(project)


@st.dialog("User-defined validation set", width="large")
def _look(project: Project) -> None:
    gallery(
        source=f"api/v1/projects/{project.id}/images?split=validation",
        key=key(project, "marked-images"),
        selectable=False,
        height=520,
    )
