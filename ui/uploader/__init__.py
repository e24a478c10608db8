"""A place to drop files and folders, which go to the server one by one, from disk to disk.

Streamlit's own uploader would keep all of them in the server's memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import streamlit as st

from fieldmark.ui.component_source import joined, text_of

_mount = st.components.v2.component(
    "fieldmark_uploader",
    html='<div class="uploader"></div>',
    css=text_of("fieldmark.ui.uploader", "uploader.css"),
    js=joined(
        ("fieldmark.ui", "answers.js"),
        ("fieldmark.ui.uploader", "collecting.js"),
        ("fieldmark.ui.uploader", "sending.js"),
        ("fieldmark.ui.uploader", "uploader.js"),
    ),
)


@dataclass(frozen=True, slots=True)
class NotSent:
    """A file that did not arrive, with the sentence that says why."""

    name: str
    sentence: str


@dataclass(frozen=True, slots=True)
class UploaderState:
    """What has arrived.

    `upload` is the token of the received files once all that were chosen have been sent or given up, else None.
    `files` and `bytes` count those that arrived; `sending` is true while some are on their way.
    """

    upload: str | None = None
    files: int = 0
    bytes: int = 0
    failed: tuple[NotSent, ...] = ()
    sending: bool = False


def uploader(
    *,
    key: str,
    purpose: Literal["images", "labels", "predict"] = "images",
    multiple: bool = True,
    folders: bool = True,
) -> UploaderState:
    """Let a person choose or drop files and send them; the page reruns when it begins and when all are there.

    Files chosen later are added to the same upload, as long as the server knows it. With `multiple=False` another
    file takes the place of the one before. Another `key` begins anew.
    """
    data = {"purpose": purpose, "multiple": multiple, "folders": folders}
    result = _mount(key=key, data=data, default={"state": None}, on_state_change=lambda: None)
    state = result.get("state")
    if not isinstance(state, Mapping):
        return UploaderState()
    failed = tuple(NotSent(str(name), str(sentence)) for name, sentence in state["failed"])
    token = state["upload"]
    return UploaderState(
        str(token) if token else None,
        int(state["files"]),
        int(state["bytes"]),
        failed,
        bool(state["sending"]),
    )
