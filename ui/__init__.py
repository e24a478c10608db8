"""Streamlit pages; they arrive with `fieldmark serve`."""
