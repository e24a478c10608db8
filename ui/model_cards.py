"""The Models page: each trained model with its accuracy and what can be done with it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import streamlit as st

from fieldmark.core import models
from fieldmark.storage.errors import FieldmarkError, NotFound
from fieldmark.storage.projects import Project
from fieldmark.ui.definitions import DEFINITIONS
from fieldmark.ui.moments import moment
from fieldmark.ui.navigation import link
from fieldmark.ui.plain import plain
from fieldmark.ui.session import app

SHOWN = 20
"""Models on the page at first, and how many more a click shows."""
_ASKED, _SAID, _SHOWN = "models_asked", "models_said", "models_shown"


def model_cards(project: Project) -> None:
    """Show a project's models, the latest first, each with ways to its statistics and predictions."""
    found = models.overview(app().workspace, app().registry, str(project.id))[::-1]
    _say({model["name"] for model in found})
    if not found:
        _none(project)
        return
    st.caption("1 model" if len(found) == 1 else f"{len(found)} models, the latest first")
    if len(found) > 1:
        _side_by_side(found[:SHOWN])
    shown = st.session_state.get(_SHOWN, SHOWN)
    for model in found[:shown]:
        with st.container(border=True, key=f"model_{model['name']}"):
            _card(project, model)
    if len(found) > shown and st.button(f"Show {min(SHOWN, len(found) - shown)} more", key="more_models"):
        st.session_state[_SHOWN] = shown + SHOWN
        st.rerun()


def _side_by_side(found: list[dict[str, Any]]) -> None:
    with st.expander("Side by side", expanded=True):
        percent = st.column_config.NumberColumn(format="percent")
        st.dataframe(
            {
                "model": [model["name"] for model in found],
                "accuracy": [model["accuracy"] for model in found],
                "F1": [model["f1"] for model in found],
                "measured on": [model["validation_images"] for model in found],
                "labels": [len(model["labels"]) for model in found],
                "backbone": [model["backbone"] for model in found],
            },
            hide_index=True,
            column_config={
                "accuracy": percent,
                "F1": percent,
                "measured on": st.column_config.NumberColumn(format="localized"),
            },
        )
        st.caption(
            "Each model is measured on the validation images of its own training. Unless these are the same, as with a "
            "user-defined validation set, a small difference means little."
        )


def _none(project: Project) -> None:
    training = [view for view in app().runs.active(project.id) if view.kind == "train"]
    if training:
        st.info(f"{plain(training[0].name)} is still training. It is listed here once it has finished.")
        return
    st.write(
        "No model yet. A model learns from the labelled images of this project and then says which labels other "
        "images have."
    )
    link("train", "Train a model")


def _card(project: Project, model: dict[str, Any]) -> None:
    name = model["name"]
    words, figure = st.columns([4, 1.4], vertical_alignment="center")
    with words:
        st.subheader(plain(name), anchor=False)
        st.caption(plain(_facts(model)))
    accuracy = model["accuracy"]
    figure.metric(
        "Validation accuracy",
        "none" if accuracy is None else f"{accuracy:.1%}",
        help="There were no validation images to measure it on."
        if accuracy is None
        else DEFINITIONS["accuracy"],
    )
    if model["problem"]:
        st.warning(plain(f"This model can't be used now: {model['problem']}"))
    with st.container(horizontal=True, vertical_alignment="center"):
        link("statistics", model=name)
        if not model["problem"]:
            link("predict", model=name)
        for word, icon in (("Rename", ":material/edit:"), ("Delete", ":material/delete:")):
            st.button(
                word, key=f"{word.lower()}_{name}", icon=icon, type="tertiary", on_click=_ask, args=(word, project, name)
            )  # fmt: skip
    asked = st.session_state.get(_ASKED)
    if asked == ("Rename", project.id, name):
        _rename(project, name)
    elif asked == ("Delete", project.id, name):
        _delete(project, name)


def _facts(model: dict[str, Any]) -> str:
    labels = len(model["labels"])
    return " · ".join(
        (
            str(model["task"]),
            f"{labels} label" if labels == 1 else f"{labels} labels",
            f"backbone {model['backbone']}",
            f"trained {moment(datetime.fromisoformat(model['created']))}",
        )
    )


def _rename(project: Project, name: str) -> None:
    with st.form(f"rename_form_{name}", border=False):
        st.text_input("New name", value=name, max_chars=64, key=f"new_name_{name}")
        with st.container(horizontal=True):
            st.form_submit_button("Rename", type="primary", on_click=_do_rename, args=(project, name))
            st.form_submit_button("Cancel", on_click=_ask, args=(None, project, name))
    _refusal(name)


def _delete(project: Project, name: str) -> None:
    try:
        lost = models.lost_with(app().workspace, models.find_model(app().workspace, project, name))
    except NotFound as gone:
        st.error(plain(str(gone)))
        return
    st.warning(f"Delete **{plain(name)}**? {plain(lost)}")
    with st.container(horizontal=True):
        st.button("Delete for good", type="primary", key=f"delete_for_good_{name}", on_click=_do_delete,
                  args=(project, name))  # fmt: skip
        st.button("Keep it", key=f"keep_{name}", on_click=_ask, args=(None, project, name))
    _refusal(name)


def _ask(word: str | None, project: Project, name: str) -> None:
    st.session_state[_ASKED] = (word, project.id, name)
    st.session_state.pop(_SAID, None)


def _do_rename(project: Project, name: str) -> None:
    wanted = st.session_state[f"new_name_{name}"].strip()
    try:
        if wanted != name:
            found = models.find_model(app().workspace, project, name)
            models.rename_model(app().workspace, project, found, wanted)
    except FieldmarkError as error:
        st.session_state[_SAID] = (name, str(error))
        return
    _ask(None, project, name)
    if wanted != name:
        st.session_state[_SAID] = (None, f"{name} is called {wanted} now.")


def _do_delete(project: Project, name: str) -> None:
    try:
        models.delete_model(app().workspace, models.find_model(app().workspace, project, name))
    except FieldmarkError as error:
        st.session_state[_SAID] = (name, str(error))
        return
    _ask(None, project, name)
    st.session_state[_SAID] = (None, f"{name} is deleted.")


def _say(present: set[str]) -> None:
    """Say on top what has been done, or what went wrong with a model that isn't there any more."""
    about, sentence = st.session_state.get(_SAID, (None, ""))
    if sentence and about is None:
        st.success(plain(sentence))
        st.session_state.pop(_SAID)
    elif sentence and about not in present:
        st.error(plain(sentence))
        st.session_state.pop(_SAID)


def _refusal(name: str) -> None:
    about, sentence = st.session_state.get(_SAID, (None, ""))
    if sentence and about == name:
        st.error(plain(sentence))
