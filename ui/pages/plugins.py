"""Plugins: what is loaded, from where, and what was left out and why."""

import streamlit as st

from fieldmark.ui.plugin_list import plugin_list, problem_list
from fieldmark.ui.session import app

st.title("Plugins")
st.write(
    "Every importer, backbone, trainer and exporter is a plugin. Another one is installed with pip into the "
    "environment that Fieldmark runs in, and is there after a restart."
)
problem_list(app().registry)
plugin_list(app().registry)
