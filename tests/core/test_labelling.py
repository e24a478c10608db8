"""Many images labelled at once, held against a model of what a person expects."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldmark.core.labelling import Labelled, create_label, label_images
from fieldmark.storage import images
from fieldmark.storage.annotations import history
from fieldmark.storage.edits import Edit
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.images import Content
from fieldmark.storage.labels import label_counts
from fieldmark.storage.projects import Project, create_project
from fieldmark.storage.workspace import Workspace, create_workspace


def add(workspace: Workspace, project: Project, count: int) -> list[int]:
    shas = [f"{project.id:032x}{index:032x}" for index in range(count)]

    def change(cursor):
        images.add_contents(cursor, [Content(sha, 1, "PNG", 7, 5, 1, 1, "RGB", None, ()) for sha in shas])
        named = [(f"{index}.png", sha) for index, sha in enumerate(shas)]
        return images.add_images(cursor, project.id, named, "me")

    return [image_id for image_id, _ in workspace.database.write(change)]


@pytest.fixture
def workspace(tmp_path: Path):
    opened = create_workspace(tmp_path / "ws")
    yield opened
    opened.close()


@pytest.fixture
def project(workspace: Workspace) -> Project:
    return create_project(workspace.database, "p", "embedded")


def edit(workspace: Workspace, project: Project, ids: list[int], **wishes) -> Labelled:
    revisions = wishes.pop("revisions", None)
    return label_images(workspace, project, ids, Edit(**wishes), revisions=revisions)


def shown(done: Labelled) -> list[tuple[str | None, list[str], str]]:
    return [
        (
            next((label.name for label in tile.labels if label.default), None),
            [label.name for label in tile.labels],
            tile.state,
        )
        for tile in done.tiles
    ]


def test_adding_a_label_again_makes_it_the_default(workspace, project) -> None:
    carries, other, bare = add(workspace, project, 3)
    edit(workspace, project, [carries], add=("cat", "dog"))
    edit(workspace, project, [other], add=("bird",))
    done = edit(workspace, project, [carries, other, bare], add=("dog",))
    assert shown(done) == [
        ("dog", ["cat", "dog"], "labelled"),
        ("bird", ["bird", "dog"], "labelled"),
        ("dog", ["dog"], "labelled"),
    ]
    assert done.edited.changed == (carries, other, bare)
    assert edit(workspace, project, [carries, bare], add=("dog",)).edited.changed == ()


def test_removing_the_default_promotes_the_oldest_left_and_the_history_tells(workspace, project) -> None:
    many, single, bare = add(workspace, project, 3)
    edit(workspace, project, [many], add=("cat", "outdoor", "furry"))
    edit(workspace, project, [single], add=("cat",), split="validation")
    done = label_images(workspace, project, [many, single, bare], Edit(remove=("cat",)), author="eve")
    assert shown(done) == [
        ("outdoor", ["outdoor", "furry"], "labelled"),
        (None, [], "unlabelled"),
        (None, [], "unlabelled"),
    ]
    assert done.edited.changed == (many, single)
    told = [(e.kind, e.value, e.previous, e.author) for e in history(workspace.database, single)]
    assert told == [
        ("add", "cat", None, "local"),
        ("default", "cat", None, "local"),
        ("state", "labelled", "unlabelled", "local"),
        ("split", "validation", None, "local"),
        ("remove", "cat", None, "eve"),
        ("state", "unlabelled", "labelled", "eve"),
    ]
    assert [(e.kind, e.value, e.previous) for e in history(workspace.database, many)][-2:] == [
        ("remove", "cat", None),
        ("default", "outdoor", "cat"),
    ]
    assert history(workspace.database, bare) == []


def test_default_is_set_where_the_label_is_carried(workspace, project) -> None:
    both, one = add(workspace, project, 2)
    edit(workspace, project, [both, one], add=("cat",))
    edit(workspace, project, [both], add=("dog",))
    done = edit(workspace, project, [both, one], default="dog")
    assert shown(done) == [("dog", ["cat", "dog"], "labelled"), ("cat", ["cat"], "labelled")]
    assert done.edited.changed == (both,)
    assert shown(edit(workspace, project, [one], add=("owl",), default="owl"))[0][0] == "owl"


def test_a_state_never_takes_labels_away(workspace, project) -> None:
    labelled, bare = add(workspace, project, 2)
    edit(workspace, project, [labelled], add=("cat",))
    done = edit(workspace, project, [labelled, bare], state="none-of-these")
    assert [tile.state for tile in done.tiles] == ["labelled", "none-of-these"]
    assert (done.edited.changed, done.edited.kept_labelled) == ((bare,), (labelled,))
    assert edit(workspace, project, [labelled], remove=("cat",), state="ignored").tiles[0].state == "ignored"
    assert edit(workspace, project, [bare], add=("cat",)).tiles[0].state == "labelled"


def test_a_split_is_set_and_taken_back(workspace, project) -> None:
    ids = add(workspace, project, 2)
    assert [t.split for t in edit(workspace, project, ids, split="test").tiles] == ["test", "test"]
    done = edit(workspace, project, ids, split="none")
    assert [t.split for t in done.tiles] == [None, None]
    assert [t.revision for t in done.tiles] == [2, 2]
    assert history(workspace.database, ids[0])[-1].value is None


def test_the_later_of_two_people_is_told_and_the_rest_is_changed(workspace, project) -> None:
    mine, ours = add(workspace, project, 2)
    seen = {tile.id: tile.revision for tile in edit(workspace, project, [mine, ours], add=("cat",)).tiles}
    edit(workspace, project, [ours], add=("hers",), revisions=seen)
    done = edit(workspace, project, [mine, ours], add=("his",), revisions=seen)
    assert (done.edited.changed, done.edited.conflicts) == ((mine,), (ours,))
    assert [labels for _, labels, _ in shown(done)] == [["cat", "his"], ["cat", "hers"]]
    again = edit(workspace, project, [ours], add=("late",), default="late", revisions=seen)
    assert again.edited.conflicts == (ours,)
    assert "late" not in {label.name for label in label_counts(workspace.database, project.id)}


@pytest.mark.parametrize(
    ("wishes", "sentence"),
    [
        ({"add": ("",)}, "a label can't be empty"),
        ({"add": ("cat",), "remove": (" cat ",)}, "'cat' can't be added and removed at once"),
        ({"remove": ("owl",)}, "has no label 'owl'"),
        ({"default": "owl"}, "has no label 'owl'"),
        ({"state": "labelled"}, "'labelled' can't be given.*none-of-these"),
        ({"split": "holdout"}, "no split 'holdout'"),
        ({}, "nothing is to be changed"),
        ({"add": tuple(map(str, range(101)))}, "101 labels are too many"),
    ],
)
def test_what_can_not_be_used_is_named_and_changes_nothing(workspace, project, wishes, sentence) -> None:
    ids = add(workspace, project, 2)
    edit(workspace, project, ids, add=("cat",))
    before = edit(workspace, project, ids, split="none").tiles
    with pytest.raises(FieldmarkError, match=sentence):
        edit(workspace, project, ids, **wishes)
    assert edit(workspace, project, ids, split="none").tiles == before


def test_images_that_are_not_of_the_project_are_named_and_nothing_is_changed(workspace, project) -> None:
    ids = add(workspace, project, 2)
    foreign = add(workspace, create_project(workspace.database, "other", "embedded"), 1)
    for strange in ([*foreign, 999], [-1], [0], [2**62], [2**70], list(range(1000, 1020))):
        with pytest.raises(FieldmarkError, match=f"no image .*{strange[0]}"):
            edit(workspace, project, [*ids, *strange], add=("cat",))
    assert label_counts(workspace.database, project.id) == []
    with pytest.raises(FieldmarkError, match="10001 images are too many"):
        edit(workspace, project, list(range(10_001)), add=("cat",))
    with pytest.raises(FieldmarkError, match="choose at least one"):
        edit(workspace, project, [], add=("cat",))


def test_a_label_is_made_once(workspace, project) -> None:
    assert create_label(workspace, project, " <b>cat</b> ") == "<b>cat</b>"
    with pytest.raises(FieldmarkError, match="a label '<b>cat</b>' already"):
        create_label(workspace, project, "<b>cat</b>")
    assert [(c.name, c.images, c.default) for c in label_counts(workspace.database, project.id)] == [
        ("<b>cat</b>", 0, 0)
    ]


def test_people_who_label_the_same_images_at_once_all_succeed(workspace, project) -> None:
    ids = add(workspace, project, 30)

    def work(name: str) -> None:
        for _ in range(4):
            edit(workspace, project, ids, add=(name,))
            edit(workspace, project, ids, remove=(name,))
        edit(workspace, project, ids, add=(name, "shared"))

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(work, ["label 0", "label 1", "label 2"])) == [None] * 3
    everything = {"shared", "label 0", "label 1", "label 2"}
    for row in images.image_rows(workspace.database, project.id):
        assert set(row.labels) == everything and row.default_label in everything


names = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=3, unique=True)
edits = st.tuples(
    st.lists(st.integers(0, 3), min_size=1, unique=True),
    names,
    names,
    st.none() | st.sampled_from(["a", "b", "c", "d"]),
    st.none() | st.sampled_from(["unlabelled", "none-of-these", "ignored"]),
    st.none() | st.sampled_from(["none", "train", "test"]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(edits, max_size=10))
def test_any_sequence_of_edits_leaves_what_a_person_expects(tmp_path_factory, said) -> None:
    workspace = create_workspace(tmp_path_factory.mktemp("ws"))
    try:
        project = create_project(workspace.database, "p", "embedded")
        ids = add(workspace, project, 4)
        for name in "abcd":
            create_label(workspace, project, name)
        expected: dict[int, list] = {image: [[], None, "unlabelled", None, 0] for image in ids}
        for places, adding, removing, default, state, split in said:
            removing = [name for name in removing if name not in adding]
            if not (adding or removing or default or state or split):
                continue
            chosen = [ids[place] for place in places]
            done = edit(
                workspace, project, chosen,
                add=tuple(adding), remove=tuple(removing), default=default, state=state, split=split,
            )  # fmt: skip
            changed = [
                image for image in chosen if expect(expected[image], adding, removing, default, state, split)
            ]
            assert list(done.edited.changed) == changed
        rows = images.image_rows(workspace.database, project.id)
        assert {row.id: (set(row.labels), row.default_label, row.state, row.split) for row in rows} == {
            image: (set(labels), default, state, split)
            for image, (labels, default, state, split, _) in expected.items()
        }
        revisions = dict(workspace.database.rows("select id, revision from image"))
        assert revisions == {image: values[4] for image, values in expected.items()}
    finally:
        workspace.close()


def expect(image: list, adding, removing, default, state, split) -> bool:
    """Change one expected image step by step; tell whether anything changed."""
    before = [list(image[0]), *image[1:4]]
    labels = image[0]
    carried = list(labels)
    for name in removing:
        if name in labels:
            labels.remove(name)
    labels += [name for name in adding if name not in labels]
    if image[1] not in labels:
        image[1] = labels[0] if labels else None
    again = [name for name in adding if name in carried]
    if again:
        image[1] = again[0]
    if default in labels:
        image[1] = default
    if labels:
        image[2] = "labelled"
    elif state:
        image[2] = state
    elif image[2] == "labelled":
        image[2] = "unlabelled"
    if split:
        image[3] = None if split == "none" else split
    changed = before != image[:4]
    image[4] += changed
    return changed
