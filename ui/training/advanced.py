"""The advanced view: validation images, backbone, trainer and its options. What was chosen there holds when it is
closed again, and the page says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from fieldmark.core.advice import Kind
from fieldmark.core.contracts.trainer import Trainer
from fieldmark.core.options import option_fields
from fieldmark.core.registry import Registered
from fieldmark.storage.projects import Project
from fieldmark.ui.option_form import option_form, problems
from fieldmark.ui.plain import plain
from fieldmark.ui.session import app
from fieldmark.ui.training.backbone_choice import BackboneChoice, choose_backbone
from fieldmark.ui.training.keys import key
from fieldmark.ui.training.validation import PERCENT, choose_validation, validation_words


@dataclass(frozen=True, slots=True)
class Advanced:
    """What the advanced view asks for; the defaults are what the basic view trains with."""

    validation: float | None = PERCENT / 100
    backbone: BackboneChoice = field(default_factory=BackboneChoice)
    trainer: str | None = None
    """None: the task's own."""
    trainer_options: Mapping[str, Any] = field(default_factory=dict)
    usable: bool = True
    """False: something that was typed is refused, and the page says why."""
    changed: tuple[str, ...] = ()
    """What differs from the defaults, in a few words each."""


def choose_advanced(project: Project, kind: Kind) -> tuple[Advanced, bool]:
    """Show the advanced view when it is switched on; return its choices, and whether it is shown."""
    kept = key(project, kind.task, "advanced")
    shown = st.toggle("Advanced view", key=key(project, "view"), persist_state="session")
    if shown:
        chosen = st.session_state[kept] = _ask(project, kind)
        return chosen, True
    remembered: Advanced = st.session_state.get(kept, Advanced())
    if remembered.changed:
        st.caption(plain(f"From the advanced view: {', '.join(remembered.changed)}."))
    if not remembered.usable:
        st.error("Something in the advanced view can't be used: switch it on to see what.")
    return remembered, False


def _ask(project: Project, kind: Kind) -> Advanced:
    with st.container(border=True):
        validation = choose_validation(project, kind.task)
    with st.container(border=True):
        backbone = choose_backbone(project)
    with st.container(border=True):
        trainer = _trainer(project, kind)
        model = trainer.cls.options_model
        options = option_form(model, key(project, "trainer"), persist="session")
        usable = not problems(model, options, owner=trainer.title)
    changed = [] if validation == PERCENT / 100 else [validation_words(validation)]
    changed += [f"backbone {backbone.spec}"] if backbone.spec else []
    changed += [f"trainer {trainer.name}"] if trainer.name != kind.trainer else []
    changed += [
        f"{option.name.replace('_', ' ')} {'automatic' if options[option.name] is None else options[option.name]}"
        for option in option_fields(model)
        if options[option.name] != option.default
    ]
    return Advanced(validation, backbone, trainer.name, options, usable and backbone.usable, tuple(changed))


def _trainer(project: Project, kind: Kind) -> Registered:
    """Return the trainer; asked for only where several can do the task."""
    able = {
        plugin.name: plugin
        for plugin in app().registry.of_kind("trainer")
        if issubclass(plugin.cls, Trainer) and kind.task in plugin.cls.tasks
    }
    assert kind.trainer is not None
    if len(able) == 1:
        st.markdown(f"**Trainer** · {plain(able[kind.trainer].summary)}")
        return able[kind.trainer]
    names = [kind.trainer, *(name for name in able if name != kind.trainer)]
    chosen = st.selectbox(
        "Trainer",
        names,
        format_func=lambda name: f"{name} · {able[name].summary}",
        key=key(project, kind.task, "trainer"),
        persist_state="session",
    )
    return able[chosen]
