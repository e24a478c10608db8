"""What every test gets: no installed plugin, no network, no thread storms, and folders of generated image files."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import httpx2
import pytest
from PIL import Image, ImageDraw

# Before anything of ours or torch is imported: both read these once. Plugins that happen to be installed beside
# Fieldmark must not change what its tests see.
os.environ["FIELDMARK_LOAD_PLUGINS"] = ""
os.environ.pop("FIELDMARK_STRICT_PLUGINS", None)
os.environ.pop("FIELDMARK_WORKSPACE", None)
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def image_makers() -> ModuleType:
    """The module tests/hostile_images.py, which lies in no package."""
    name = "hostile_images"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("hostile_images.py"))
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def hostile_images(image_makers: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files that must all be refused."""
    folder: Path = image_makers.write_hostile(tmp_path_factory.mktemp("hostile") / "files")
    return folder


@pytest.fixture(scope="session")
def odd_images(image_makers: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files that are unusual but sound."""
    folder: Path = image_makers.write_odd(tmp_path_factory.mktemp("odd") / "files")
    return folder


class LoopbackHub:
    """Speaks as much of the Hugging Face hub as a download of one file needs, on this machine only."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        self._servers: list[ThreadingHTTPServer] = []

    def serve(self, weights: Mapping[str, bytes]) -> str:
        """Offer model.safetensors of each repository and return the endpoint."""
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.answer(with_body=False)

            def do_GET(self) -> None:
                self.answer(with_body=True)

            def answer(self, with_body: bool) -> None:
                hub.requests.append((self.command, self.path))
                repo, _, file = self.path.strip("/").partition("/resolve/main/")
                content = weights.get(repo) if file == "model.safetensors" else None
                self.send_response(200 if content is not None else 404)
                if content is None:
                    self.send_header("X-Error-Code", "RepoNotFound")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_header("X-Repo-Commit", "0" * 40)
                self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if with_body:
                    self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                return

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self._servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    served = LoopbackHub()
    yield served
    served.close()


class Served:
    """A real `fieldmark serve` in a process of its own."""

    def __init__(self, workspace: Path, *options: str) -> None:
        self.workspace = workspace
        self.log = workspace.parent / f"{workspace.name}-serve.log"
        with self.log.open("ab") as log:
            self.process = self._start(log, options)
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        match = re.search(r"http://\S+", first)
        assert match, f"the server said {first!r} and {self.log.read_text()!r}"
        self.address = match.group()

    def _start(self, log: IO[bytes], options: tuple[str, ...]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [
                sys.executable, "-m", "fieldmark", "serve", "--no-browser", "--port", "0",
                "--workspace", str(self.workspace), *options,
            ],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )  # fmt: skip

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End the server by a signal and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(20)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status


def _starter(folder: Path) -> Iterator[Callable[..., Served]]:
    started: list[Served] = []

    def start(workspace: Path | None = None, *options: str) -> Served:
        started.append(Served(workspace or folder / "workspace", *options))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Start servers on workspaces and end them after the test: `serve(folder, "--offline").address`."""
    yield from _starter(tmp_path)


@pytest.fixture(scope="module")
def serve_for_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Served]]:
    """As `serve`, for tests of one file that only look."""
    yield from _starter(tmp_path_factory.mktemp("served"))


class Rest:
    """What a script does with a server."""

    def __init__(self, address: str) -> None:
        self.client = httpx2.Client(base_url=f"{address}/api/v1/", timeout=60, trust_env=False)

    def ask(self, method: str, path: str, **body: Any) -> Any:
        """Return the answer to a request that must succeed."""
        answer = self.client.request(method, path, json=body or None)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def post(self, path: str, **body: Any) -> Any:
        """Return the answer to a POST that must succeed."""
        answer = self.client.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def send(self, files: Mapping[str, bytes]) -> str:
        """Send files under one token and return it."""
        token: str = self.post("uploads")["upload"]
        for name, content in files.items():
            answer = self.client.put(f"uploads/{token}/files", params={"name": name}, content=content)
            assert answer.json() == {"name": name, "bytes": len(content)}
        return token

    def wait(self, run: int) -> Any:
        """Return a run once it has ended."""
        deadline = time.monotonic() + 300
        while (view := self.ask("GET", f"runs/{run}"))["active"]:
            assert time.monotonic() < deadline, view
            time.sleep(0.1)
        return view

    def project(self, name: str, pictures: Mapping[str, Path], labels: Mapping[str, str]) -> int:
        """Make a project of pictures {name: file}, labelled {name: label}; return its id."""
        made: int = self.post("projects", name=name)["id"]
        if pictures:
            token = self.send({called: path.read_bytes() for called, path in pictures.items()})
            self.wait(self.post(f"projects/{made}/images", upload=token)["run"])
        for tile in self.ask("GET", f"projects/{made}/images?limit=500")["images"]:
            if tile["name"] in labels:
                wanted = {"images": [tile["id"]], "add": [labels[tile["name"]]]}
                self.post(f"projects/{made}/annotations", **wanted)
        return made


@pytest.fixture
def rest_of() -> Iterator[Callable[[Any], Rest]]:
    """`rest_of(server)` speaks to a server as a script does, until the test ends."""
    made: list[Rest] = []

    def make(server: Any) -> Rest:
        made.append(Rest(server.address))
        return made[-1]

    yield make
    for rest in made:
        rest.client.close()


@pytest.fixture(scope="module")
def rest_for_module(serve_for_module: Callable[..., Served]) -> Iterator[Rest]:
    """A server for one file's tests, with an empty project `p` that none of them changes."""
    rest = Rest(serve_for_module().address)
    rest.post("projects", name="p")
    yield rest
    rest.client.close()


@pytest.fixture
def served(serve: Callable[..., Served]) -> Served:
    """Serve an empty workspace."""
    return serve()


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


class Command:
    """The command as a person types it, in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workspace = folder / "ws"

    def arguments(self, *arguments: object, as_json: bool = True) -> list[str]:
        extra = ["--workspace", str(self.workspace), *(["--json"] if as_json else [])]
        return [sys.executable, "-m", "fieldmark", *map(str, arguments), *extra]

    def environment(self, **more: str) -> dict[str, str]:
        return {**os.environ, "FIELDMARK_LOAD_PLUGINS": "", **more}

    def __call__(
        self, *arguments: object, code: int | None = 0, json: bool = True, **environment: str
    ) -> Done:
        done = subprocess.run(
            self.arguments(*arguments, as_json=json),
            cwd=self.folder,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        if code is not None:
            assert done.returncode == code, (done.stdout, done.stderr)
        return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def fieldmark(tmp_path: Path) -> Command:
    return Command(tmp_path)


def draw_shape(path: Path, shape: str, number: int) -> Path:
    """A picture that can be told apart from others of its folder, by eye and by model."""
    image = Image.new("RGB", (96, 80), (40 + number * 7 % 100, 90, 140))
    pen = ImageDraw.Draw(image)
    x, y, size = 10 + number * 5 % 40, 8 + number * 3 % 30, 22 + number * 11 % 20
    box = (x, y, x + size, y + size)
    if shape == "disc":
        pen.ellipse(box, fill=(230, 200, 30 + number))
    else:
        pen.rectangle(box, fill=(200, 30, 60 + number))
        pen.line((0, 0, 95, 79), fill="white", width=1 + number % 5)
    image.putpixel((95, 0), (number % 256, number // 256, 0))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def draw_shapes(folder: Path) -> Path:
    """Draw `shapes/disc/*.png` and `shapes/square/*.png`, twelve of each, and return `shapes`."""
    for shape in ("disc", "square"):
        for number in range(12):
            draw_shape(folder / "shapes" / shape / f"{number:02}.png", shape, number)
    return folder / "shapes"


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    """`shapes/disc/*.png` and `shapes/square/*.png`, twelve of each."""
    return draw_shapes(tmp_path)


@pytest.fixture(scope="session")
def draw_into() -> Callable[[Path], Path]:
    """`draw_into(folder)` draws the shapes there, for fixtures that outlive a test."""
    return draw_shapes


@pytest.fixture(scope="session")
def draw():
    """`draw(path, shape, number)` writes one picture."""
    return draw_shape
