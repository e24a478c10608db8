"""Which backbone reads the images: the project's own, or another one with its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import streamlit as st

from fieldmark.core.contracts.backbone import Backbone
from fieldmark.core.registry import Registered
from fieldmark.storage.projects import Project
from fieldmark.ui.option_form import option_form, problems
from fieldmark.ui.plain import plain
from fieldmark.ui.session import app
from fieldmark.ui.training.keys import key

_OWN = ""


@dataclass(frozen=True, slots=True)
class BackboneChoice:
    """A backbone as `TrainRequest` takes it."""

    spec: str | None = None
    """`name` or `name:variant`; None: the project's own with its options."""
    options: Mapping[str, Any] = field(default_factory=dict)
    usable: bool = True
    """False: what was typed is refused, and the page says why."""


def choose_backbone(project: Project) -> BackboneChoice:
    """Ask for the backbone; the project's own comes first."""
    installed = {plugin.name: plugin for plugin in app().registry.of_kind("backbone")}
    current = project.backbone.partition(":")[0]
    others = [name for name in installed if name != current or installed[name].options]
    name = st.selectbox(
        "Backbone",
        [_OWN, *others],
        format_func=lambda name: name or f"{project.backbone} (the project's own)",
        key=key(project, "backbone"),
        persist_state="session",
        help="The network that turns images into numbers. It stays as it is; the training learns what comes after it.",
    )
    chosen = installed.get(name or current)
    st.caption(plain(f"{chosen.summary}." if chosen else f"{current} is not installed: choose another one."))
    _say_what_pretrained_adds(chosen, list(installed.values()))
    if name == _OWN:
        _say_own_options(project)
        return BackboneChoice()
    model = installed[name].cls.options_model
    options = option_form(model, key(project, "backbone"), persist="session")
    usable = not problems(model, options, owner=installed[name].title)
    variant = options.get(_backbone(installed[name]).variant_option or "")
    return BackboneChoice(f"{name}:{variant}" if variant else name, options, usable)


def _say_own_options(project: Project) -> None:
    given = [f"{name} {value}" for name, value in project.backbone_options.items() if value is not None]
    if given:
        st.caption(plain(f"With {', '.join(given)}."))


def _say_what_pretrained_adds(chosen: Registered | None, installed: list[Registered]) -> None:
    """Say it where it helps: under a backbone that learned nothing from photographs, or one that must be fetched."""
    pretrained = [plugin.name for plugin in installed if _backbone(plugin).pretrained]
    if chosen is None or not pretrained:
        return
    if _backbone(chosen).pretrained:
        if app().runs.offline:
            st.caption("This app runs offline and fetches nothing: give a file or folder of weights below.")
        else:
            st.caption("Weights that are not on this machine are downloaded once, on first use.")
        return
    fetched = (
        "This app runs offline, so give it a file of weights that you have."
        if app().runs.offline
        else "Its weights are downloaded once, on first use, unless you give them as a file."
    )
    st.caption(
        plain(
            f"{chosen.name} sees colour, texture and simple shape. On photographs of objects a pretrained backbone, "
            f"which has learned from a million of them, is usually clearly better: choose {' or '.join(pretrained)}. "
            f"{fetched}"
        )
    )


def _backbone(plugin: Registered) -> type[Backbone[Any]]:
    return cast("type[Backbone[Any]]", plugin.cls)
