"""Folders name labels and splits; a vehicle called `train` stays a class."""

import os
from collections import Counter
from pathlib import Path

import pytest

from fieldmark.core.contracts.importer import Example
from fieldmark.core.contracts.plugin import PluginError
from fieldmark.core.sources.opening import open_source
from fieldmark.plugins.importers.class_folders import ClassFolderOptions, ClassFolders


def files(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def read(path: Path, **options: object) -> dict[str, Example]:
    importer = ClassFolders(ClassFolderOptions.model_validate(options))
    with open_source(path) as source:
        found = {example.image: example for example in importer.read(source)}
        description = importer.describe(source)
    counts = Counter(label for example in found.values() for label in example.labels)
    assert (description.images, dict(description.labels)) == (len(found), dict(counts))
    return found


def labels(path: Path, **options: object) -> dict[str, str]:
    return {name: "|".join(example.labels) for name, example in read(path, **options).items()}


def notes(path: Path) -> str:
    with open_source(path) as source:
        return " ".join(ClassFolders(ClassFolderOptions()).describe(source).notes)


def test_the_first_folder_is_the_label(tmp_path: Path) -> None:
    root = files(tmp_path, "cat/a.jpg", "cat/black/b.PNG", "dog/a.jpg", "stray.jpg", "cat/notes.md")
    assert labels(root) == {"cat/a.jpg": "cat", "cat/black/b.PNG": "cat", "dog/a.jpg": "dog", "stray.jpg": ""}
    assert "1 images lie in no folder" in notes(root)
    assert "1 files are no images" in notes(root)


@pytest.mark.parametrize(("label_from", "expected"), [("last-folder", "black"), ("path", "cat/black")])
def test_another_folder_may_be_the_label(label_from: str, expected: str, tmp_path: Path) -> None:
    root = files(tmp_path, "cat/a.jpg", "cat/black/b.jpg", "dog/a.jpg")
    assert labels(root, label_from=label_from)["cat/black/b.jpg"] == expected
    assert labels(root, label_from=label_from)["cat/a.jpg"] == "cat"


@pytest.mark.parametrize("word", ["val", "valid", "Validation"])
def test_split_folders_at_the_top_are_splits(word: str, tmp_path: Path) -> None:
    root = files(tmp_path, "train/cat/a.jpg", f"{word}/cat/a.jpg", "test/b.jpg", "train/c.jpg")
    found = read(root)
    assert {name: (example.labels, example.split) for name, example in found.items()} == {
        "train/cat/a.jpg": (("cat",), "train"),
        f"{word}/cat/a.jpg": (("cat",), "validation"),
        "test/b.jpg": ((), "test"),
        "train/c.jpg": ((), "train"),
    }
    assert "were read as splits" in notes(root)


def test_a_class_called_train_is_no_split(tmp_path: Path) -> None:
    root = files(tmp_path, "train/a.jpg", "train/steam/b.jpg", "bus/a.jpg", "car/test/c.jpg")
    found = read(root)
    assert {example.split for example in found.values()} == {None}
    assert found["train/steam/b.jpg"].labels == ("train",)
    assert found["car/test/c.jpg"].labels == ("car",)
    assert "`train` were read as classes" in notes(root)


def test_split_names_without_folders_inside_are_classes(tmp_path: Path) -> None:
    assert labels(files(tmp_path, "train/a.jpg", "test/b.jpg")) == {
        "train/a.jpg": "train",
        "test/b.jpg": "test",
    }


def test_a_lone_split_folder_gives_no_split_and_says_so(tmp_path: Path) -> None:
    root = files(tmp_path / "train", "cat/a.jpg", "dog/a.jpg")
    assert {example.split for example in read(root).values()} == {None}
    assert "choose the folder that holds train and test together" in notes(root)


@pytest.mark.parametrize("folder", ["no_label", "Unlabeled", "UNLABELLED", "_unknown_"])
def test_some_folders_mean_no_label(folder: str, tmp_path: Path) -> None:
    found = labels(files(tmp_path, "cat/a.jpg", f"{folder}/b.jpg"))
    assert found == {"cat/a.jpg": "cat", f"{folder}/b.jpg": ""}


def test_folders_that_mean_no_label_can_be_chosen(tmp_path: Path) -> None:
    root = files(tmp_path, "cat/a.jpg", "background/b.jpg", "no_label/c.jpg")
    assert labels(root, unlabelled_folders=["Background"]) == {
        "cat/a.jpg": "cat",
        "background/b.jpg": "",
        "no_label/c.jpg": "no_label",
    }


def test_images_without_any_folder_take_the_name_of_the_one_chosen(tmp_path: Path) -> None:
    assert labels(files(tmp_path / "cats", "a.jpg", "b.jpg")) == {"a.jpg": "cats", "b.jpg": "cats"}
    assert labels(files(tmp_path / "no_label", "a.jpg")) == {"a.jpg": ""}


def test_labels_are_folder_names_exactly(tmp_path: Path) -> None:
    names = ["01", "NA", "true", "<b>x", "Canis lupus, f. domestica", "été"]
    root = files(tmp_path, *(f"{name}/a.jpg" for name in names))
    assert set(labels(root).values()) == set(names)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with open_source(files(tmp_path / "docs", "a/readme.txt", "b.pdf")) as source:
        importer = ClassFolders(ClassFolderOptions())
        assert ClassFolders.recognises(source) == 0
        for act in (importer.describe, lambda it: list(importer.read(it))):
            with pytest.raises(PluginError, match="`docs` holds no images"):
                act(source)


def test_a_photo_collection_of_real_size(tmp_path: Path) -> None:
    folder = os.environ.get("FIELDMARK_DATA")
    if not folder:
        pytest.skip("FIELDMARK_DATA is not set")
    found = labels(Path(folder) / "trashnet_mini")
    assert set(found.values()) == {"cardboard", "glass", "metal", "paper", "plastic", "trash"}
    assert all(name.startswith(f"{label}/") for name, label in found.items())
