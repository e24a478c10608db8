"""Train: choose what to learn from which labels, see what it will take, start."""

import streamlit as st

from fieldmark.ui.training.page import train_page

st.title("Train")
train_page()
