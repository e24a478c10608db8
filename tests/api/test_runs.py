"""Uploads, trainings and predictions over REST, against a real server that is stopped and started again."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest


def with_shapes(rest: Any, shapes: Path) -> None:
    rest.post("projects", name="p")
    files = {f"shapes/{path.relative_to(shapes)}": path.read_bytes() for path in shapes.rglob("*.png")}
    run = rest.post("projects/p/images", upload=rest.send(files), labels_from_folder=True)["run"]
    report = rest.wait(run)["report"]
    assert (report["stored"], report["labels"]) == (24, 24)
    attached = rest.client.get(f"runs/{run}/report")
    assert attached.json() == report and "attachment" in attached.headers["content-disposition"]


def test_from_files_to_downloads(
    served: Any, rest_of: Callable[[Any], Any], shapes: Path, draw: Callable[..., Path]
) -> None:
    rest = rest_of(served)
    with_shapes(rest, shapes)

    run = rest.post("projects/p/trainings", name="m")["run"]
    assert rest.wait(run)["status"] == "finished"
    found = rest.client.get("projects/p/models").json()["models"]
    shown = rest.client.get("projects/p/models/m").json()
    assert [model["name"] for model in found] == ["m"]
    assert shown["validation"]["accuracy"] == found[0]["accuracy"]

    fresh = {f"{n}.png": draw(shapes.parent / f"{n}.png", "disc", n).read_bytes() for n in (50, 51)}
    run = rest.post("projects/p/predictions", model="m", upload=rest.send(fresh))["run"]
    assert rest.wait(run)["status"] == "finished"
    listed = rest.client.get(f"runs/{run}/predictions").json()["predictions"]
    assert {row["name"] for row in listed} == set(fresh)
    picture = httpx2.get(f"{rest.client.base_url.copy_with(path='/')}{listed[0]['thumbnail']}")
    assert picture.headers["content-type"] == "image/jpeg"

    downloads = {
        name: rest.client.get(f"runs/{run}/download", params={"format": name})
        for name in ("json", "csv", "grouped-zip")
    }
    assert all("attachment" in answer.headers["content-disposition"] for answer in downloads.values())
    assert len(json.loads(downloads["json"].content)) == 2
    assert len(list(csv.DictReader(io.StringIO(downloads["csv"].text)))) == 2
    with zipfile.ZipFile(io.BytesIO(downloads["grouped-zip"].content)) as found_zip:
        assert {name.rpartition("/")[2] for name in found_zip.namelist() if name.endswith(".png")} == set(
            fresh
        )

    again = rest.post("projects/p/predictions", model="m", checkpoint="last", earlier=run)["run"]
    assert rest.wait(again)["status"] == "finished"
    ours = rest.post("projects/p/predictions", model="m", images="all")["run"]
    assert rest.wait(ours)["status"] == "finished"
    assert rest.client.get(f"runs/{ours}/predictions").json()["total"] == 24


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_training_goes_on_without_its_server(
    serve: Callable[..., Any], rest_of: Callable[[Any], Any], shapes: Path, number: int
) -> None:
    first = serve()
    rest = rest_of(first)
    with_shapes(rest, shapes)
    run = rest.post("projects/p/trainings", name="m")["run"]
    while rest.client.get(f"runs/{run}").json()["stage"] is None:
        time.sleep(0.05)
    first.stop(number)
    if number == signal.SIGTERM:
        assert "the training 'm' goes on by itself" in first.log.read_text()

    again = rest_of(serve(first.workspace))

    assert again.wait(run)["status"] == "finished"
    assert again.client.get("projects/p/models/m").json()["validation"]["count"] > 0


def test_a_worker_that_died_with_its_machine_is_marked_by_name(
    serve: Callable[..., Any], rest_of: Callable[[Any], Any], shapes: Path
) -> None:
    first = serve()
    rest = rest_of(first)
    with_shapes(rest, shapes)
    run = rest.post("projects/p/trainings", name="lost")["run"]
    pid = first.workspace / "runs" / str(run) / "worker.pid"
    while not (pid.exists() and pid.read_text()):
        time.sleep(0.02)
    first.process.send_signal(signal.SIGSTOP)  # so that it sees neither
    os.kill(int(pid.read_text()), signal.SIGKILL)
    first.stop(signal.SIGKILL)

    again = serve(first.workspace)

    assert "the training 'lost' was interrupted" in again.log.read_text()
    assert rest_of(again).client.get(f"runs/{run}").json()["status"] == "interrupted"


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("projects", {"name": " "}, 400, "needs a name"),
        ("projects", {"name": "p", "colour": "red"}, 422, "colour"),
        ("projects/9/trainings", {}, 404, "there is no project '9'"),
        ("projects/p/trainings", {}, 400, "is labelled"),
        ("projects/p/trainings", {"minutes": -1}, 400, "minutes"),
        ("projects/p/predictions", {"model": "m"}, 404, "there is no model 'm'"),
        ("projects/p/images", {"upload": "nothing"}, 404, "are gone"),
    ],
)
def test_bad_wishes_get_a_sentence(
    rest_for_module: Any, path: str, body: dict[str, Any], status: int, words: str
) -> None:
    answer = rest_for_module.client.post(path, json=body)

    assert answer.status_code == status
    assert words in answer.json()["error"]


@pytest.mark.parametrize(
    "path", ["runs/99", "runs/99/predictions", "nothing", "uploads/none", "projects/p/models/no"]
)
def test_what_is_not_there_is_404_with_a_sentence(rest_for_module: Any, path: str) -> None:
    answer = rest_for_module.client.get(path)

    assert answer.status_code == 404
    assert answer.json()["error"]


def test_a_file_name_that_leads_out_is_refused_and_nothing_is_kept(rest_for_module: Any) -> None:
    token = rest_for_module.client.post("uploads").json()["upload"]

    answer = rest_for_module.client.put(f"uploads/{token}/files", params={"name": "../x.png"}, content=b"x")

    assert answer.status_code == 400
    assert rest_for_module.client.get(f"uploads/{token}").json() == {"files": 0, "bytes": 0}
    assert rest_for_module.client.delete(f"uploads/{token}").status_code == 204
    assert rest_for_module.client.get(f"uploads/{token}").status_code == 404


def test_a_file_that_arrives_after_its_upload_was_used_is_not_acknowledged(rest_for_module: Any) -> None:
    token = rest_for_module.send({"a.png": b"x"})
    late = iter([b"some bytes", b"and the last"])

    def body() -> Iterator[bytes]:
        yield next(late)
        rest_for_module.client.delete(f"uploads/{token}")
        yield next(late)

    answer = rest_for_module.client.put(f"uploads/{token}/files", params={"name": "b.png"}, content=body())

    assert answer.status_code == 404 and "too late" in answer.json()["error"]
