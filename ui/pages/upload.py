"""Upload: images with labels on the way, or labels from another tool's file."""

import streamlit as st

from fieldmark.ui.label_file import label_file
from fieldmark.ui.navigation import link
from fieldmark.ui.session import current_project
from fieldmark.ui.upload_images import upload_images

st.title("Upload")
project = current_project()
if project is None:
    st.write("Images belong to a project, and there is none yet.")
    link("home", "Create a project")
else:
    images, labels = st.tabs(["Images", "Labels from another tool"])
    with images:
        upload_images(project)
    with labels:
        label_file(project)
