"""The plugins by kind, each with its options, and the problems of those that were left out."""

from __future__ import annotations

import streamlit as st

from fieldmark.core.contracts.terms import KINDS
from fieldmark.core.registry import Registered, Registry
from fieldmark.ui.plain import plain

_WHAT = {
    "importer": "Importers read labels that another tool wrote.",
    "backbone": "Backbones turn images into the numbers that a model learns from.",
    "trainer": "Trainers learn a model.",
    "exporter": "Exporters write results to files.",
}


def problem_list(registry: Registry) -> None:
    """Show what could not be loaded."""
    for problem in registry.problems:
        st.warning(plain(f"{problem.source} was left out ({problem.stage}): {problem.message}"))


def plugin_list(registry: Registry) -> None:
    """Show every plugin by kind."""
    for kind in KINDS:
        st.subheader(f"{kind.capitalize()}s")
        st.caption(_WHAT[kind])
        for plugin in registry.of_kind(kind):
            _plugin(plugin)


def _plugin(plugin: Registered) -> None:
    with st.expander(f"**{plain(plugin.name)}** — {plain(plugin.summary)}"):
        st.caption(plain(f"From {plugin.distribution} {plugin.version}"))
        options = plugin.options
        if not options:
            st.write("It has no options.")
            return
        st.dataframe(
            {
                "option": [option.name for option in options],
                "default": ["" if option.default is None else str(option.default) for option in options],
                "may be": [option.allowed() for option in options],
                "what it does": [option.description for option in options],
            },
            hide_index=True,
            column_config={"what it does": st.column_config.TextColumn(width="large")},
        )
