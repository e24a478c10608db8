"""What the Statistics page shows, kept in its address, so that reload, back and a link keep it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st


def widget_key(name: str) -> str:
    """Return the key of the widget that a part of the address belongs to."""
    return f"statistics_{name}"


def take_from_address(name: str, options: Sequence[str], default: str | None) -> str | None:
    """Set a widget to what the address asks for, or to `default`, and return that. Call it before the widget."""
    asked = st.query_params.get(name)
    chosen = asked if asked in options else default
    st.session_state[widget_key(name)] = chosen
    return chosen


def put_into_address(name: str) -> None:
    """Make the address follow a widget; for its `on_change`."""
    chosen = st.session_state[widget_key(name)]
    if chosen is not None:
        st.query_params[name] = chosen
