"""Images come in through the browser: chosen or dropped, labelled on the way, reported one by one."""

from __future__ import annotations

import streamlit as st

from fieldmark.core.pictures.staging import Listed
from fieldmark.core.sources.received import folder_names
from fieldmark.core.upload import UploadReport, UploadWishes
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.labels import check_label, label_counts
from fieldmark.storage.projects import Project
from fieldmark.ui.navigation import link
from fieldmark.ui.plain import plain
from fieldmark.ui.session import app
from fieldmark.ui.uploader import UploaderState, uploader

LISTED = 200


def upload_images(project: Project) -> None:
    """Show where to drop images, what to say about them, and what became of the last ones."""
    turn = st.session_state.setdefault(f"upload_turn_{project.id}", 0)
    st.caption(
        "JPEG, PNG, WebP, GIF, BMP or TIFF: files, a whole folder, or zips of any size. Copies are found and kept once."
    )
    arrived = uploader(key=f"images_{project.id}_{turn}", purpose="images")
    _suggest_folders(arrived)
    wishes = _wishes(project)
    _store(project, arrived, wishes)
    _last_report(project)


def _suggest_folders(arrived: UploaderState) -> None:
    """Say that the files lie in folders, whose names may be their labels."""
    if arrived.upload is None or arrived.sending:
        return
    try:
        found = folder_names(app().runs.inbox.find(arrived.upload))
    except FieldmarkError:
        return
    if found:
        shown = ", ".join(found[:5]) + (", …" if len(found) > 5 else "")
        st.info(
            plain(
                f"The files lie in {len(found):,} folders: {shown}. If these are their labels, tick the box below."
            )
        )


def _wishes(project: Project) -> UploadWishes | None:
    left, right = st.columns(2, gap="large")
    known = [count.name for count in label_counts(app().workspace.database, project.id)]
    labels = left.multiselect(
        "Labels for all of these images",
        known,
        accept_new_options=True,
        placeholder="Choose, or type a new one",
        key=f"upload_labels_{project.id}",
    )
    from_folder = right.checkbox(
        "Label each image with its folder's name",
        key=f"upload_from_folder_{project.id}",
        help="For images sorted as cat/1.jpg, dog/2.jpg. Choose the folder that holds these folders.",
    )
    split = right.checkbox(
        "Take train, validation, test folders as sets",
        key=f"upload_split_{project.id}",
        disabled=not from_folder,
        help="For images sorted as validation/cat/1.jpg: images in validation and test go into those sets.",
    )
    try:
        return UploadWishes(tuple(check_label(label) for label in labels), from_folder, from_folder and split)
    except FieldmarkError as error:
        left.error(plain(str(error)))
        return None


def _store(project: Project, arrived: UploaderState, wishes: UploadWishes | None) -> None:
    ready = arrived.upload is not None and not arrived.sending and arrived.files > 0
    words = f"Store {arrived.files:,} files" if arrived.files > 1 else "Store the file" if ready else "Store"
    if not st.button(words, type="primary", disabled=not ready or wishes is None, key="store"):
        return
    assert wishes is not None and arrived.upload is not None
    try:
        run = app().runs.upload(project, app().runs.inbox.take(arrived.upload), wishes)
    except FieldmarkError as error:
        st.error(plain(str(error)))
        return
    st.session_state[f"upload_turn_{project.id}"] += 1
    st.session_state[f"upload_run_{project.id}"] = run
    st.rerun()


def _last_report(project: Project) -> None:
    run = st.session_state.get(f"upload_run_{project.id}")
    if run is None:
        return
    view = app().runs.view(run)
    report = app().runs.report(run)
    if view.active:
        st.info(
            "The images are being checked and stored: the bar on top shows how far. You may leave this page."
        )
        return
    st.subheader("What became of the files")
    if view.status == "failed":
        st.error(plain(f"The upload stopped: {view.sentence}"))
    if view.status == "cancelled":
        st.warning("The upload was cancelled: what is listed as stored is stored, the rest is not.")
    if report is not None:
        _show(run, report)


def _show(run: int, report: UploadReport) -> None:
    figures = {
        "Files": report.seen,
        "Stored": report.stored,
        "Duplicates": len(report.duplicates),
        "Refused": len(report.refused),
        "Not images": len(report.skipped),
        "Labels given": report.labels,
    }
    for column, (word, number) in zip(st.columns(len(figures)), figures.items(), strict=True):
        column.metric(word, f"{number:,}")
    _listed("Refused", report.refused)
    _listed("Stored under another name", report.renamed)
    _listed("Contradictory labels", report.contradictions)
    _listed("Duplicates", report.duplicates)
    _listed("Not images", report.skipped)
    _listed("Worth knowing", report.notes)
    st.markdown(f"[Download this report](api/v1/runs/{run}/report)")
    if report.stored or report.duplicates:
        link("label", "Label the images")


def _listed(title: str, items: list[Listed]) -> None:
    if not items:
        return
    with st.expander(f"{title} ({len(items):,})", expanded=title == "Refused"):
        st.dataframe(
            {"file": [i.name for i in items[:LISTED]], "what": [i.reason for i in items[:LISTED]]},
            hide_index=True,
            column_config={"file": st.column_config.TextColumn(width="medium")},
        )
        if len(items) > LISTED:
            st.caption(f"The first {LISTED} are shown; the report holds all.")
