"""Statistics: how good a model is, and on which images it errs."""

import streamlit as st

from fieldmark.ui.navigation import link
from fieldmark.ui.session import current_project
from fieldmark.ui.statistics.page import statistics_page

st.title("Statistics")
project = current_project()
if project is None:
    st.write("Statistics are about a model of a project, and there is no project yet.")
    link("home", "Create a project")
else:
    statistics_page(project)
