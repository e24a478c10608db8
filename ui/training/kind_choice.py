"""Which kind of training: one sentence when it fits, and a warning where the labels disagree."""

from __future__ import annotations

import streamlit as st

from fieldmark.core.advice import Kind, kinds
from fieldmark.storage.projects import Project
from fieldmark.ui.navigation import link
from fieldmark.ui.plain import plain
from fieldmark.ui.session import app
from fieldmark.ui.training.keys import key


def choose_kind(project: Project) -> Kind | None:
    """Ask for the kind and return it, or None when nothing that is installed can train it."""
    found = {kind.task: kind for kind in kinds(app().workspace, app().registry, project)}
    tasks = list(found)
    first = next((task for task in tasks if found[task].trainer), tasks[0])
    task = st.radio(
        "Kind of training",
        tasks,
        index=tasks.index(first),
        format_func=lambda name: name.capitalize(),
        captions=[_caption(kind) for kind in found.values()],
        key=key(project, "task"),
        persist_state="session",
    )
    kind = found[task]
    if kind.warning:
        st.warning(plain(kind.warning))
    if kind.trainer is None:
        link("plugins", "What is installed")
        return None
    return kind


def _caption(kind: Kind) -> str:
    absent = "" if kind.trainer else " No trainer for it is installed."
    return plain(kind.sentence + absent)
