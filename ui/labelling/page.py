"""Puts the Label page together: progress, filter, grid, labels."""

from __future__ import annotations

import streamlit as st

from fieldmark.storage import projects
from fieldmark.storage.labels import label_counts
from fieldmark.storage.projects import Contents
from fieldmark.storage.training_facts import images_state
from fieldmark.ui.gallery import gallery
from fieldmark.ui.labelling.actions import Target, remembered
from fieldmark.ui.labelling.filters import filter_row
from fieldmark.ui.labelling.panel import label_panel, last_action
from fieldmark.ui.labelling.progress import labelling_progress
from fieldmark.ui.navigation import link
from fieldmark.ui.session import app, current_project

_GRID_HEIGHT = 760


def label_page() -> None:
    """Show the images of the project this tab is about, and what can be said of them."""
    project = current_project()
    if project is None:
        st.info("There is no project yet: make one first, then upload images to it.")
        link("home", "Make a project")
        return
    database = app().workspace.database
    holds = projects.contents(database).get(project.id, Contents())
    if not holds.images:
        st.info("This project has no images yet: upload some, then label them here.")
        link("upload", "Upload images")
        return
    labelling_progress(holds)
    labels = label_counts(database, project.id)
    shown = filter_row([label.name for label in labels])
    memory = remembered(project)
    target = Target(project, f"label_grid_{project.id}", shown.source(project.id), memory)
    version = str(hash(images_state(database, project.id)))
    if st.session_state.get("page_before") != "Label" or memory.outdated(target.source, version):
        memory.sentence, memory.failed = "", False
    memory.about, memory.version = target.source, version
    line = st.empty()
    grid, panel = st.columns([2, 1])
    with grid:
        chosen = gallery(
            source=target.source,
            key=target.gallery,
            height=_GRID_HEIGHT,
            # Whatever anybody changed, in this tab or another, is read again.
            version=version,
            empty="No image matches this filter." if shown.narrow else "No images here.",
        )
    with line:
        last_action(target, len(chosen.selected))
    with panel:
        label_panel(target, labels, len(chosen.selected))
