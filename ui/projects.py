"""Projects on Home: each with its next step, a new one, the demo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from fieldmark.core.counted import counted
from fieldmark.core.demo import DEMO_TRAINING, MODEL, PROJECT, demo_project
from fieldmark.core.projects import create_project, delete_project, find_project, rename_project
from fieldmark.storage import models, projects
from fieldmark.storage.errors import FieldmarkError
from fieldmark.ui.navigation import go, page
from fieldmark.ui.plain import plain
from fieldmark.ui.session import app, go_to_project

SHOWN = 30


def project_list(entries: Sequence[dict[str, Any]]) -> None:
    """Show every project as `name (id)` with its counts and next step, the latest first."""
    found = list(reversed(entries))
    if len(found) > SHOWN:
        wanted = st.text_input("Find a project", key="find_project").strip().casefold()
        found = [entry for entry in found if wanted in entry["name"].casefold()]
    for entry in found[:SHOWN]:
        _project(entry)
    if len(found) > SHOWN:
        st.caption(f"{len(found) - SHOWN} more: type a part of the name to find one.")


def _project(entry: dict[str, Any]) -> None:
    with st.container(border=True, key=f"project_{entry['id']}"):
        words, more = st.columns([9, 1], vertical_alignment="center")
        words.markdown(
            f"**{plain(entry['name'])} ({entry['id']})** &nbsp; :gray[{entry['images']:,} images · "
            f"{entry['labelled']:,} labelled · {counted(entry['models'], 'model')}]"
        )
        words.page_link(
            page(entry["next"]["page"]),
            label=plain(entry["next"]["sentence"]),
            icon=":material/arrow_forward:",
            query_params={"project": str(entry["id"])},
        )
        with more.popover("", icon=":material/more_vert:", help="Rename or delete this project"):
            _change(entry)


def _change(entry: dict[str, Any]) -> None:
    key = entry["id"]
    with st.form(f"rename_{key}", border=False):
        name = st.text_input("Name", entry["name"])
        if st.form_submit_button("Rename"):
            _try(lambda: rename_project(app().workspace, find_project(app().workspace, str(key)), name))
    st.caption(
        f"Deleting forgets {entry['images']:,} images, their labels and {counted(entry['models'], 'model')}. "
        "It can't be undone."
    )
    sure = st.checkbox("Yes, delete all of it", key=f"sure_{key}")
    if st.button("Delete project", key=f"delete_{key}", disabled=not sure):
        _try(lambda: delete_project(app().workspace, find_project(app().workspace, str(key))))


def _try(change: Any) -> None:
    try:
        change()
    except FieldmarkError as error:
        st.error(plain(str(error)))
    else:
        st.rerun()


def new_project() -> None:
    """Let a person make a project and go on to its upload."""
    st.subheader("New project")
    with st.form("new_project", border=False, enter_to_submit=True):
        # No limit here: what a person pastes would vanish without a word. The core says what is too long.
        name = st.text_input("Name", placeholder="Butterflies 2026")
        made = st.form_submit_button("Create project", type="primary")
    if made:
        try:
            project = create_project(app().workspace, name)
        except FieldmarkError as error:
            st.error(plain(str(error)))
            return
        go_to_project(project.id)
        go("upload")


def demo_offer() -> None:
    """Offer the demo until it is there."""
    db = app().workspace.database
    there = projects.project_by_name(db, PROJECT)
    if there is not None and models.model_by_name(db, there.id, MODEL) is not None:
        return
    st.subheader("Try it without images of your own")
    st.write(
        "1,797 handwritten digits come along. Most are labelled: the demo makes a project of them and trains a "
        "first model, which takes half a minute; 200 are left for you to label."
    )
    if st.button("Set up the demo", key="demo"):
        with st.spinner("Storing the digits…", show_time=True):
            project = demo_project(app().workspace, app().registry)
        go_to_project(project.id)
        try:
            app().runs.train(project, DEMO_TRAINING)
        except FieldmarkError as error:
            st.error(plain(str(error)))
            return
        go("label")
