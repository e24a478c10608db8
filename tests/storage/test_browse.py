"""Every filter of the image list against the same question asked in Python, and pages that hold still."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldmark.storage import annotations, browse, images
from fieldmark.storage.annotations import Statement
from fieldmark.storage.browse import ImageFilter
from fieldmark.storage.images import Content
from fieldmark.storage.projects import Project, create_project
from fieldmark.storage.workspace import Workspace, create_workspace

NAMES = ["a/IMG_1.JPG", "a/img_2.jpg", "50%.png", "100_.png", "ÄÖ.png", "it's; drop table image.png"]
LABELS = ["cat", "dog", "<b>", "o'brien"]


def add(workspace: Workspace, project: Project, names: list[str], start: int = 0) -> list[int]:
    shas = [f"{project.id:032x}{start + index:032x}" for index in range(len(names))]

    def change(cursor):
        contents = [Content(sha, 1, "PNG", 7, 5, 1, 1, "RGB", None, ()) for sha in shas]
        images.add_contents(cursor, contents)
        return images.add_images(cursor, project.id, list(zip(names, shas, strict=True)), "me")

    return [image_id for image_id, _ in workspace.database.write(change)]


def say(workspace: Workspace, project: Project, *statements: Statement) -> None:
    workspace.database.write(
        lambda cursor: annotations.apply_statements(cursor, project.id, statements, "human", "me")
    )


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    opened = create_workspace(tmp_path_factory.mktemp("browse") / "ws")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def project(workspace: Workspace) -> Project:
    """Sixty images in every combination, and another project with the same labels beside it."""
    project = create_project(workspace.database, "p", "embedded")
    other = create_project(workspace.database, "other", "embedded")
    say(workspace, other, *(Statement(i, ("cat", "dog")) for i in add(workspace, other, NAMES)))
    ids = add(workspace, project, [f"{index}-{NAMES[index % len(NAMES)]}" for index in range(60)])
    for place, image_id in enumerate(ids):
        labels = tuple(label for index, label in enumerate(LABELS) if place >> index & 1)
        state = None if labels else (None, "none-of-these", "ignored")[place // 16 % 3]
        split = (None, "train", "validation", "test")[place // 3 % 4]
        say(workspace, project, Statement(image_id, labels[::-1], state=state, split=split))
    return project


def holds(row: images.ImageRow, chosen: ImageFilter) -> bool:
    return all(
        [
            chosen.text is None or chosen.text.lower() in row.name.lower(),
            set(chosen.labels) <= set(row.labels),
            not set(chosen.without) & set(row.labels),
            chosen.default is None or chosen.default == row.default_label,
            chosen.state is None or chosen.state == row.state,
            chosen.split is None or (None if chosen.split == "none" else chosen.split) == row.split,
            chosen.ids is None or row.id in chosen.ids,
        ]
    )


some_labels = st.lists(st.sampled_from([*LABELS, "nobody knows"]), max_size=2).map(tuple)
filters = st.builds(
    ImageFilter,
    text=st.none() | st.sampled_from(["img", "%", "_", "ä", "'", "; drop", "\\", ""]),
    labels=some_labels,
    without=some_labels,
    default=st.none() | st.sampled_from([*LABELS, "nobody knows"]),
    state=st.none() | st.sampled_from(["unlabelled", "labelled", "none-of-these", "ignored"]),
    split=st.none() | st.sampled_from(["none", "train", "validation", "test"]),
    ids=st.none() | st.lists(st.integers(1, 80) | st.integers(-(2**70), 2**70), max_size=40).map(tuple),
)


@settings(max_examples=150, deadline=None)
@given(filters, st.integers(1, 30))
def test_pages_hold_what_the_filter_says_and_the_total_counts_it(workspace, project, chosen, size) -> None:
    expected = [row.id for row in images.image_rows(workspace.database, project.id) if holds(row, chosen)]
    seen: list[int] = []
    while True:
        rows, total = browse.image_page(workspace.database, project.id, chosen, seen[-1] if seen else 0, size)
        assert total == len(expected)
        if not rows:
            break
        assert len(rows) <= size
        seen += [row.id for row in rows]
    assert seen == expected


def test_every_field_of_the_filter_has_its_condition() -> None:
    assert {field.name for field in fields(ImageFilter)} == set(browse._CONDITIONS)


def test_a_tile_shows_labels_in_the_order_they_were_added_and_the_default(workspace, project) -> None:
    rows, _ = browse.image_page(workspace.database, project.id, ImageFilter(labels=("cat", "o'brien")), 0, 1)
    assert (rows[0].width, rows[0].height, rows[0].state) == (7, 5, "labelled")
    assert [(label.name, label.default) for label in rows[0].labels] == [("o'brien", True), ("cat", False)]


def test_pages_hold_still_while_images_are_added(tmp_path: Path) -> None:
    workspace = create_workspace(tmp_path / "ws")
    try:
        project = create_project(workspace.database, "p", "embedded")
        before = add(workspace, project, [f"{index:03}.png" for index in range(10)])
        first, total = browse.image_page(workspace.database, project.id, ImageFilter(), 0, 5)
        later = add(workspace, project, ["000a.png", "001a.png"], start=100)
        second, grown = browse.image_page(workspace.database, project.id, ImageFilter(), first[-1].id, 50)
        assert [row.id for row in [*first, *second]] == [*before, *later]
        assert (total, grown) == (10, 12)
    finally:
        workspace.close()


def test_tiles_of_many_images_are_those_of_few(workspace, project, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [row.id for row in images.image_rows(workspace.database, project.id)][::-1]
    with workspace.database.cursor() as cursor:
        few = browse.tiles(cursor, [*ids, 10**9])
        monkeypatch.setattr(browse, "FEW", 3)
        assert browse.tiles(cursor, ids) == few
    assert [tile.id for tile in few] == ids
