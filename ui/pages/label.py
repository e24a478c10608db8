"""Label: the project's images in a grid, and its labels beside it."""

import streamlit as st

from fieldmark.ui.labelling.page import label_page

st.title("Label")
label_page()
