from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldmark.storage import annotations, images, labels
from fieldmark.storage.annotations import Statement
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.images import Content
from fieldmark.storage.projects import Project, create_project
from fieldmark.storage.workspace import Workspace, create_workspace


@pytest.fixture
def workspace(tmp_path: Path):
    opened = create_workspace(tmp_path / "ws")
    yield opened
    opened.close()


def some_images(workspace: Workspace, project: Project, names: list[str]) -> list[int]:
    shas = [f"{project.id:032x}{index:032x}" for index in range(len(names))]

    def add(cursor):
        images.add_contents(cursor, [Content(sha, 1, "PNG", 2, 2, 1, 1, "RGB", None, ()) for sha in shas])
        return images.add_images(cursor, project.id, list(zip(names, shas, strict=True)), "me")

    return [image_id for image_id, _ in workspace.database.write(add)]


def say(workspace: Workspace, project: Project, *statements: Statement, source="human"):
    return workspace.database.write(
        lambda cursor: annotations.apply_statements(cursor, project.id, statements, source, "me")
    )


@pytest.fixture
def project(workspace: Workspace) -> Project:
    return create_project(workspace.database, "p", "embedded")


def row(workspace, project, image_id):
    return images.image_rows(workspace.database, project.id, [image_id])[0]


def test_the_first_label_is_the_default(workspace, project) -> None:
    (image,) = some_images(workspace, project, ["a.png"])
    say(workspace, project, Statement(image, ("cat", "outdoor")))
    say(workspace, project, Statement(image, ("furry",)))
    assert row(workspace, project, image).labels == ("cat", "outdoor", "furry")
    assert row(workspace, project, image).default_label == "cat"


def test_an_importer_may_set_the_default(workspace, project) -> None:
    (image,) = some_images(workspace, project, ["a.png"])
    say(workspace, project, Statement(image, ("cat", "dog"), default="dog"), source="import")
    assert row(workspace, project, image).default_label == "dog"
    assert row(workspace, project, image).labels == ("dog", "cat")


def test_history_tells_who_changed_what(workspace, project) -> None:
    (image,) = some_images(workspace, project, ["a.png"])
    say(workspace, project, Statement(image, ("cat",), split="validation"))
    told = [(e.kind, e.value, e.previous, e.author) for e in annotations.history(workspace.database, image)]
    assert told == [
        ("add", "cat", None, "me"),
        ("default", "cat", None, "me"),
        ("state", "labelled", "unlabelled", "me"),
        ("split", "validation", None, "me"),
    ]


def test_saying_it_again_changes_nothing(workspace, project) -> None:
    (image,) = some_images(workspace, project, ["a.png"])
    statement = Statement(image, ("cat", "dog"), split="test")
    say(workspace, project, statement)
    before = annotations.history(workspace.database, image)
    assert say(workspace, project, statement).images == 0
    assert annotations.history(workspace.database, image) == before


def test_none_of_these_never_takes_labels_away(workspace, project) -> None:
    first, second = some_images(workspace, project, ["a.png", "b.png"])
    say(workspace, project, Statement(first, ("cat",)))
    say(workspace, project, Statement(first, state="none-of-these"), Statement(second, state="none-of-these"))
    assert row(workspace, project, first).state == "labelled"
    assert row(workspace, project, second).state == "none-of-these"
    say(workspace, project, Statement(second, ("dog",)))
    assert row(workspace, project, second).state == "labelled"


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 4),
            st.lists(st.sampled_from(["a", "A", "01", "<b>", "é"]), max_size=3, unique=True),
        ),
        max_size=12,
    )
)
def test_labels_add_up_as_in_a_dictionary(tmp_path_factory, said) -> None:
    workspace = create_workspace(tmp_path_factory.mktemp("ws"))
    try:
        project = create_project(workspace.database, "p", "embedded")
        ids = some_images(workspace, project, [f"{n}.png" for n in range(5)])
        expected: dict[int, list[str]] = {image: [] for image in ids}
        for index, names in said:
            say(workspace, project, Statement(ids[index], tuple(names)))
            expected[ids[index]] += [name for name in names if name not in expected[ids[index]]]
        found = {r.id: list(r.labels) for r in images.image_rows(workspace.database, project.id)}
        assert found == expected
        counted = {c.name: c.images for c in labels.label_counts(workspace.database, project.id)}
        assert sum(counted.values()) == sum(map(len, expected.values()))
    finally:
        workspace.close()


def test_a_taken_name_gets_a_number(workspace, project) -> None:
    some_images(workspace, project, ["x/a.png", "plain"])

    def add(cursor):
        shas = [f"f{index:063x}" for index in range(3)]
        images.add_contents(cursor, [Content(sha, 1, "PNG", 2, 2, 1, 1, "RGB", None, ()) for sha in shas])
        return images.add_images(
            cursor, project.id, [("x/a.png", shas[0]), ("x/a.png", shas[1]), ("plain", shas[2])], "me"
        )

    got = workspace.database.write(add)
    assert [name for _, name in got] == ["x/a (2).png", "x/a (3).png", "plain (2)"]


@pytest.mark.parametrize(
    ("label", "stored"),
    [(" cat ", "cat"), ("NA", "NA"), ("01", "01"), ("<script>", "<script>"), ("cafe\u0301", "café")],
)
def test_labels_come_back_as_text(label: str, stored: str) -> None:
    assert labels.check_label(label) == stored


@pytest.mark.parametrize(
    "label", ["", "  ", "x" * 501, "a\x00b", "a\nb", "a\tb", "a\x1b[2Jb", "a\x9bb", "\ud800"]
)
def test_labels_that_cannot_be_stored_are_named(label: str) -> None:
    with pytest.raises(FieldmarkError, match="label"):
        labels.check_label(label)
