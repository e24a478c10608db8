"""Start: what is asked for, what it will take, and the button."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from fieldmark.core.advice import Kind
from fieldmark.core.estimates import Estimate
from fieldmark.core.learning.dataset import FEWEST_IMAGES
from fieldmark.core.train import TrainRequest
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.projects import Project
from fieldmark.ui.plain import plain
from fieldmark.ui.session import app
from fieldmark.ui.training.advanced import Advanced
from fieldmark.ui.training.forecast import forecast, show_forecast
from fieldmark.ui.training.keys import key
from fieldmark.ui.training.label_table import LabelTable
from fieldmark.ui.training.outcome import remember
from fieldmark.ui.training.validation import marked_set

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Wishes:
    """All that the page asked."""

    kind: Kind
    name: str | None
    minutes: float
    labels: LabelTable
    advanced: Advanced

    def request(self) -> TrainRequest:
        """Return it as core takes it."""
        advanced = self.advanced
        return TrainRequest(
            task=self.kind.task,
            name=self.name,
            trainer=advanced.trainer,
            trainer_options=advanced.trainer_options,
            backbone=advanced.backbone.spec,
            backbone_options=advanced.backbone.options,
            labels=tuple(self.labels.ticked),
            minutes=self.minutes,
            validation=advanced.validation,
            offline=app().runs.offline,
        )


def started(project: Project) -> int:
    """Return how many trainings this tab has started: part of the keys of what each one empties."""
    count: int = st.session_state.get(key(project, "started"), 0)
    return count


def start_panel(project: Project, wishes: Wishes) -> Estimate | None:
    """Show what the training will take and Start; return the estimate if there can be one."""
    missing = _missing(project, wishes)
    with st.container(border=True):
        st.subheader("What it will take")
        figures = st.container()
        count = started(project)
        # Another key after each start: a second click meant for the first button starts nothing.
        pressed = st.button(
            "Start",
            key=key(project, "start", str(count)),
            type="primary",
            icon=":material/play_arrow:",
            width="stretch",
            disabled=missing is not None or not wishes.advanced.usable,
        )
        problem = st.empty()
    if missing:
        problem.warning(plain(missing))
        return None
    if not wishes.advanced.usable:
        return None
    try:
        if pressed:
            st.session_state[key(project, "started")] = count + 1
            with figures, st.spinner("Starting"):
                remember(project, app().runs.train(project, wishes.request()))
            st.rerun()
        with figures, st.spinner("Counting images"):
            found = forecast(project, wishes.request())
    except FieldmarkError as error:
        problem.error(plain(_sentence(str(error))))
        return None
    with figures:
        show_forecast(found)
    return found


def _missing(project: Project, wishes: Wishes) -> str | None:
    """Return what the page itself can see is missing, in its own words."""
    fewest = 2 if wishes.kind.task == "single-label" else 1
    if wishes.labels.learnable < fewest:
        needs = "2 labels" if fewest > 1 else "a label"
        return f"{wishes.kind.task.capitalize()} needs {needs} with at least {FEWEST_IMAGES} images each: label more images."
    ticked = wishes.labels.ticked
    if len(ticked) < fewest:
        return f"Tick at least {fewest} labels." if fewest > 1 else "Tick at least one label."
    few = [f"{name!r} ({count})" for name, count in ticked.items() if count < FEWEST_IMAGES]
    if few:
        more = f" and {len(few) - _NAMED} more" if len(few) > _NAMED else ""
        return (
            f"Each label needs at least {FEWEST_IMAGES} images, one to learn from and one to check with. Untick, or "
            f"label more of: {', '.join(few[:_NAMED])}{more}."
        )
    if wishes.advanced.validation is None and not marked_set(project).images:
        return (
            "The user-defined validation set is empty: add images to it on the Label page, or give a share."
        )
    return None


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
