"""What a model said of the images of its training, over HTTP, held against the stored evaluation."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from fieldmark.core.jobs.files import Step
from fieldmark.core.predict import predict_files
from fieldmark.core.projects import create_project
from fieldmark.core.registry import load_registry
from fieldmark.core.train import TrainRequest, train
from fieldmark.core.upload import UploadWishes, upload
from fieldmark.storage import models
from fieldmark.storage.models import Model
from fieldmark.storage.projects import Project
from fieldmark.storage.workspace import Workspace

COLOURS = {"<b>red</b>": (200, 60, 60), "o'live": (150, 150, 60), "blue": (60, 60, 200)}


def noise(path: Path, colour: tuple[int, int, int], seed: int) -> None:
    """A picture whose colour is hard to make out."""
    dice = random.Random(seed)
    pixels = bytes(
        max(0, min(255, value + dice.randint(-90, 90) + dice.randint(-40, 40)))
        for _ in range(576)
        for value in colour
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.frombytes("RGB", (24, 24), pixels).save(path)


@pytest.fixture(scope="module")
def project(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Three labels, thirty images each, every fifth of them labelled wrongly, so that no model gets all right."""
    made = create_project(workspace, "colours")
    folder = tmp_path_factory.mktemp("colours")
    for place, (label, colour) in enumerate(COLOURS.items()):
        for number in range(30):
            wrong = list(COLOURS)[(place + 1) % 3]
            said = wrong if number % 5 == 0 else label
            noise(
                folder / str(list(COLOURS).index(said)) / f"{place}-{number}.png",
                colour,
                place * 100 + number,
            )
    for place, label in enumerate(COLOURS):
        upload(workspace, load_registry(), made, [folder / str(place)], UploadWishes(labels=(label,)))
    return made


@pytest.fixture(scope="module")
def model(workspace: Workspace, project: Project) -> Model:
    request = TrainRequest("single-label", minutes=0.05, validation=0.4, offline=True)
    made, _ = train(workspace, load_registry(), project, request)
    return made


def everything(client, address: str, **params) -> list[dict]:
    seen, cursor = [], None
    while True:
        page = client.get(
            address, params={"limit": 7, **params, **({"cursor": cursor} if cursor else {})}
        ).json()
        seen += page["predictions"]
        cursor = page["next"]
        if cursor is None:
            assert page["total"] == len(seen)
            return seen


@pytest.mark.parametrize("checkpoint", ["best", "last"])
@pytest.mark.parametrize("split", ["train", "validation"])
def test_correct_and_confused_are_as_many_as_the_evaluation_says(
    client, workspace, project, model, checkpoint, split
) -> None:
    report = json.loads(models.evaluations(workspace.database, model.id, checkpoint)[split])
    address = f"projects/{project.id}/predictions"
    asked = {"model": model.name, "checkpoint": checkpoint, "set": split}
    every = everything(client, address, **asked)
    correct = everything(client, address, **asked, verdict="correct")
    incorrect = everything(client, address, **asked, verdict="incorrect")
    assert len(every) == report["count"]
    assert len(correct) == round(report["accuracy"] * report["count"])
    assert report["accuracy"] == pytest.approx(len(correct) / len(every), abs=1e-12)
    assert len(incorrect) == len(every) - len(correct)
    assert split == "train" or incorrect, "wrong labels can't all be guessed"
    assert all(row["predicted"] == row["truth"] for row in correct)
    assert all(row["predicted"] != row["truth"] for row in incorrect)
    assert [row["image"] for row in every] == sorted(
        [row["image"] for row in [*correct, *incorrect]], key=[row["image"] for row in every].index
    )
    names = [figures["label"] for figures in report["labels"]]
    cells = Counter((row["truth"][0], row["predicted"][0]) for row in every)
    for row, truth in enumerate(names):
        for column, predicted in enumerate(names):
            found = everything(client, address, **asked, truth=truth, predicted=predicted)
            assert len(found) == report["confusion"][row][column] == cells[truth, predicted]


def test_scores_are_named_and_the_highest_comes_first(client, project, model) -> None:
    for row in everything(client, f"projects/{project.id}/predictions", model=model.name):
        scores = [score["score"] for score in row["scores"]]
        assert scores == sorted(scores, reverse=True) and sum(scores) == pytest.approx(1, abs=1e-4)
        assert {score["label"] for score in row["scores"]} == set(COLOURS)
        assert row["predicted"] == [row["scores"][0]["label"]]
        assert client.get(f"images/{row['image']}/thumbnail").headers["etag"] == f'"{row["sha256"]}"'


def test_a_prediction_run_lists_its_own_and_is_no_part_of_the_training(
    client, workspace, project, model, tmp_path: Path
) -> None:
    before = everything(client, f"projects/{project.id}/predictions", model=model.name)
    for number in range(3):
        noise(tmp_path / "new" / f"{number}.png", COLOURS["blue"], 1000 + number)
    steps: list[Step] = []
    outcome = predict_files(workspace, model, "last", [tmp_path / "new"], offline=True, tell=steps.append)
    found = everything(client, f"runs/{outcome.run.id}/predictions")
    assert [row["name"] for row in found] == ["0.png", "1.png", "2.png"]
    assert all(row["image"] is None and row["truth"] is None and len(row["scores"]) == 3 for row in found)
    assert everything(client, f"projects/{project.id}/predictions", model=model.name) == before


def test_an_image_that_is_gone_keeps_its_prediction_without_a_picture(
    client, workspace, project, model
) -> None:
    address = f"projects/{project.id}/predictions"
    gone = everything(client, address, model=model.name)[3]
    workspace.database.write(
        lambda cursor: cursor.execute("delete from image where id = ?", [gone["image"]]).fetchall()
    )
    assert everything(client, address, model=model.name)[3] == {**gone, "image": None}


@pytest.mark.parametrize(
    ("query", "status", "sentence"),
    [
        ("model=none", 404, "no model 'none'"),
        ("model=MODEL&truth=owl", 400, "no label 'owl'"),
        ("model=MODEL&predicted=%27%3B--", 400, "has no label"),
        ("model=MODEL&cursor=x", 400, "cursor 'x'"),
        ("model=MODEL&set=dev", 422, "set: "),
        ("model=MODEL&verdict=maybe", 422, "verdict: "),
        ("", 422, "model: "),
    ],
)
def test_a_bad_question_is_a_sentence(client, project, model, query, status, sentence) -> None:
    answer = client.get(f"projects/{project.id}/predictions?{query.replace('MODEL', model.name)}")
    assert answer.status_code == status and sentence in answer.json()["error"]


def test_a_run_that_is_no_prediction_is_a_sentence(client, model) -> None:
    for run in (model.run_id, 9999, 10**30):
        answer = client.get(f"runs/{run}/predictions")
        assert answer.status_code == 404 and f"no prediction {run}" in answer.json()["error"]
