"""Home: the projects, the next step of each, a new one, and the demo."""

import streamlit as st

from fieldmark.core.projects import overview
from fieldmark.ui.plain import plain
from fieldmark.ui.projects import demo_offer, new_project, project_list
from fieldmark.ui.session import app

st.title("Home")
for notice in app().workspace.notices:
    st.warning(plain(notice))
projects = overview(app().workspace)
if not projects:
    st.write(
        "Fieldmark turns a folder of images into a classifier: upload images, label them, train a model, read how "
        "good it is, and let it predict. Everything stays on this machine."
    )
project_list(projects)
create, demo = st.columns(2, gap="large")
with create:
    new_project()
with demo:
    demo_offer()
