"""Runs before every page: navigation in the order of the journey, the project, the runs at work."""

from pathlib import Path

import streamlit as st

from fieldmark.ui.navigation import JOURNEY, link, page
from fieldmark.ui.plain import plain
from fieldmark.ui.run_banner import run_banner
from fieldmark.ui.session import current_project, pick_project, project_gone

SHELL = Path(__file__).parent

chosen = st.navigation([page(name) for name in JOURNEY], position="hidden")
st.set_page_config(f"{chosen.title} · Fieldmark", page_icon=SHELL / "icon.svg", layout="wide")
st.logo(str(SHELL / "logo.svg"), size="large", icon_image=str(SHELL / "icon.svg"))
# Streamlit's own Stop would end the page's script, not the run that a person may mean.
st.html(
    "<style>[data-testid=stMainBlockContainer] {padding-top: 4.5rem; padding-bottom: 4rem} "
    "[data-testid=stStatusWidget] button {display: none}</style>"
)
with st.sidebar:
    pick_project()
    for name in JOURNEY:
        link(name)
run_banner()
if gone := project_gone(chosen.title):
    project = current_project()
    st.warning(plain(f"{gone} This page is about {project.name} ({project.id}) now." if project else gone))
st.session_state["page_before"], st.session_state["page"] = st.session_state.get("page"), chosen.title
chosen.run()
