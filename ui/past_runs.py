"""What became of trainings and predictions that left nothing."""

from __future__ import annotations

import streamlit as st

from fieldmark.core.past_runs import runs_without_result
from fieldmark.storage.projects import Project
from fieldmark.ui.moments import moment
from fieldmark.ui.plain import plain
from fieldmark.ui.session import app

_KINDS = {"train": "Training", "predict": "Prediction with", "upload": "Upload of"}


def past_runs(project: Project) -> None:
    """Show the latest runs that failed, were cancelled or interrupted, each with its sentence; else nothing."""
    found = runs_without_result(app().workspace, project)
    if not found:
        return
    with st.expander(f"Ended without a result ({len(found)})"):
        for run in found:
            st.markdown(f"**{_KINDS[run.kind]} {plain(run.name)}** · {run.status} · {moment(run.ended)}")
            st.text(run.sentence)
