"""What every test gets: no installed plugin, no network, no thread storms, and folders of generated image files."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

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
