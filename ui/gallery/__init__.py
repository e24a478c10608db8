"""A grid of image tiles that loads itself from a REST address: select, look at one large, choose default labels."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import streamlit as st

from fieldmark.ui.component_source import joined, text_of

_mount = st.components.v2.component(
    "fieldmark_gallery",
    html='<div class="gallery"></div>',
    css=text_of("fieldmark.ui.gallery", "gallery.css"),
    js=joined(
        ("fieldmark.ui", "answers.js"),
        ("fieldmark.ui.gallery", "images.js"),
        ("fieldmark.ui.gallery", "selection.js"),
        ("fieldmark.ui.gallery", "tile.js"),
        ("fieldmark.ui.gallery", "large.js"),
        ("fieldmark.ui.gallery", "rows.js"),
        ("fieldmark.ui.gallery", "gallery.js"),
    ),
)


@dataclass(frozen=True, slots=True)
class GalleryState:
    """What a person has chosen: ids of the selected images in the order shown, and of the one shown large."""

    selected: tuple[int, ...] = ()
    opened: int | None = None


def gallery(
    *,
    source: str,
    key: str,
    selectable: bool = True,
    captions: Literal["labels", "scores"] = "labels",
    height: int = 640,
    version: int | str = 0,
    empty: str = "No images here.",
) -> GalleryState:
    """Show the images behind a relative REST address, such as `api/v1/projects/3/images?state=unlabelled`.

    `captions="scores"` is for addresses that answer `predictions`. Another `source` starts anew, without a selection.
    Another `version` reads what is shown again and keeps scroll and selection, except for images that no longer match:
    change it after a write to the images. `height` is the most the grid takes, in CSS pixels. `empty` is said when
    there is nothing to show.
    """
    data = {
        "source": source,
        "selectable": selectable,
        "captions": captions,
        "height": height,
        "version": version,
        "empty": empty,
        # A gallery that comes back takes up the selection the page still knows.
        "known": list(_state(st.session_state.get(key), source).selected),
        # Another one when the server has been away: what the browser told it meanwhile may be lost.
        "session": st.session_state.setdefault("gallery_session", secrets.token_hex(8)),
    }
    result = _mount(key=key, data=data, default={"view": None}, on_view_change=lambda: None)
    return _state(result, source)


def _state(result: Any, source: str) -> GalleryState:
    """Read what the browser says; a selection made in another source is none in this one."""
    view = result.get("view") if isinstance(result, Mapping) else None
    if not isinstance(view, Mapping) or view.get("source") != source:
        return GalleryState()
    opened = view.get("opened")
    selected = tuple(one for one in view.get("selected", ()) if type(one) is int)
    return GalleryState(selected, opened if type(opened) is int else None)


def selection(key: str, source: str) -> tuple[int, ...]:
    """Return what is selected in a gallery at this moment, for a callback that acts on it before the page runs."""
    # Unlike `session_state[key]` this is no place where Streamlit may drop the callback for a newer rerun.
    return _state(st.session_state.to_dict().get(key), source).selected
