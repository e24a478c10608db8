"""Which of a project's images the grid shows. The address holds it, so that reload, back and a link keep it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import streamlit as st

from fieldmark.ui.plain import plain

SHOWN = {
    "all": "All images",
    "unlabelled": "Unlabelled",
    "labelled": "Labelled",
    "label": "With a label",
    "default": "With a default label",
    "none-of-these": "None of these",
    "ignored": "Ignored",
    "validation": "Validation set",
    "test": "Test set",
}
"""{as the address says it after `show=`: as a person reads it}."""
_OF_A_LABEL = ("label", "default")
_SETS = ("validation", "test")
_SHOW, _LABEL, _NAME = "label_show", "label_label", "label_name"


@dataclass(frozen=True, slots=True)
class Shown:
    """The images the grid shows: a choice of `SHOWN`, its label where it needs one, part of the image's name."""

    show: str = "all"
    label: str = ""
    name: str = ""

    @property
    def narrow(self) -> bool:
        """Tell whether anything may be left out."""
        return self != Shown()

    def source(self, project_id: int) -> str:
        """Return the relative REST address of these images."""
        asked: dict[str, str] = {}
        if self.show in _OF_A_LABEL:
            asked[self.show] = self.label
        elif self.show in _SETS:
            asked["split"] = self.show
        elif self.show != "all":
            asked["state"] = self.show
        if self.name:
            asked["text"] = self.name
        query = f"?{urlencode(asked, quote_via=quote)}" if asked else ""
        return f"api/v1/projects/{project_id}/images{query}"


def read_address(address: Mapping[str, str], labels: Sequence[str]) -> tuple[Shown, str]:
    """Return what an address asks for, and a sentence where the project has no such thing."""
    show, label, name = (address.get(part, "") for part in ("show", "label", "name"))
    if show not in SHOWN:
        said = f"There is no choice {show!r}, so all images are shown." if show else ""
        return Shown(name=name), said
    if show not in _OF_A_LABEL:
        return Shown(show, name=name), ""
    if label not in labels:
        return Shown(name=name), f"This project has no label {label!r}, so all images are shown."
    return Shown(show, label, name), ""


def filter_row(labels: Sequence[str]) -> Shown:
    """Show the filter and return what it asks for; `labels` are those of the project."""
    shown, complaint = read_address(st.query_params.to_dict(), labels)
    choices = [choice for choice in SHOWN if labels or choice not in _OF_A_LABEL]
    of_a_label = shown.show in _OF_A_LABEL
    columns = iter(st.columns([2, 2, 3] if of_a_label else [2, 5]))
    _follow(_SHOW, shown.show)
    next(columns).selectbox(
        "Show",
        choices,
        format_func=lambda choice: SHOWN[choice],
        key=_SHOW,
        on_change=_choose,
        args=[labels],
    )
    if of_a_label:
        _follow(_LABEL, shown.label)
        next(columns).selectbox(
            "Label",
            labels,
            key=_LABEL,
            filter_mode="contains",
            on_change=_choose,
            args=[labels],
        )
    _follow(_NAME, shown.name)
    next(columns).text_input(
        "Name contains", key=_NAME, placeholder="part of an image's name", on_change=_choose, args=[labels]
    )
    if complaint:
        st.caption(plain(complaint))
    return shown


def show_label(label: str) -> None:
    """Make the grid show the images that carry a label, from a callback."""
    _write(Shown("label", label))


def _choose(labels: Sequence[str]) -> None:
    show = st.session_state[_SHOW]
    label = st.session_state.get(_LABEL) or next(iter(labels), "")
    _write(Shown(show, label if show in _OF_A_LABEL else "", st.session_state[_NAME]))


def _write(shown: Shown) -> None:
    parts = {"show": shown.show if shown.show != "all" else "", "label": shown.label, "name": shown.name}
    others = {part: value for part, value in st.query_params.to_dict().items() if part not in parts}
    # All at once, so that the browser's back button finds no half of it.
    st.query_params.from_dict({**others, **{part: value for part, value in parts.items() if value}})


def _follow(key: str, value: str) -> None:
    """Let a widget show what the address says, without disturbing somebody who types."""
    if st.session_state.get(key) != value:
        st.session_state[key] = value
