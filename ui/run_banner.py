"""The runs at work, on top of every page: how far each is, how long it takes, cancel, and its growing curves."""

from __future__ import annotations

import streamlit as st

from fieldmark.core.run_progress import RunView
from fieldmark.storage import projects
from fieldmark.ui.moments import rough_length
from fieldmark.ui.plain import plain
from fieldmark.ui.session import app, current_project

WATCHED_SECONDS = 1.0
IDLE_SECONDS = 3.0
_WORDS = {"train": "Training", "predict": "Prediction with", "upload": "Upload of"}


def run_banner() -> None:
    """Show the active runs and keep them fresh by itself."""
    active = app().runs.active()
    if ended := st.session_state.pop("run_ended", None):
        st.toast(ended)
    st.session_state["watched_runs"] = [view.id for view in active]
    st.fragment(_banner, run_every=WATCHED_SECONDS if active else IDLE_SECONDS)()


def _banner() -> None:
    active = app().runs.active()
    watched = st.session_state.get("watched_runs", [])
    if [view.id for view in active] != watched:
        for run in watched:
            _tell_end(app().runs.view(run))
        st.rerun()
    for view in active:
        _run(view)


def _tell_end(view: RunView) -> None:
    """Say that a run has ended, wherever the person is by now."""
    if view.active:
        return
    words = f"{_WORDS[view.kind]} {plain(view.name)}"
    if view.status == "finished":
        st.session_state["run_ended"] = f"{words} has finished."
    elif view.status != "cancelled":
        st.session_state["run_ended"] = f"{words} has no result: {plain(view.sentence)}"


def _run(view: RunView) -> None:
    with st.container(border=True, key=f"run_{view.id}"):
        words, curves, stop = st.columns([5, 1.3, 1.1], vertical_alignment="center")
        words.progress(
            (view.percent or 0) / 100,
            f"**{_WORDS[view.kind]} {plain(view.name)}**{_where(view)} · {_how_far(view)}",
        )
        if view.kind == "train" and curves.button(
            "Curves", key=f"curves_{view.id}", icon=":material/show_chart:", width="stretch"
        ):
            opened = st.session_state.get("opened_curves")
            st.session_state["opened_curves"] = None if opened == view.id else view.id
        if stop.button("Cancel", key=f"cancel_{view.id}", width="stretch"):
            app().runs.cancel(view.id)
        if st.session_state.get("opened_curves") == view.id:
            _curves(view)


def _where(view: RunView) -> str:
    """Name the project of a run when the person is in another one."""
    here = current_project()
    if here is not None and here.id == view.project_id:
        return ""
    project = projects.project_by_id(app().workspace.database, view.project_id)
    return f" in {plain(project.name)}" if project else ""


def _how_far(view: RunView) -> str:
    parts = [plain(view.sentence)]
    if view.percent is not None:
        parts.append(f"{view.percent:.0f} %")
    if view.seconds_left is not None:
        parts.append(f"about {rough_length(view.seconds_left)} left")
    return " · ".join(parts)


def _curves(view: RunView) -> None:
    if not view.curve:
        st.caption("The curves begin with the first steps of the training, once the images are embedded.")
        return
    from dataclasses import asdict

    from fieldmark.ui.charts.curves import learning_curves

    points = [asdict(point) for point in view.curve]
    accuracy, cross_entropy = st.columns(2)
    accuracy.altair_chart(learning_curves(points, None, "accuracy"), key=f"accuracy_{view.id}")
    cross_entropy.altair_chart(learning_curves(points, None, "cross_entropy"), key=f"cross_entropy_{view.id}")
