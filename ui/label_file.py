"""Labels that another tool wrote: recognised, tried without writing, then read in."""

from __future__ import annotations

from collections import defaultdict

import streamlit as st

from fieldmark.core.contracts.importer import Description
from fieldmark.core.ingest import LabelReport, import_labels, look_at
from fieldmark.core.sources.received import Received
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.images import counts_by_state
from fieldmark.storage.projects import Project
from fieldmark.ui.navigation import link
from fieldmark.ui.option_form import option_form, problems
from fieldmark.ui.plain import plain
from fieldmark.ui.session import app
from fieldmark.ui.uploader import uploader

RECOGNISE = "Recognise it"


def label_file(project: Project) -> None:
    """Show where to drop a label file, what it would do, and do it."""
    if not counts_by_state(app().workspace.database, project.id):
        st.write("Labels are matched to images by file name, so upload the images first.")
    st.caption(
        "Labels are matched to the images of this project by file name. Nothing is written before you say so."
    )
    turn = st.session_state.setdefault(f"labels_turn_{project.id}", 0)
    arrived = uploader(key=f"labels_{project.id}_{turn}", purpose="labels")
    if arrived.upload is None or arrived.sending or not arrived.files:
        _done(project)
        return
    try:
        received = app().runs.inbox.find(arrived.upload)
        _read(project, received)
    except FieldmarkError as error:
        st.error(plain(str(error)))


def _read(project: Project, received: Received) -> None:
    importers = {plugin.name: plugin for plugin in app().registry.of_kind("importer")}
    asked = st.selectbox(
        "Format",
        [RECOGNISE, *sorted(importers)],
        format_func=lambda name: name if name == RECOGNISE else f"{name}: {importers[name].summary}",
        key=f"format_{project.id}",
    )
    name, found = look_at(app().registry, received.together(), None if asked == RECOGNISE else asked)
    st.markdown(f"Read as **{plain(name)}**: {found.images:,} images, {len(found.labels):,} labels.")
    for note in found.notes:
        st.caption(plain(note))
    model = importers[name].cls.options_model
    with st.expander("Options"):
        options = option_form(model, key=f"options_{name}", choices=_choices(found))
    wrong = problems(model, options, owner=f"importer '{name}'")
    use_split = st.checkbox("Take its train, validation and test sets over", key=f"labels_split_{project.id}")

    def read(dry_run: bool) -> LabelReport:
        return import_labels(
            app().workspace, app().registry, project, received.together(),
            format_name=name, options=options, use_split=use_split, dry_run=dry_run,
        )  # fmt: skip

    look, write = st.columns([2, 3])
    if look.button("Show what would change", disabled=wrong, key="labels_try"):
        with st.spinner("Reading…"):
            _show(read(dry_run=True), tried=True)
    if write.button("Read the labels in", type="primary", disabled=wrong, key="labels_read"):
        with st.spinner("Reading…"):
            report = read(dry_run=False)
        app().runs.inbox.drop(received.token)
        st.session_state[f"labels_report_{project.id}"] = report
        st.session_state[f"labels_turn_{project.id}"] += 1
        st.rerun()


def _choices(found: Description) -> dict[str, list[str]]:
    choices: defaultdict[str, list[str]] = defaultdict(list)
    for field in found.fields:
        choices[field.kind].append(field.name)
    return choices


def _done(project: Project) -> None:
    report: LabelReport | None = st.session_state.get(f"labels_report_{project.id}")
    if report is None:
        return
    st.subheader("What became of the labels")
    _show(report, tried=False)
    link("label", "Look at the labels")


def _show(report: LabelReport, *, tried: bool) -> None:
    if tried:
        st.info("Nothing is written yet. This is what would happen.")
    figures = {
        "Rows": report.rows,
        "Matched": report.matched,
        "No such image": report.unmatched,
        "Ambiguous": report.ambiguous,
        "Skipped": report.skipped,
        "Images changed": report.images,
        "Labels given": report.annotations,
    }
    columns = [column for _ in range(2) for column in st.columns(4)]
    for column, (word, number) in zip(columns, figures.items(), strict=False):
        column.metric(word, f"{number:,}")
    for note in report.notes:
        st.caption(plain(note))
    if report.splits and not report.splits_used:
        st.caption("The file names sets, which are not used: tick the box above to take them over.")
    if report.listed:
        st.dataframe(
            {"image": [i["name"] for i in report.listed], "why not": [i["reason"] for i in report.listed]},
            hide_index=True,
        )
