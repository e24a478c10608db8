"""Every route, asked for nonsense: the answer is a sentence, never a failure of the server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx2
import pytest

from fieldmark.api.server import rest

PLAN: dict[str, Any] = rest().openapi()
HUGE = 10**30
ODD_TEXTS = [
    "", " ", "0", "-1", "1.5", str(HUGE), "9" * 5000, "nan", "null", "true", "a\x00b", "\x01", "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
    "'; drop table image; --", "<script>alert(1)</script>", "../../etc/passwd", "..", "%", "é" * 3000, "\u202e\u2066", "id:1", "aWQ6OTk5OTk5OTk5OTk5OTk5OTk5",
]  # fmt: skip
"""Sent for every parameter of an address; the last two look like cursors, the last one is one behind all ids."""
ODD_VALUES: list[Any] = [
    None, True, 0, -1, 1.5, HUGE, -HUGE, 1e308, "", "a\x00b", "\ud800", "x" * 100_000, [], [None], [[]], [HUGE], [-1],
    ["\ud800"], {}, {"a": {"b": [1]}}, {"1": HUGE}, "1", ["x"] * 20_000,
]  # fmt: skip
"""Sent for every field of a body."""
ODD_BODIES = [
    b"", b"{", b"null", b"[]", b'"x"', b"1e999", b"NaN", b'{"name": NaN}', b"\xff\xfe\x00", b"[" * 100_000, b'{"\\ud800": 1}',
    b'{"name": "\\ud800"}', b'{"name": "a", "name": "b"', b'{"nothing of the kind": 1}', b"9" * 100_000,
]  # fmt: skip
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "BREW")


@dataclass(frozen=True)
class Operation:
    """A route as its own description has it."""

    method: str
    path: str

    @property
    def plan(self) -> dict[str, Any]:
        found: dict[str, Any] = PLAN["paths"][self.path][self.method.lower()]
        return found

    def parameters(self, place: str) -> list[str]:
        return [p["name"] for p in self.plan.get("parameters", []) if p["in"] == place]

    @property
    def fields(self) -> list[str]:
        body = self.plan.get("requestBody", {}).get("content", {}).get("application/json")
        if body is None:
            return []
        name = body["schema"]["$ref"].rpartition("/")[2]
        return list(PLAN["components"]["schemas"][name]["properties"])


OPERATIONS = [
    Operation(method.upper(), path) for path, methods in PLAN["paths"].items() for method in methods
]


@dataclass
class Ground:
    """A server with a project of six images, a model trained on them, and the runs that made both."""

    client: httpx2.Client
    log: Path
    image: int
    upload_run: int
    prediction: int

    def fresh_upload(self) -> str:
        token: str = self.client.post("/api/v1/uploads").json()["upload"]
        return token

    def known(self, operation: Operation) -> dict[str, str]:
        """What names something that is there, so that only the odd part can be refused."""
        known = {
            "project": "1", "image": str(self.image), "run": str(self.prediction), "model": "m", "sha256": "0" * 64,
            "size": "thumbnail", "name": "a.png", "format": "json",
        }  # fmt: skip
        if operation.path.endswith("/report"):
            known["run"] = str(self.upload_run)
        if "{token}" in operation.path:
            known["token"] = self.fresh_upload()
        return known

    def body(self, operation: Operation) -> dict[str, Any]:
        bodies: dict[str, dict[str, Any]] = {
            "/v1/projects": {"name": "another"},
            "/v1/projects/{project}": {"name": "renamed"},
            "/v1/projects/{project}/images": {"upload": "none"},
            "/v1/projects/{project}/annotations": {"images": [self.image], "add": ["cat"]},
            "/v1/projects/{project}/labels": {"name": "a label"},
            "/v1/projects/{project}/labels/import": {"upload": "none", "dry_run": True},
            "/v1/projects/{project}/trainings": {"minutes": 0.05},
            "/v1/projects/{project}/predictions": {"model": "m", "images": "all"},
            "/v1/projects/{project}/models/{model}": {"name": "another"},
        }
        return bodies[operation.path]


@pytest.fixture(scope="module")
def ground(
    serve_for_module: Callable[..., Any], draw: Callable[..., Path], tmp_path_factory: Any
) -> Iterator[Ground]:
    server = serve_for_module(None, "--offline")
    with httpx2.Client(base_url=server.address, timeout=60, trust_env=False) as client:
        client.post("/api/v1/projects", json={"name": "p"})
        token = client.post("/api/v1/uploads").json()["upload"]
        folder = tmp_path_factory.mktemp("drawn")
        for number in range(6):
            shape = ("disc", "square")[number % 2]
            path = draw(folder / f"{number}.png", shape, number)
            client.put(
                f"/api/v1/uploads/{token}/files", params={"name": f"x/{shape}/{number}.png"}, content=path.read_bytes()
            )  # fmt: skip
        run = client.post(
            "/api/v1/projects/1/images", json={"upload": token, "labels_from_folder": True}
        ).json()["run"]
        wait(client, run)
        image = client.get("/api/v1/projects/1/images").json()["images"][0]["id"]
        training = client.post("/api/v1/projects/1/trainings", json={"name": "m", "minutes": 0.05}).json()[
            "run"
        ]
        wait(client, training)
        wishes = {"model": "m", "images": "all"}
        prediction = client.post("/api/v1/projects/1/predictions", json=wishes).json()["run"]
        wait(client, prediction)
        yield Ground(client, server.log, image, run, prediction)


def wait(client: httpx2.Client, run: int) -> None:
    while (view := client.get(f"/api/v1/runs/{run}").json())["active"]:
        time.sleep(0.05)
    assert view["status"] == "finished", view


@pytest.fixture(autouse=True)
def nothing_failed_inside(ground: Ground) -> Iterator[None]:
    """After each test the log has no traceback, and the project is whole."""
    before = ground.log.stat().st_size
    yield
    with ground.log.open("rb") as log:
        log.seek(before)
        assert "Traceback" not in log.read().decode("utf-8", "replace")
    assert ground.client.get("/api/v1/projects/1/images").json()["total"] == 6
    for run in ground.client.get("/api/v1/runs").json()["runs"]:
        ground.client.post(f"/api/v1/runs/{run['id']}/cancel")
    models = ground.client.get("/api/v1/projects/1/models").json()["models"]
    if "m" not in [model["name"] for model in models]:  # a name such as "1" is a fine one
        ground.client.patch(f"/api/v1/projects/1/models/{models[0]['name']}", json={"name": "m"})


def url(operation: Operation, values: dict[str, str]) -> str:
    path = "/api" + operation.path
    for name in operation.parameters("path"):
        path = path.replace(f"{{{name}}}", quote(values[name], safe=""))
    query = {name: values[name] for name in operation.parameters("query") if name in values}
    return f"{path}?{urlencode(query)}" if query else path


def is_told(answer: httpx2.Response) -> None:
    """A refusal is a 4xx whose body is one sentence of bounded length that shows nothing of the inside."""
    said = (
        answer.request.method,
        str(answer.request.url)[:200],
        answer.request.content[:200],
        answer.text[:400],
    )
    assert answer.status_code < 500, said
    if answer.status_code < 400:
        return
    if answer.request.method != "HEAD":
        assert answer.headers["content-type"].startswith("application/json"), said
        document = answer.json()
        assert list(document) == ["error"], said
        assert isinstance(document["error"], str) and 5 < len(document["error"]) < 1500, said
        assert "Error(" not in document["error"] and "Traceback" not in document["error"], said


def named(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.plan.get("parameters")], ids=named)
def test_odd_parameters_are_refused_in_a_sentence(ground: Ground, operation: Operation) -> None:
    for place in ("path", "query"):
        for name in operation.parameters(place):
            for text in ODD_TEXTS:
                if place == "path" and text in ("", ".."):
                    continue  # another address
                known = ground.known(operation)
                if (
                    operation.method == "DELETE"
                    and len(operation.parameters("path")) == 1
                    and text == known.get(name)
                ):
                    continue
                values = {**known, name: text}
                body = ground.body(operation) if operation.fields else None
                is_told(ground.client.request(operation.method, url(operation, values), json=body))


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.fields], ids=named)
def test_odd_bodies_are_refused_in_a_sentence(ground: Ground, operation: Operation) -> None:
    for body in ODD_BODIES:
        for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded", ""):
            answer = ground.client.request(
                operation.method, url(operation, ground.known(operation)), content=body, headers={"content-type": kind}
            )  # fmt: skip
            is_told(answer)
            assert answer.status_code >= 400, body[:80]


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.fields], ids=named)
def test_odd_fields_are_refused_in_a_sentence(ground: Ground, operation: Operation) -> None:
    for field in operation.fields:
        for value in ODD_VALUES:
            body = json.dumps({**ground.body(operation), field: value})
            answer = ground.client.request(
                operation.method, url(operation, ground.known(operation)), content=body,
                headers={"content-type": "application/json"},
            )  # fmt: skip
            is_told(answer)


@pytest.mark.parametrize("path", sorted(PLAN["paths"]))
def test_odd_methods_are_refused_in_a_sentence(ground: Ground, path: str) -> None:
    there = {method.upper() for method in PLAN["paths"][path]} | {"HEAD"}
    operation = next(o for o in OPERATIONS if o.path == path)
    address = url(operation, ground.known(operation))
    for method in METHODS:
        if method not in there:
            answer = ground.client.request(method, address)
            is_told(answer)
            assert answer.status_code == 405, (method, path)


@pytest.mark.parametrize("limit", ["-1", "0", "501", str(HUGE), "1e3", "x"])
@pytest.mark.parametrize("path", ["projects/1/images", "projects/1/predictions", "runs/{}/predictions"])
def test_a_page_of_an_impossible_size_is_refused(ground: Ground, path: str, limit: str) -> None:
    address = f"/api/v1/{path.format(ground.prediction)}"

    answer = ground.client.get(address, params={"limit": limit, "model": "m"})

    is_told(answer)
    assert answer.status_code in (400, 422)


def test_an_address_that_leads_upwards_is_refused_in_a_sentence(ground: Ground) -> None:
    for path in (
        "/api/v1/../v1/projects",
        "/api/v1/%2e%2e/secret",
        "/api/v1/projects/%00",
        "/api/nothing",
        "/api/",
    ):
        answer = ground.client.get(path)
        is_told(answer)
        if "../" not in path:  # which the client resolves itself
            assert answer.status_code in (400, 404), path
