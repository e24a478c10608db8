"""The Predict page: choose a model and images, see what it says, take the results away."""

from __future__ import annotations

from functools import partial

import streamlit as st

from fieldmark.core.contracts.terms import CheckpointName
from fieldmark.core.counted import counted
from fieldmark.core.run_progress import RunView
from fieldmark.storage import browse, models
from fieldmark.storage.browse import ImageFilter
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.labels import label_counts
from fieldmark.storage.models import Model
from fieldmark.storage.predictions import PredictionRun, prediction_runs
from fieldmark.storage.projects import Project
from fieldmark.ui.gallery import gallery
from fieldmark.ui.moments import moment
from fieldmark.ui.navigation import link
from fieldmark.ui.plain import plain
from fieldmark.ui.session import app
from fieldmark.ui.uploader import uploader

NEW, OURS = "New images", "Images of this project"
LISTED = 100
EARLIER = 10
LONGEST_ID = 18
CHECKPOINTS: dict[CheckpointName, str] = {"best": "best", "last": "last"}


def choose_model(project: Project) -> tuple[Model, CheckpointName]:
    """Let a person choose a model and one of its checkpoints; the address keeps both."""
    there = {model.name: model for model in reversed(models.models(app().workspace.database, project.id))}
    asked = st.query_params.get("model", "")
    left, right, _ = st.columns([3, 2, 3], vertical_alignment="bottom")
    name = left.selectbox(
        "Model",
        list(there),
        index=list(there).index(asked) if asked in there else 0,
        key=f"model_{project.id}",
    )
    which = right.segmented_control(
        "Checkpoint",
        list(CHECKPOINTS),
        default="last" if st.query_params.get("checkpoint") == "last" else "best",
        required=True,
        key=f"checkpoint_{project.id}",
        help="best: as it was when it did best on the validation images. last: as it was when training ended.",
    )
    st.query_params.update({"model": name, "checkpoint": str(which)})
    return there[name], "last" if which == "last" else "best"


def choose_source(project: Project, model: Model, checkpoint: CheckpointName) -> None:
    """Let a person choose what to predict, and start."""
    source = st.segmented_control(
        "Images",
        [NEW, OURS],
        default=NEW,
        required=True,
        key=f"source_{project.id}",
        label_visibility="collapsed",
    )
    if source == OURS:
        _ours(project, model, checkpoint)
    else:
        _new(project, model, checkpoint)


def _new(project: Project, model: Model, checkpoint: CheckpointName) -> None:
    turn = st.session_state.setdefault(f"predict_turn_{project.id}", 0)
    arrived = uploader(key=f"predict_{project.id}_{turn}", purpose="predict")
    run = _basket_run(project)
    kept = len(app().runs.predicted_basket(run).inputs) if run is not None else 0
    if arrived.upload is not None and not arrived.sending and arrived.files:
        st.session_state[f"predict_turn_{project.id}"] += 1
        _predict_arrived(
            project, partial(app().runs.predict_files, model, checkpoint, earlier=run), arrived.upload
        )
    if kept:
        _kept(project, partial(app().runs.predict_files, model, checkpoint, earlier=run), kept)
    st.caption(
        "Prediction begins as soon as the images have arrived. They are not stored in the project, and stay here "
        "until you begin with others: add more, or choose another model and predict them again."
    )


def _predict_arrived(project: Project, start: partial[int], token: str) -> None:
    try:
        received = app().runs.inbox.take(token)
    except FieldmarkError as error:
        st.error(plain(str(error)))
        return
    _start(project, partial(start, received=received))


def _kept(project: Project, again: partial[int], kept: int) -> None:
    model, checkpoint = again.args
    with st.container(horizontal=True):
        words = "this image" if kept == 1 else f"these {kept:,} images"
        if st.button(f"Predict {words} with {plain(model.name)} ({checkpoint})", key="again"):
            _start(project, again)
        if st.button("Begin with other images", key="clear"):
            app().runs.drop_basket(_basket_run(project) or 0)
            st.session_state.pop(f"basket_run_{project.id}", None)
            st.session_state.pop(f"predict_run_{project.id}", None)
            st.query_params.pop("run", None)
            st.rerun()


def _ours(project: Project, model: Model, checkpoint: CheckpointName) -> None:
    choices: dict[str, ImageFilter] = {
        "All images": ImageFilter(),
        "Unlabelled images": ImageFilter(state="unlabelled"),
        "Validation set": ImageFilter(split="validation"),
        "Test set": ImageFilter(split="test"),
    }
    for label in label_counts(app().workspace.database, project.id):
        if label.images:
            choices[f"Labelled {label.name}"] = ImageFilter(labels=(label.name,))
    left, right, _ = st.columns([3, 2, 3], vertical_alignment="bottom")
    chosen = left.selectbox("Which", list(choices), key=f"which_{project.id}")
    database = app().workspace.database
    count = browse.count_images(database, project.id, choices[chosen])
    words = f"Predict {counted(count, 'image')}"
    if right.button(words, type="primary", disabled=not count, key="predict_ours", width="stretch"):
        ids = browse.image_ids(database, project.id, choices[chosen])
        _start(project, partial(app().runs.predict_images, model, checkpoint, ids))


def _start(project: Project, start: partial[int]) -> None:
    try:
        run = start()
    except FieldmarkError as error:
        st.error(plain(str(error)))
        return
    st.query_params["run"] = str(run)
    st.session_state[f"predict_run_{project.id}"] = run
    if start.func == app().runs.predict_files:
        st.session_state[f"basket_run_{project.id}"] = run
    st.rerun()


def _basket_run(project: Project) -> int | None:
    """Return the prediction of files, the one shown or the latest of this tab, whose files are still kept."""
    shown = _shown_run(project)
    for run in (shown, st.session_state.get(f"basket_run_{project.id}")):
        try:
            if run is not None:
                app().runs.predicted_basket(run)
                return int(run)
        except FieldmarkError:
            continue
    return None


def _shown_run(project: Project) -> int | None:
    """Return the prediction that the address names, or else the one this tab started last."""
    asked = st.query_params.get("run", "")
    if asked.isdecimal() and len(asked) <= LONGEST_ID:
        return int(asked)
    last: int | None = st.session_state.get(f"predict_run_{project.id}")
    return last


def show_result(project: Project) -> None:
    """Show a prediction: its pictures, what was refused, and the downloads; then the earlier ones."""
    run = _shown_run(project)
    past = prediction_runs(app().workspace.database, project.id, LISTED)
    if run is not None:
        _result(project, run, next((one for one in past if one.run_id == run), None))
    earlier = [one for one in past if one.run_id != run][:EARLIER]
    if earlier:
        with st.expander("Earlier predictions"):
            for one in earlier:
                link("predict", f"{_words(one)}, {moment(one.finished)}", run=str(one.run_id))


def _words(one: PredictionRun) -> str:
    return f"{one.model} ({one.checkpoint}) on {counted(one.images, 'image')}"


def _result(project: Project, run: int, found: PredictionRun | None) -> None:
    try:
        view = app().runs.view(run)
    except FieldmarkError as error:
        st.warning(plain(str(error)))
        return
    if view.project_id != project.id or view.kind != "predict":
        st.query_params.pop("run", None)
    elif view.active:
        st.info("The images are being predicted: the bar on top shows how far.")
    elif found is not None:
        _finished(view, found)
    elif view.status == "finished":
        st.warning(plain(f"The model {view.name} was deleted, and with it what it said of these images."))
    else:
        st.error(plain(f"The prediction has no result ({view.status}): {view.sentence}"))
        _refused(view, opened=True)


def _finished(view: RunView, found: PredictionRun) -> None:
    st.subheader(f"What {plain(found.model)} ({found.checkpoint}) says")
    downloads = [
        f"[{plain(plugin.name)}](api/v1/runs/{view.id}/download?format={plugin.name})"
        for plugin in app().registry.of_kind("exporter")
        if getattr(plugin.cls, "exports", "") == "predictions"
    ]
    st.markdown(f"Download: {' · '.join(downloads)}")
    _refused(view, opened=False)
    gallery(
        source=f"api/v1/runs/{view.id}/predictions",
        key=f"predictions_{view.id}",
        captions="scores",
        selectable=False,
    )


def _refused(view: RunView, *, opened: bool) -> None:
    outcome = app().runs.predicted(view.id)
    lists = (("Refused", outcome.refused), ("Not images", outcome.skipped)) if outcome else ()
    for title, items in lists:
        if items:
            with st.expander(f"{title} ({len(items):,})", expanded=opened):
                st.dataframe(
                    {"file": [i.name for i in items[:LISTED]], "why": [i.reason for i in items[:LISTED]]},
                    hide_index=True,
                )
