"""The frame around every page: where its script lies, and what a person sees when a page fails."""

from __future__ import annotations

import logging
from pathlib import Path

_log = logging.getLogger("fieldmark.ui")


def script() -> Path:
    """Return the main script. It lies apart from `pages/`: beside it a deep link would run a page without it."""
    return Path(__file__).with_name("app.py")


def show_failure(error: BaseException) -> bool:
    """Show a sentence instead of Streamlit's error box; the traceback goes to the log."""
    import streamlit as st

    from fieldmark.storage.errors import FieldmarkError
    from fieldmark.ui.plain import plain

    if isinstance(error, FieldmarkError):
        st.error(plain(str(error)))
        return True
    _log.error("a page failed", exc_info=error)
    st.error(
        f"This page failed inside ({type(error).__name__}). Nothing that was saved is lost: reload the page. "
        "If it comes again, the log of the server says where."
    )
    return True
