"""A person's text inside a sentence that Streamlit would read as Markdown."""

from __future__ import annotations

import re

_MARKS = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:^=&@/])")
_NOTHING = ":small[]"
"""Markdown for no text at all."""
_CUTS = re.compile(
    r"(?<=[-<>~])(?=[-<>=~])|(?<=:)(?=[\w+/-])|(?<=www)(?=\.)|(?<=@)(?=[\w-])|^(?=[ \t])",
    re.IGNORECASE | re.MULTILINE,
)
"""Where text is cut in two, because what is read there is read without its backslashes: `->` as an arrow,
`:streamlit:` as a picture, addresses as links, and blanks before a line as code."""


def plain(text: str) -> str:
    """Return text that Streamlit's Markdown shows exactly as it is."""
    parts = (_MARKS.sub(r"\\\1", part) for part in _CUTS.split(text))
    return _NOTHING.join(parts).replace("\n", "  \n")
