"""What became of the training that this tab started: at work, ready, or failed and what to do."""

from __future__ import annotations

import streamlit as st

from fieldmark.core.run_progress import RunView
from fieldmark.storage import models, runs
from fieldmark.storage.errors import NotFound
from fieldmark.storage.models import Model
from fieldmark.storage.projects import Project
from fieldmark.ui.navigation import link
from fieldmark.ui.plain import plain
from fieldmark.ui.session import app
from fieldmark.ui.training.keys import key


def remember(project: Project, run_id: int) -> None:
    """Make this tab watch a training."""
    st.session_state[key(project, "run")] = run_id


def show_outcome(project: Project) -> None:
    """Say how the training goes that this tab started last, if it did start one."""
    run_id = st.session_state.get(key(project, "run"))
    if run_id is None:
        return
    try:
        view = app().runs.view(run_id)
    except NotFound:
        return
    if view.active:
        st.info(
            f"**{plain(view.name)}** is being trained: follow it at the top of the page. You may leave this page or close "
            "it, the training goes on."
        )
    elif view.status == "finished":
        _ready(view)
    elif view.status == "cancelled":
        st.info(f"The training of **{plain(view.name)}** was cancelled; nothing of it is kept.")
    else:
        words = "was interrupted" if view.status == "interrupted" else "failed"
        reason = view.sentence if view.sentence != view.status else "nobody recorded why"
        st.error(
            plain(f"The training of {view.name} {words}: {reason.rstrip('.')}. ")
            + "Your images and labels are as they were: change what it names, or press Start again."
        )


def _ready(view: RunView) -> None:
    model = _model(view)
    if model is None:
        st.info(f"**{plain(view.name)}** was trained, and has been deleted since.")
        return
    with st.container(border=True, key="trained"):
        st.success(f"**{plain(model.name)}** is ready.")
        with st.container(horizontal=True):
            link("statistics", f"Statistics of {model.name}", model=model.name)
            link("predict", "Predict with it", model=model.name)


def _model(view: RunView) -> Model | None:
    """Return the run's model, whatever it is called by now."""
    run = runs.run_by_id(app().workspace.database, view.id)
    return models.model_by_id(app().workspace.database, run.model_id) if run and run.model_id else None
