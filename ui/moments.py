"""Points in time and lengths of time as a person reads them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import streamlit as st


def moment(at: datetime) -> str:
    """Return a stored time, UTC and naive, as the visitor's own clock shows it: `24 Nov 2026, 12:15`.

    A browser that doesn't say where it is reads UTC.
    """
    offset = st.context.timezone_offset
    local = at.replace(tzinfo=UTC) - timedelta(minutes=offset or 0)
    return f"{local.day} {local:%b %Y, %H:%M}{'' if offset is not None else ' UTC'}"


def length(seconds: float) -> str:
    """Return a measured time: `0.4 s`, `12.3 s`, `3 min 20 s`, `1 h 05 min`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def rough_length(seconds: float) -> str:
    """Return an estimated time, no more exact than an estimate is: `12 s`, `4 min`, `1.5 h`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
