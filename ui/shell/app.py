"""Runs before every page: navigation in the order of the journey, the project, the runs at work."""

from pathlib import Path

import streamlit as st

from fieldmark.ui.navigation import JOURNEY, link, page
from fieldmark.ui.run_banner import run_banner
from fieldmark.ui.session import pick_project

SHELL = Path(__file__).parent

chosen = st.navigation([page(name) for name in JOURNEY], position="hidden")
st.set_page_config(f"{chosen.title} · Fieldmark", page_icon=SHELL / "icon.svg", layout="wide")
st.logo(str(SHELL / "logo.svg"), size="large", icon_image=str(SHELL / "icon.svg"))
st.html("<style>[data-testid=stMainBlockContainer] {padding-top: 3.5rem; padding-bottom: 4rem}</style>")
with st.sidebar:
    pick_project()
    for name in JOURNEY:
        link(name)
run_banner()
chosen.run()
