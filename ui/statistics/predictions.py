"""The images of one set as the model saw them: what it said of each, right or wrong."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import streamlit as st

from fieldmark.core.contracts.terms import Split
from fieldmark.core.prediction_pages import Verdict, training_predictions
from fieldmark.ui.gallery import gallery
from fieldmark.ui.session import app
from fieldmark.ui.statistics.choice import Choice

_VERDICTS: dict[str, Verdict | None] = {"all": None, "correct": "correct", "incorrect": "incorrect"}
_WORDS = {"all": "All", "correct": "✓ Correct", "incorrect": "✗ Incorrect"}


def predictions_source(
    choice: Choice,
    split: Split,
    *,
    verdict: Verdict | None = None,
    truth: str | None = None,
    predicted: str | None = None,
) -> str:
    """Return the address that answers these predictions, for the gallery; names are encoded."""
    wanted = {
        "model": choice.model.name,
        "checkpoint": choice.checkpoint,
        "set": split,
        "verdict": verdict,
        "truth": truth,
        "predicted": predicted,
    }
    given = {name: value for name, value in wanted.items() if value is not None}
    return f"api/v1/projects/{choice.project.id}/predictions?{urlencode(given, quote_via=quote)}"


def predictions(choice: Choice, split: Split) -> None:
    """Offer the predictions of one set as pictures, all or only the correct or incorrect ones."""
    if not st.toggle("Show predictions", key=f"statistics_pictures_{split}"):
        return
    counts = {word: _count(choice, split, verdict) for word, verdict in _VERDICTS.items()}
    word = st.segmented_control(
        "Predictions",
        list(_VERDICTS),
        default="all",
        required=True,
        format_func=lambda word: f"{_WORDS[word]} ({counts[word]:,})",
        key=f"statistics_verdict_{split}",
        label_visibility="collapsed",
    )
    gallery(
        source=predictions_source(choice, split, verdict=_VERDICTS[str(word)]),
        key=f"statistics_gallery_{split}",
        selectable=False,
        captions="scores",
        empty="No such prediction.",
    )


def _count(choice: Choice, split: Split, verdict: Verdict | None) -> int:
    page = training_predictions(
        app().workspace, choice.model, choice.checkpoint, split=split, verdict=verdict, limit=1
    )
    return page.page.total
