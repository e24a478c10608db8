from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw


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

    def arguments(self, *arguments: object, json: bool = True) -> list[str]:
        extra = ["--workspace", str(self.workspace), *(["--json"] if json else [])]
        return [sys.executable, "-m", "fieldmark", *map(str, arguments), *extra]

    def environment(self, **more: str) -> dict[str, str]:
        return {**os.environ, "FIELDMARK_LOAD_PLUGINS": "", **more}

    def __call__(
        self, *arguments: object, code: int | None = 0, json: bool = True, **environment: str
    ) -> Done:
        done = subprocess.run(
            self.arguments(*arguments, json=json),
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


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    """`shapes/disc/*.png` and `shapes/square/*.png`, twelve of each."""
    folder = tmp_path / "shapes"
    for shape in ("disc", "square"):
        for number in range(12):
            draw_shape(folder / shape / f"{number:02}.png", shape, number)
    return folder


@pytest.fixture
def draw():
    """`draw(path, shape, number)` writes one picture."""
    return draw_shape
