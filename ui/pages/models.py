"""Models: what was trained, how good it is, and what to do with it."""

import streamlit as st

from fieldmark.ui.model_cards import model_cards
from fieldmark.ui.navigation import link
from fieldmark.ui.past_runs import past_runs
from fieldmark.ui.session import current_project

st.title("Models")
project = current_project()
if project is None:
    st.write("A model belongs to a project, and there is none yet.")
    link("home", "Create a project")
else:
    model_cards(project)
    past_runs(project)
