"""Beside the grid: the project's labels with plus and minus, a new label, and what else can be said of an image."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import streamlit as st

from fieldmark.core.counted import counted
from fieldmark.storage.edits import Edit
from fieldmark.storage.labels import LabelCount
from fieldmark.ui.labelling.actions import (
    NEW_LABEL,
    Target,
    add_new_label,
    edit_selected,
    make_default_everywhere,
    typed,
)
from fieldmark.ui.labelling.filters import show_label
from fieldmark.ui.plain import plain

MOST_SHOWN = 30
"""Labels shown at once: with hundreds, those used most, and a search for the others."""
_LIST_HEIGHT = 380
_SET = "label_set"
_SETS = {"validation": "Add to the validation set", "none": "Remove from its set"}
_MENU = {"show": "Show its images", "default": "Make it the default on all images that carry it"}


def label_panel(target: Target, labels: Sequence[LabelCount], selected: int) -> None:
    """Show the labels of a project, and act on the selected images."""
    _new_label(target, selected)
    _label_list(target, labels, selected)
    _marks(target, selected)


def shortlist(labels: Sequence[LabelCount], used: Collection[str], searched: str) -> list[LabelCount]:
    """Return the labels to show, by name: all that there is room for, those used here and on most images first."""
    wanted = searched.strip().casefold()
    found = [label for label in labels if wanted in label.name.casefold()]
    exact = wanted and [label for label in found if label.name.casefold() == wanted]
    found.sort(key=lambda label: (label not in (exact or ()), label.name not in used, -label.images))
    return sorted(found[:MOST_SHOWN], key=lambda label: (label.name.casefold(), label.name))


def last_action(target: Target, selected: int) -> None:
    """Show what the last action did, or what to do, in one line: what is below must not move under the mouse."""
    said = target.memory.sentence
    if target.memory.failed:
        st.markdown(f":red[:material/error: {plain(said[:1].upper() + said[1:])}]")
    elif said:
        st.markdown(plain(said))
    elif selected:
        st.markdown(f"{counted(selected, 'image')} selected: press \\+ beside a label.")
    else:
        st.markdown(
            "Select images in the grid (Ctrl-click or ✓ adds one, Shift-click a row), then press \\+ beside a label."
        )


def _new_label(target: Target, selected: int) -> None:
    with st.form("label_new_form", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input("New label, then Enter", key=NEW_LABEL)
        st.form_submit_button(
            "Add label",
            on_click=add_new_label,
            args=[target],
            help=f"Make the label and put it on {_the(selected)}." if selected else "Make the label.",
        )


def _label_list(target: Target, labels: Sequence[LabelCount], selected: int) -> None:
    if not labels:
        st.caption("No label yet. Type the first one above: what is on the images?")
        return
    searched = ""
    if len(labels) > MOST_SHOWN:
        searched = (
            st.text_input(f"Find one of {len(labels):,} labels", key="label_search", type="search", live=True)
            or ""
        )
    shown = shortlist(labels, target.memory.used, searched)
    with st.container(height=_LIST_HEIGHT if len(shown) > 8 else "content", border=False, gap="xxsmall"):
        for label in shown:
            _label(target, label, selected)
    if not shown:
        st.caption("No label with these letters. Type it above to make it.")
    elif len(shown) < len(labels):
        which = "Those that match best" if searched.strip() else "Those used most"
        st.caption(f"{which}, {len(shown)} of {len(labels):,}. Find the others by name.")


def _label(target: Target, label: LabelCount, selected: int) -> None:
    name = plain(label.name)
    # The row is known by its label, so that it stays the same one when others come or go.
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", wrap=False):
        st.button(
            "\\+",
            key=f"label_add/{target.project.id}/{label.name}",
            help=f"Put **{name}** on {_the(selected)}; where it is already, it becomes the default.",
            disabled=not selected,
            on_click=edit_selected,
            args=[target, Edit(add=(label.name,))],
        )
        st.button(
            "\N{MINUS SIGN}",
            key=f"label_remove/{target.project.id}/{label.name}",
            help=f"Take **{name}** off {_the(selected)}.",
            disabled=not selected,
            on_click=edit_selected,
            args=[target, Edit(remove=(label.name,))],
        )
        with st.container(gap=None):
            st.text(label.name, wrap=False)
            st.caption(_counts(label))
        st.menu_button(
            ":material/more_vert:",
            list(_MENU),
            format_func=lambda choice: _MENU[choice],
            type="tertiary",
            key=f"label_more/{target.project.id}/{label.name}",
            on_click=_chosen,
            args=[target, label.name],
        )


def _counts(label: LabelCount) -> str:
    if not label.images or label.default == label.images:
        return counted(label.images, "image")
    return f"{counted(label.images, 'image')}, {label.default:,} default"


def _chosen(target: Target, label: str) -> None:
    if typed(f"label_more/{target.project.id}/{label}") == "show":
        show_label(label)
    else:
        make_default_everywhere(target, label)


def _marks(target: Target, selected: int) -> None:
    the = _the(selected)
    with st.container(horizontal=True, gap="xsmall"):
        for title, state, explained in (
            (
                "None of these",
                "none-of-these",
                f"No label of this project fits {the}. Multi-label learns from that.",
            ),
            ("Ignore", "ignored", f"Leave {the} out of every training."),
            ("Unmark", "unlabelled", f"Make {the} unlabelled again."),
        ):
            st.button(
                title,
                key=f"label_mark/{state}",
                help=explained,
                disabled=not selected,
                on_click=edit_selected,
                args=[target, Edit(state=state)],
            )
        st.menu_button(
            "Validation set",
            list(_SETS),
            format_func=lambda split: _SETS[split],
            key=_SET,
            help="Images to check models with, chosen by you: no training learns from them.",
            disabled=not selected,
            on_click=_set,
            args=[target],
        )


def _set(target: Target) -> None:
    edit_selected(target, Edit(split=typed(_SET)))


def _the(selected: int) -> str:
    if not selected:
        return "the selected images"
    return "the selected image" if selected == 1 else f"the {selected:,} selected images"
