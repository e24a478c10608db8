"""What a page knows of its visitor: the open app, and the project this tab is about."""

from __future__ import annotations

import streamlit as st

from fieldmark.core.open_app import OpenApp, held
from fieldmark.storage import projects
from fieldmark.storage.projects import Project

_CHOICE = "project_choice"
_NAME = "project_name"
_GONE, _TOLD_ON = "project_gone", "project_gone_told_on"


def app() -> OpenApp:
    """Return the open workspace with its plugins and runs."""
    return held()


def current_project() -> Project | None:
    """Return the project this tab is about, or None when there is none (any more)."""
    chosen = st.session_state.get("project")
    return projects.project_by_id(app().workspace.database, chosen) if chosen is not None else None


def go_to_project(project_id: int) -> None:
    """Make this tab be about a project."""
    st.session_state["project"] = project_id
    st.query_params["project"] = str(project_id)


def link_parameters() -> dict[str, str]:
    """Return what a link to another page carries along."""
    chosen = st.session_state.get("project")
    return {} if chosen is None else {"project": str(chosen)}


def pick_project() -> None:
    """Show the projects in the sidebar. The address names the chosen one, so that reload, back and a link keep it.

    When the one that this tab was about, or the address asks for, is not there (any more), `project_gone` says so.
    """
    there = {project.id: project for project in projects.projects(app().workspace.database)}
    ids = {str(key): key for key in there}
    asked = st.query_params.get("project", "")
    before = st.session_state.get("project")
    if asked in ids:
        st.session_state["project"] = ids[asked]
    if st.session_state.get("project") not in there:
        st.session_state["project"] = max(there, default=None)
    chosen = st.session_state["project"]
    if before is not None and before not in there:
        st.session_state[_GONE] = f"The project {st.session_state.get(_NAME, '')} ({before}) was deleted."
    elif asked and asked not in ids:
        st.session_state[_GONE] = f"There is no project {asked[:40]} here (any more)."
    if chosen is None:
        st.query_params.pop("project", None)
        st.session_state.pop(_CHOICE, None)
        return
    st.query_params["project"] = str(chosen)
    st.session_state[_CHOICE] = chosen
    st.session_state[_NAME] = there[chosen].name
    st.selectbox(
        "Project",
        list(there),
        format_func=lambda key: f"{there[key].name} ({key})" if key in there else "",
        key=_CHOICE,
        on_change=lambda: go_to_project(st.session_state[_CHOICE]),
    )


def project_gone(page: str) -> str | None:
    """Return what to tell about a project that is gone, until the person goes on to another page."""
    sentence: str | None = st.session_state.get(_GONE)
    if sentence is None:
        return None
    if st.session_state.setdefault(_TOLD_ON, page) == page:
        return sentence
    del st.session_state[_GONE], st.session_state[_TOLD_ON]
    return None
