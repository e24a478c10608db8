"""Which model, which of its checkpoints, and how much of it to show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from fieldmark.core.contracts.terms import CheckpointName
from fieldmark.storage import models
from fieldmark.storage.models import Model
from fieldmark.storage.projects import Project
from fieldmark.ui.navigation import link
from fieldmark.ui.plain import plain
from fieldmark.ui.session import app
from fieldmark.ui.statistics.address import put_into_address, take_from_address, widget_key

VIEWS = ("basic", "advanced")
_SHOWN = "statistics_shown"


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person looks at."""

    project: Project
    model: Model
    checkpoint: CheckpointName
    advanced: bool


def choose(project: Project) -> Choice | None:
    """Let a person choose; None, with a sentence on the page, when there is nothing to look at."""
    there = {model.name: model for model in reversed(models.models(app().workspace.database, project.id))}
    training = [view.name for view in app().runs.active(project.id) if view.kind == "train"]
    asked = _asked(project, list(there))
    if not there:
        _no_model(training)
        return None
    if asked is not None and asked not in there:
        _not_there(asked, training)
    name = take_from_address("model", list(there), None if asked else next(iter(there)))
    model, checkpoint, view = st.columns([4, 2, 2], vertical_alignment="bottom")
    model.selectbox(
        "Model",
        list(there),
        index=0 if name else None,
        placeholder="Choose a model",
        key=widget_key("model"),
        on_change=put_into_address,
        args=("model",),
    )
    if name is None:
        return None
    st.session_state[_SHOWN] = (project.id, name)
    with checkpoint:
        which = _switch(
            "Checkpoint",
            "checkpoint",
            ("best", "last"),
            "best: as the model was when it did best on the way. last: as it was when the training ended.",
        )
    with view:
        much = _switch("View", "view", VIEWS, "advanced shows more figures, each label, curves and mistakes.")
    return Choice(project, there[name], "last" if which == "last" else "best", much == "advanced")


def _asked(project: Project, there: Sequence[str]) -> str | None:
    """Return the model that the address asks for; one left over from another project is taken out of it."""
    asked = st.query_params.get("model")
    of_project, shown = st.session_state.get(_SHOWN, (project.id, None))
    if asked is not None and asked == shown and of_project != project.id and asked not in there:
        del st.query_params["model"]
        return None
    return asked


def _switch(title: str, name: str, options: Sequence[str], explained: str) -> str:
    take_from_address(name, options, options[0])
    chosen = st.segmented_control(
        title,
        options,
        format_func=str.capitalize,
        required=True,
        key=widget_key(name),
        help=explained,
        on_change=put_into_address,
        args=(name,),
    )
    return str(chosen)


def _no_model(training: Sequence[str]) -> None:
    if training:
        _still_training(training[0])
        return
    st.write("No model yet. Statistics say how good a trained model is, and on which images it errs.")
    link("train", "Train a model")


def _not_there(asked: str, training: Sequence[str]) -> None:
    if asked in training:
        _still_training(asked)
        return
    st.warning(
        f"There is no model called {plain(asked)} in this project: it was renamed or deleted, or the link is of "
        "another project."
    )
    link("models", "All models of this project")


def _still_training(name: str) -> None:
    st.info(
        f"{plain(name)} is still training. Its curves grow under Curves at the top of the page; its statistics "
        "come here once it has finished."
    )
