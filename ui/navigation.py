"""The pages in the order of the journey, and the ways from one to another."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import streamlit as st

from fieldmark.ui.plain import plain
from fieldmark.ui.session import link_parameters

_FOLDER = Path(__file__).parent / "pages"
JOURNEY = {
    "home": ("Home", ":material/home:"),
    "upload": ("Upload", ":material/upload:"),
    "label": ("Label", ":material/label:"),
    "train": ("Train", ":material/model_training:"),
    "models": ("Models", ":material/deployed_code:"),
    "statistics": ("Statistics", ":material/bar_chart:"),
    "predict": ("Predict", ":material/image_search:"),
    "plugins": ("Plugins", ":material/extension:"),
}


def page(name: str) -> st.Page:
    """Return a page by its name in the address; `home` is the one at `/`.

    It carries no icon: a page's own icon would become the tab's, which the browser fetches from the web.
    """
    first = name == "home"
    return st.Page(
        _FOLDER / f"{name}.py", title=JOURNEY[name][0], url_path=None if first else name, default=first
    )


def link(name: str, label: str | None = None, **parameters: str) -> None:
    """Show a link to a page about the same project; `parameters` go into the address."""
    title, icon = JOURNEY[name]
    st.page_link(
        page(name), label=plain(label or title), icon=icon, query_params={**link_parameters(), **parameters}
    )


def go(name: str, **parameters: str) -> NoReturn:
    """Open a page about the same project at once."""
    st.switch_page(page(name), query_params={**link_parameters(), **parameters})
