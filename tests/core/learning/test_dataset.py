"""Which images a training gets: near-duplicates on one side, and something to learn for every label."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fieldmark.core.learning.dataset import Dataset, gather
from fieldmark.storage import annotations, images
from fieldmark.storage.annotations import Statement
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.images import Content
from fieldmark.storage.projects import Project, create_project
from fieldmark.storage.workspace import Workspace, create_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = create_workspace(tmp_path / "ws")
    yield opened
    opened.close()


@pytest.fixture
def project(workspace: Workspace) -> Project:
    return create_project(workspace.database, "p", "embedded")


def fill(
    workspace: Workspace, project: Project, rows: list[tuple[str, str | None, str | None]]
) -> list[tuple[int, str]]:
    """Add (label, split, perceptual hash) as images named by their number."""
    shas = [f"{number:064x}" for number in range(len(rows))]

    def add(cursor):
        contents = [
            Content(sha, 1, "PNG", 2, 2, 1, 1, "RGB", phash, ())
            for sha, (_, _, phash) in zip(shas, rows, strict=True)
        ]
        images.add_contents(cursor, contents)
        added = images.add_images(cursor, project.id, [(f"{n}.png", sha) for n, sha in enumerate(shas)], "me")
        statements = [
            Statement(image_id, (label,), split=split)
            for (image_id, _), (label, split, _) in zip(added, rows, strict=True)
        ]
        annotations.apply_statements(cursor, project.id, statements, "import", "me")
        return added

    return workspace.database.write(add)


def hashes(count: int, seed: int = 0) -> list[str]:
    """Perceptual hashes that are near to none of the others."""
    rng = np.random.default_rng(seed)
    return [rng.bytes(32).hex() for _ in range(count)]


def flipped(phash: str, *bits: int) -> str:
    value = int(phash, 16)
    for bit in bits:
        value ^= 1 << bit
    return f"{value:064x}"


def groups(dataset: Dataset) -> list[int]:
    found: list[int] = dataset.table["group"].to_pylist()
    return found


def splits_of_groups(dataset: Dataset) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for group, split in zip(groups(dataset), dataset.table["split"].to_pylist(), strict=True):
        found.setdefault(group, set()).add(split)
    return found


def test_three_copies_among_few_images_stay_together(workspace: Workspace, project: Project) -> None:
    apart = hashes(24)
    apart[1], apart[2] = flipped(apart[0], *range(8)), flipped(apart[0], *range(8, 16))
    fill(workspace, project, [("ab"[n % 2], None, phash) for n, phash in enumerate(apart)])
    for seed in range(5):
        dataset = gather(workspace, project, "single-label", (), 0.4, seed)
        assert len(set(groups(dataset)[:3])) == 1 and len(set(groups(dataset))) == 22
        assert all(len(splits) == 1 for splits in splits_of_groups(dataset).values())
        assert not any("fixed camera" in note for note in dataset.notes)


def test_only_a_group_of_more_than_half_is_taken_apart(workspace: Workspace, project: Project) -> None:
    base, other, *rest = hashes(6)
    # Fourteen frames in a chain, each 10 bits from the last; each frame has a copy 2 bits away.
    frames = [base]
    for step in range(13):
        frames.append(flipped(frames[-1], *range(16 * step, 16 * step + 10)))
    chain = [phash for frame in frames for phash in (frame, flipped(frame, 254, 255))]
    copies = [other, flipped(other, *range(10)), flipped(other, *range(5, 14))]
    rows = [*chain, *copies, *rest]
    fill(workspace, project, [("ab"[n % 2], None, phash) for n, phash in enumerate(rows)])
    dataset = gather(workspace, project, "single-label", (), 0.2, 0)
    found = groups(dataset)
    assert [found[n] for n in range(0, 28, 2)] == [found[n] for n in range(1, 28, 2)]
    assert len(set(found[:28])) == 14
    assert len(set(found[28:31])) == 1, "a group that fits keeps its copies, though they are 10 bits apart"
    assert len(set(found)) == 14 + 1 + 4
    assert all(len(splits) == 1 for splits in splits_of_groups(dataset).values())
    assert sum(dataset.counts[label]["validation"] for label in "ab") > 0
    assert any(note.startswith(f"28 of the {len(rows)} images look nearly alike") for note in dataset.notes)


@pytest.mark.parametrize("validation", [0.2, None])
def test_a_label_without_a_training_image_is_named(
    workspace: Workspace, project: Project, validation: float | None
) -> None:
    rows = [("ab"[n % 2], None if n > 1 else "validation", phash) for n, phash in enumerate(hashes(12))]
    held_back = [("held", "test" if n else "validation", phash) for n, phash in enumerate(hashes(3, seed=1))]
    if validation is not None:
        held_back = [("held", "test", phash) for _, _, phash in held_back]
    fill(workspace, project, [*rows, *held_back])
    with pytest.raises(FieldmarkError, match="every image of 'held' is in the validation or test set"):
        gather(workspace, project, "single-label", (), validation, 0)
    gather(workspace, project, "single-label", ("a", "b"), validation, 0)
