"""Files that other tools wrote: the right importer claims them and reads what is known to be in them."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fieldmark.core.contracts.importer import Example, Importer
from fieldmark.core.contracts.source import IMAGE_SUFFIXES
from fieldmark.core.sources.opening import open_source
from fieldmark.plugins.importers.class_folders import ClassFolders
from fieldmark.plugins.importers.csv_labels import CsvLabels
from fieldmark.plugins.importers.csv_onehot import CsvOneHot

IMPORTERS: tuple[type[Importer[Any]], ...] = (ClassFolders, CsvLabels, CsvOneHot)
OWN = {
    "csv_label": CsvLabels,
    "csv_onehot": CsvOneHot,
    "celeba_attr": CsvOneHot,
    "roboflow_multiclass": CsvOneHot,
    "imagefolder": ClassFolders,
    "imagefolder_zip": ClassFolders,
}
FOLDER = os.environ.get("FIELDMARK_FORMATS")
EXPECTED = sorted((Path(FOLDER) / "expected").rglob("*.json")) if FOLDER else []


def sample_of(expected: Path) -> Path:
    assert FOLDER is not None
    return Path(FOLDER) / "samples" / expected.relative_to(Path(FOLDER) / "expected").with_suffix("")


def cases(own: bool) -> list[Any]:
    chosen = [path for path in EXPECTED if (json.loads(path.read_text())["format"] in OWN) == own]
    return [pytest.param(path, id=f"{path.parent.name}/{path.stem}") for path in chosen] or [None]


@pytest.mark.parametrize("expected", cases(own=True))
def test_what_is_known_to_be_in_a_sample_is_read(expected: Path | None) -> None:
    if expected is None:
        pytest.skip("FIELDMARK_FORMATS is not set")
    known = json.loads(expected.read_text())
    cls = OWN[known["format"]]
    importer = cls(cls.options_model())
    with open_source(sample_of(expected)) as source:
        described = importer.describe(source)
        found = list(importer.read(source))
    assert all(isinstance(item, Example) for item in found)
    images: dict[str, set[str]] = {}
    for item in found:
        if isinstance(item, Example):
            images.setdefault(item.image, set()).update(item.labels)
    assert (described.images, len(images)) == (known["images"], known["images"])
    assert described.labels == known["labels"]
    by_base = {name.split("/")[-1]: labels for name, labels in images.items()}
    for name, labels in known["examples"].items():
        assert images.get(name, by_base.get(name)) == set(labels)
    splits = Counter(item.split for item in found if isinstance(item, Example) and item.split)
    assert splits == {{"val": "validation"}.get(name, name): n for name, n in known.get("splits", {}).items()}


@pytest.mark.parametrize("expected", cases(own=True))
def test_the_right_importer_is_surest_of_a_sample(expected: Path | None) -> None:
    if expected is None:
        pytest.skip("FIELDMARK_FORMATS is not set")
    with open_source(sample_of(expected)) as source:
        sure = {cls: cls.recognises(source) for cls in IMPORTERS}
    form = json.loads(expected.read_text())["format"]
    assert max(sure, key=sure.__getitem__) is OWN[form]
    # One image in a zip, without any folder, says too little.
    assert sure[OWN[form]] >= (0.1 if form == "imagefolder_zip" else 0.5)


@pytest.mark.parametrize("expected", cases(own=False))
def test_no_importer_claims_a_sample_of_another_tool(expected: Path | None) -> None:
    if expected is None:
        pytest.skip("FIELDMARK_FORMATS is not set")
    sample = sample_of(expected)
    inside = [path for path in sample.rglob("*") if path.is_file() and not path.name.startswith(".")]
    files = [path for path in inside if path.suffix.lower() not in IMAGE_SUFFIXES]
    for path in [sample, *files]:
        with open_source(path) as source:
            for cls in IMPORTERS:
                assert cls.recognises(source) <= 0.5, (cls.name, path.name)


def test_no_importer_claims_an_image(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    with open_source(path) as source:
        assert [cls.recognises(source) for cls in IMPORTERS] == [0.1, 0.0, 0.0]
