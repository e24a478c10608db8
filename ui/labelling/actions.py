"""What the buttons of the Label page do. Each runs as a callback, before the page: it then shows how things are now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from fieldmark.core.default_label import make_default
from fieldmark.core.labelling import create_label, label_images
from fieldmark.storage import projects
from fieldmark.storage.edits import Edit
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.labels import check_label
from fieldmark.storage.projects import Project
from fieldmark.ui.gallery import selection
from fieldmark.ui.labelling.sentences import everywhere, sentence
from fieldmark.ui.session import app

NEW_LABEL = "label_new"


@dataclass(slots=True)
class Memory:
    """What a tab remembers of the labelling of a project.

    Callbacks write it rather than `st.session_state`: each look there is a place where Streamlit may drop a callback
    for a newer rerun, and then labels would be saved without a word.
    """

    sentence: str = ""
    """What the last action did, or why it did nothing; empty before the first."""
    failed: bool = False
    acted: bool = False
    """Whether the action was just now: then the images may differ from what was shown before."""
    about: str = ""
    """The address whose images were shown last."""
    version: str = ""
    used: dict[str, None] = field(default_factory=dict)
    """The labels used so far, without repetition."""

    def outdated(self, source: str, version: str) -> bool:
        """Return whether something else has happened since the last action: another filter, somebody's change."""
        acted, self.acted = self.acted, False
        return not acted and (source, version) != (self.about, self.version)


@dataclass(frozen=True, slots=True)
class Target:
    """What the buttons act on: the images selected in a grid, read when a button is pressed."""

    project: Project
    gallery: str
    """The grid's key."""
    source: str
    """The address whose images it shows."""
    memory: Memory

    @property
    def selected(self) -> tuple[int, ...]:
        """Ids of the selected images, in the order shown."""
        return selection(self.gallery, self.source)


def remembered(project: Project) -> Memory:
    """Return what this tab remembers of a project."""
    memory: Memory = st.session_state.setdefault(f"labelling_{project.id}", Memory())
    return memory


def typed(key: str) -> Any:
    """Return a widget's value inside a callback, where it must not be dropped (see `Memory`)."""
    return st.session_state.to_dict().get(key)


def edit_selected(target: Target, edit: Edit) -> None:
    """Apply an edit to the selected images."""
    _act(target, lambda: _edited(target, edit))


def add_new_label(target: Target) -> None:
    """Make the label that was typed, and put it on the selected images when there are any."""

    def act() -> str:
        name = check_label(typed(NEW_LABEL))
        if target.selected:
            said = _edited(target, Edit(add=(name,)))
        else:
            create_label(app().workspace, target.project, name)
            said = f"The label '{name}' is ready: select images and press its +."
        target.memory.used[name] = None
        return said

    _act(target, act)
    if not target.memory.failed:
        st.session_state[NEW_LABEL] = ""


def make_default_everywhere(target: Target, label: str) -> None:
    """Make a label the default of every image that carries it, selected or not."""
    _act(target, lambda: everywhere(label, make_default(app().workspace, target.project, label)))


def _edited(target: Target, edit: Edit) -> str:
    selected = target.selected
    if not selected:
        raise FieldmarkError("no image is selected: click some in the grid first")
    done = label_images(app().workspace, target.project, selected, edit)
    target.memory.used.update(dict.fromkeys(edit.add))
    return sentence(edit, done)


def _act(target: Target, action: Callable[[], str]) -> None:
    project, memory = target.project, target.memory
    memory.acted = True
    try:
        if projects.project_by_id(app().workspace.database, project.id) is None:
            raise FieldmarkError(f"nothing was changed: the project '{project.name}' was deleted meanwhile")
        memory.sentence, memory.failed = action(), False
    except FieldmarkError as error:
        memory.sentence, memory.failed = str(error), True
