"""What a training will take, as figures: images, embedding apart from training, steps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import streamlit as st

from fieldmark.core.estimates import Estimate, estimate
from fieldmark.core.train import TrainRequest
from fieldmark.storage.projects import Project
from fieldmark.ui.definitions import DEFINITIONS
from fieldmark.ui.plain import plain
from fieldmark.ui.run_banner import duration
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
    steps = "" if found.steps is None else f", in about **{found.steps:,} {_plural(found.steps, 'step')}**"
    st.markdown(f"About **{duration(found.seconds)}** from Start to the model{steps}.")
    said = [plain(note) for note in found.notes]
    if found.images["test"]:
        said.insert(
            0, f"{found.images['test']:,} test {_plural(found.images['test'], 'image')}: only evaluated"
        )
    if found.images_to_embed:
        counted = f"{found.images_to_embed:,} {_plural(found.images_to_embed, 'image')}"
        said.insert(0, f"{counted} to embed first, which the minutes do not count")
    if said:
        st.caption("\n".join(f"- {sentence}" for sentence in said))


def _time(seconds: float, measured: bool) -> str:
    return f"{'' if measured else '≈ '}{duration(seconds)}"


def _plural(count: int, word: str) -> str:
    return word if count == 1 else f"{word}s"


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
