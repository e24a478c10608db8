"""How far a project is labelled, and what comes next."""

from __future__ import annotations

import streamlit as st

from fieldmark.core.projects import LEAST_LABELS
from fieldmark.storage.projects import Contents
from fieldmark.ui.navigation import link


def labelling_progress(holds: Contents) -> None:
    """Show how many images are labelled, and a way to Train as soon as there is enough to learn from."""
    done, following = st.columns([5, 2], vertical_alignment="center")
    # Marked 'none of these' or 'ignored' is done with, too.
    done.progress(1 - holds.unlabelled / holds.images, said(holds))
    with following:
        if holds.learnable >= LEAST_LABELS:
            link("train", "Train a model")


def said(holds: Contents) -> str:
    """Return how far it is, in a sentence."""
    marked = holds.images - holds.labelled - holds.unlabelled
    parts = [f"{holds.labelled:,} of {holds.images:,} labelled"]
    if marked:
        parts.append(f"{marked:,} marked 'none of these' or ignored")
    if not holds.unlabelled:
        return f"{' · '.join(parts)}. Nothing is left to label."
    parts.append(f"{holds.unlabelled:,} left")
    ready = holds.learnable >= LEAST_LABELS
    more = "" if ready else " Training needs two labels with at least two images each."
    return f"{' · '.join(parts)}.{more}"
