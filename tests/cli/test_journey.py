"""The whole journey as a person types it."""

from __future__ import annotations

import csv
import json
import math
import zipfile
from pathlib import Path

import duckdb


def test_from_a_folder_to_predictions_in_three_formats(fieldmark, shapes: Path, tmp_path: Path) -> None:
    assert fieldmark("project", "create", "shapes").document == {"id": 1, "name": "shapes"}
    up = fieldmark("upload", "shapes", shapes, "--labels-from-folder").document
    assert (up["stored"], up["duplicates"], up["refused"]) == (24, 0, [])
    labels = fieldmark("labels", "list", 1).document["labels"]
    assert labels == [{"name": n, "images": 12, "default": 12} for n in ("disc", "square")]

    trained = fieldmark(
        "train", "shapes", "--task", "single-label", "--name", "first", "--minutes", "0.2"
    ).document
    assert trained["model"] == "first"
    assert trained["validation"]["accuracy"] >= 0.75
    assert trained["training"]["count"] + trained["validation"]["count"] == 24
    listed = fieldmark("models").document["models"]
    assert [(m["name"], m["accuracy"]) for m in listed] == [("first", trained["validation"]["accuracy"])]

    stats = {
        c: fieldmark("stats", "first", "--project", 1, "--checkpoint", c).document for c in ("best", "last")
    }
    assert stats["best"]["validation"] == trained["validation"]
    assert stats["best"]["validation"]["cross_entropy"] <= stats["last"]["validation"]["cross_entropy"]
    steps = [point["step"] for point in stats["best"]["curve"] if point["split"] == "validation"]
    assert len(steps) > 3
    assert steps == sorted(steps)

    outputs = {name: tmp_path / f"out.{name}" for name in ("json", "csv", "grouped-zip")}
    for name, path in outputs.items():
        said = fieldmark(
            "predict", "first", shapes, "--project", 1, "--format", name, "--output", path
        ).document
        assert said["predicted"] == 24
    records = json.loads(outputs["json"].read_text("utf-8"))
    assert {(r["model"], r["checkpoint"]) for r in records} == {("first", "best")}
    for record in records:
        assert math.isclose(sum(record["scores"].values()), 1, abs_tol=1e-5)
        assert record["predicted"] == [max(record["scores"], key=record["scores"].get)]
    with outputs["csv"].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["image"], [r["predicted"]]) for r in rows] == [(r["image"], r["predicted"]) for r in records]
    with zipfile.ZipFile(outputs["grouped-zip"]) as archive:
        members = {m for m in archive.namelist() if not m.endswith("/")}
        assert members == {f"{r['predicted'][0]}/{r['image']}" for r in records}
        assert archive.read(next(iter(members)))[:4] == b"\x89PNG"

    one = shapes / "disc" / "00.png"
    before = one.read_bytes()
    said = fieldmark("predict", "first", shapes, "--project", 1, "--format", "csv", "--output", one, code=1)
    assert "one of the files to be predicted" in said.err
    assert one.read_bytes() == before

    mine = tmp_path / "mine.json"
    fieldmark(
        "predict", "first", "--project-images", "--project", 1, "--checkpoint", "last", "--format", "json", "--output", mine
    )  # fmt: skip
    assert {r["checkpoint"] for r in json.loads(mine.read_text())} == {"last"}
    with duckdb.connect(str(fieldmark.workspace / "fieldmark.duckdb"), read_only=True) as db:
        kept = db.execute(
            "select checkpoint, image_id is null, count(*) from prediction where split is null group by all order by all"
        ).fetchall()
        assert kept == [("best", True, 72), ("last", False, 24)]


def test_the_figures_are_scikit_learns_own_on_the_stored_predictions(fieldmark, shapes: Path) -> None:
    import numpy as np
    from sklearn import metrics

    fieldmark("project", "create", "p")
    fieldmark("upload", "p", shapes, "--labels-from-folder")
    fieldmark("train", "p", "--name", "m", "--minutes", "0.2", "--validation", "40")
    for checkpoint in ("best", "last"):
        stats = fieldmark("stats", "m", "--project", "p", "--checkpoint", checkpoint).document
        for split, key in (("train", "training"), ("validation", "validation")):
            with duckdb.connect(str(fieldmark.workspace / "fieldmark.duckdb"), read_only=True) as db:
                rows = db.execute(
                    "select truth[1], predicted[1], scores from prediction where checkpoint = ? and split = ?",
                    [checkpoint, split],
                ).fetchall()
            truth, predicted, scores = zip(*rows, strict=True)
            figures = stats[key]
            assert figures["count"] == len(rows)
            assert math.isclose(figures["accuracy"], metrics.accuracy_score(truth, predicted))
            assert math.isclose(
                figures["f1"], metrics.f1_score(truth, predicted, average="macro", zero_division=0)
            )
            assert math.isclose(figures["matthews"], metrics.matthews_corrcoef(truth, predicted))
            assert figures["confusion"] == metrics.confusion_matrix(truth, predicted).tolist()
            assert math.isclose(
                figures["cross_entropy"],
                metrics.log_loss(truth, np.array(scores, dtype=np.float32), labels=stats["labels"]),
                rel_tol=1e-3,
            )


def test_a_second_training_embeds_nothing_again(fieldmark, shapes: Path) -> None:
    fieldmark("project", "create", "p")
    fieldmark("upload", "p", shapes, "--labels-from-folder")
    fieldmark("train", "p", "--minutes", "0.2")
    second = fieldmark("train", "p", "--minutes", "0.2").document
    assert second["model"] == "single-label-2"
    model = json.loads((fieldmark.workspace / "models" / "2" / "model.json").read_text())
    assert model["embedded"] == 0


def test_a_user_defined_validation_set_is_taken_as_it_is(fieldmark, shapes: Path, tmp_path: Path) -> None:
    names = [f"{shape}/{number:02}.png" for shape in ("disc", "square") for number in range(12)]
    lines = ["image,label,split"] + [
        f"{name},{name.split('/')[0]},{'val' if int(name[-6:-4]) < 4 else 'test' if name[-6:-4] == '11' else 'train'}"
        for name in names
    ]
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(lines))
    fieldmark("project", "create", "p")
    fieldmark("upload", "p", shapes)
    said = fieldmark("labels", "import", "p", table, "--use-split").document
    assert (said["format"], said["matched"], said["annotations"]) == ("csv", 24, 24)
    trained = fieldmark("train", "p", "--validation", "user-defined", "--minutes", "0.2").document
    assert [trained[split]["count"] for split in ("training", "validation", "test")] == [14, 8, 2]


def test_models_are_renamed_and_deleted(fieldmark, shapes: Path) -> None:
    fieldmark("project", "create", "p")
    fieldmark("upload", "p", shapes, "--labels-from-folder")
    fieldmark("train", "p", "--minutes", "0.2", "--name", "a")
    taken = fieldmark("train", "p", "--name", "a", code=1)
    assert "'a-1' is free" in taken.document["error"]
    assert "letters, digits" in fieldmark("train", "p", "--name", "a b", code=1).err
    fieldmark("models", "rename", "a", "b", "--project", "p")
    assert [m["name"] for m in fieldmark("models", "list", "--project", "p").document["models"]] == ["b"]
    fieldmark("models", "delete", "b", "--project", "p")
    assert fieldmark("models").document == {"models": []}
    assert not list((fieldmark.workspace / "models").iterdir())
