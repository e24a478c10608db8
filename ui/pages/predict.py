"""Predict: new images or the project's, by any model, with the results as pictures and as files."""

import streamlit as st

from fieldmark.storage import models
from fieldmark.ui.navigation import link
from fieldmark.ui.prediction import choose_model, choose_source, show_result
from fieldmark.ui.session import app, current_project

st.title("Predict")
project = current_project()
if project is None:
    st.write("A model belongs to a project, and there is none yet.")
    link("home", "Create a project")
elif not models.models(app().workspace.database, project.id):
    st.write("This project has no model yet. Train one first: it takes seconds to minutes.")
    link("train", "Train a model")
else:
    model, checkpoint = choose_model(project)
    choose_source(project, model, checkpoint)
    show_result(project)
