"""What a training will take, as figures: images, embedding apart from training, steps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import streamlit as st

from fieldmark.core.counted import counted
from fieldmark.core.estimates import Estimate, estimate
from fieldmark.core.train import TrainRequest
from fieldmark.storage.projects import Project
from fieldmark.ui.definitions import DEFINITIONS
from fieldmark.ui.moments import rough_length
from fieldmark.ui.plain import plain
from fieldmark.ui.session import app

_LOOK_UP_SECONDS = 0.1
_pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="estimate")


def forecast(project: Project, request: TrainRequest) -> Estimate:
    """Return the estimate; raises `FieldmarkError` as `estimate` does.

    Of many images the first one takes seconds. A page that only waited would answer no click meanwhile: a script
    stops for a newer run where it writes something. So the work is done elsewhere, and this writes nothing now and then.
    """
    spot = st.empty()
    held = app()
    coming = _pool.submit(estimate, held.workspace, held.registry, project, request)
    try:
        while True:
            try:
                return coming.result(_LOOK_UP_SECONDS)
            except TimeoutError:
                spot.empty()
    finally:
        coming.cancel()


def show_forecast(found: Estimate) -> None:
    """Show an estimate."""
    embed, train = st.columns(2)
    embed.metric(
        "Embedding",
        _time(found.embed_seconds, found.embed_measured) if found.images_to_embed else "none",
        help=DEFINITIONS["embed_time"],
    )
    train.metric("Training", _time(found.train_seconds, found.train_measured), help=DEFINITIONS["train_time"])
    learn, check = st.columns(2)
    learn.metric("To learn from", f"{found.images['train']:,}", help="Images that the model learns from.")
    check.metric(
        "To check with",
        f"{found.images['validation']:,}",
        help="Validation images: the model is checked with them and never learns from them.",
    )
    steps = "" if found.steps is None else f", in about **{counted(found.steps, 'step')}**"
    st.markdown(f"About **{rough_length(found.seconds)}** from Start to the model{steps}.")
    said = [plain(note) for note in found.notes]
    if found.images["test"]:
        said.insert(0, f"{counted(found.images['test'], 'test image')}: only evaluated")
    if found.images_to_embed:
        said.insert(
            0, f"{counted(found.images_to_embed, 'image')} to embed first, which the minutes do not count"
        )
    if said:
        st.caption("\n".join(f"- {sentence}" for sentence in said))


def _time(seconds: float, measured: bool) -> str:
    return f"{'' if measured else '≈ '}{rough_length(seconds)}"


def show_sets(found: Estimate) -> None:
    """Show how many images of each label lie in which set."""
    splits = [split for split in ("train", "validation", "test") if found.images.get(split)]
    st.markdown("**Images per label and set**", help=DEFINITIONS["label_count"])
    st.dataframe(
        {
            "Label": list(found.label_counts),
            **{
                split.capitalize(): [counts[split] for counts in found.label_counts.values()]
                for split in splits
            },
        },
        hide_index=True,
        height=min(38 + 35 * len(found.label_counts), 420),
    )
