"""A page with one component, told by its address what to show, that says in words what the component told it."""

import json
from dataclasses import asdict

import streamlit as st

from fieldmark.core.labelling import label_images
from fieldmark.core.open_app import held
from fieldmark.core.projects import find_project
from fieldmark.storage.edits import Edit
from fieldmark.ui.gallery import gallery
from fieldmark.ui.uploader import uploader

st.set_page_config(layout="wide")
asked = st.query_params
if asked["show"] == "uploader":
    turn = st.session_state.setdefault("turn", 0)
    arrived = uploader(key=f"uploader_{turn}", multiple=asked.get("multiple") != "no")
    said = asdict(arrived)
    if arrived.upload:
        said["names"] = sorted(held().runs.inbox.find(arrived.upload).names)
    if st.button("Anew"):
        st.session_state["turn"] += 1
        st.rerun()
    st.button("Rerun")
else:
    version = st.session_state.setdefault("version", 0)
    shown = gallery(
        source=asked["source"],
        key="gallery",
        captions=asked.get("captions", "labels"),
        selectable=asked.get("captions") != "scores",
        version=version,
        empty="Nothing matches.",
    )

    def add(label: str) -> None:
        project = find_project(held().workspace, asked["source"].split("/")[3])
        label_images(held().workspace, project, shown.selected, Edit(add=(label,)))
        st.session_state["version"] += 1

    st.button("Add seen", on_click=add, args=("seen",))
    said = asdict(shown)
st.text(json.dumps(said))
