"""Install Fieldmark and the example plugin from their wheels into a clean environment, and use both.

    python examples/check_in_clean_environment.py

Takes uv where it is installed, because its cache saves downloading torch again, else venv and pip. Dependencies
get the versions of the environment that runs this script. Exits with 1 and a sentence at the first surprise.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "fieldmark-sharpness"
LITTER = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "tests", "benchmarks")
USE = """
from PIL import Image
from fieldmark.core.registry import load_registry
from fieldmark.testing import checks

backbone = load_registry().backbone("sharpness", ["bins=8"])
backbone.load("cpu")
vectors = backbone.embed([Image.new("RGB", (40, 30), "red"), Image.effect_noise((64, 64), 90).convert("RGB")])
assert vectors.shape == (2, 24), vectors.shape
for check in checks(type(backbone)):
    check()
print("embedded", vectors.shape)
"""


class Surprise(Exception):
    """Something isn't as it should be; the text says what."""


class Environment:
    """A virtual environment with nothing in it but what is installed here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uv = shutil.which("uv")
        scripts = folder / ("Scripts" if os.name == "nt" else "bin")
        self.python, self.fieldmark = scripts / "python", scripts / "fieldmark"
        self._run(*([self.uv, "venv", "--python"] if self.uv else []), sys.executable, *self._venv())

    def _venv(self) -> list[str]:
        return [str(self.folder)] if self.uv else ["-m", "venv", str(self.folder)]

    def pip(self, verb: str, *arguments: str) -> None:
        """Run `pip install` or `pip uninstall`."""
        if self.uv:
            command = (self.uv, "pip", verb, "--python", str(self.python), *arguments)
            if verb == "install":
                # What was just installed beside us lies in uv's cache; an index may be changing at this moment.
                with suppress(Surprise):
                    self._run(*command, "--offline")
                    return
            self._run(*command)
        else:
            self._run(
                str(self.python), "-m", "pip", verb, *(["--yes"] if verb == "uninstall" else []), *arguments
            )

    def site_packages(self) -> set[str]:
        """Return the names that lie in site-packages."""
        folder = self._run(str(self.python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
        return {path.name for path in Path(folder.strip()).iterdir() if path.name != "__pycache__"}

    def plugins(self) -> dict[str, Any]:
        """Return what `fieldmark plugins --json` says."""
        answer: dict[str, Any] = json.loads(self._run(str(self.fieldmark), "plugins", "--json"))
        return answer

    def run(self, code: str) -> str:
        """Run Python code and return what it prints."""
        return self._run(str(self.python), "-c", code)

    def _run(self, *command: str) -> str:
        return run(command, self.folder.parent)


def run(command: Sequence[str], folder: Path) -> str:
    """Run a command outside the checkout, with nothing of ours in its environment; return what it prints."""
    ours = ("FIELDMARK_", "PYTHON", "VIRTUAL_ENV")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    done = subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Surprise(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def wheel_of(project: Path, work: Path) -> Path:
    """Build a project's wheel from a copy, so that no build folder is left in the checkout."""
    source, out = work / f"{project.name}-source", work / f"{project.name}-wheel"
    shutil.copytree(project, source, ignore=LITTER)
    isolation = ["--no-isolation"] if importlib.util.find_spec("setuptools") else []
    run([sys.executable, "-m", "build", "--wheel", *isolation, "-o", str(out), str(source)], work)
    return next(out.glob("*.whl"))


def pinned(work: Path) -> Path:
    """Write the versions of this environment as constraints, without our own distributions."""
    file = work / "constraints.txt"
    lines = {
        f"{it.name}=={it.version.partition('+')[0]}\n"
        for it in importlib.metadata.distributions()
        if not it.name.lower().startswith("fieldmark")
    }
    file.write_text("".join(sorted(lines)), encoding="utf-8")
    return file


def named(answer: dict[str, Any], distribution: str) -> list[tuple[str, str]]:
    """Return kind and name of each plugin that came with a distribution."""
    return [(it["kind"], it["name"]) for it in answer["plugins"] if it["distribution"] == distribution]


def expect(condition: bool, sentence: str) -> None:
    if not condition:
        raise Surprise(sentence)


def check(work: Path) -> None:
    """Raise `Surprise` where installing, using or uninstalling goes wrong."""
    ours, theirs = wheel_of(ROOT, work), wheel_of(EXAMPLE, work)
    environment = Environment(work / "environment")
    environment.pip("install", "-c", str(pinned(work)), str(ours))
    environment.pip("uninstall", "fieldmark")
    before = environment.site_packages()
    environment.pip("install", "--no-deps", str(ours))
    added = environment.site_packages() - before
    version = importlib.metadata.version("fieldmark")
    expect(
        added == {"fieldmark", f"fieldmark-{version}.dist-info"},
        f"our wheel put {sorted(added)} into site-packages",
    )
    print("our wheel adds:", ", ".join(sorted(added)))

    alone = environment.plugins()
    expect(not alone["problems"], f"problems before the example is installed: {alone['problems']}")
    built_in = named(alone, "fieldmark")
    expect(len(built_in) == len(alone["plugins"]) > 0, f"plugins of nobody: {alone['plugins']}")

    environment.pip("install", "--no-deps", str(theirs))
    both = environment.plugins()
    expect(not both["problems"], f"problems with the example: {both['problems']}")
    expect(
        named(both, "fieldmark-sharpness") == [("backbone", "sharpness")],
        f"no sharpness in {both['plugins']}",
    )
    print("with the example:", len(both["plugins"]), "plugins;", environment.run(USE).strip())

    environment.pip("uninstall", "fieldmark-sharpness")
    after = environment.plugins()
    expect(after == alone, f"after uninstalling the example: {after}, before: {alone}")
    print("without it again:", len(after["plugins"]), "plugins")


def main() -> int:
    """Run the check in a temporary folder; the exit status says how it went."""
    with tempfile.TemporaryDirectory(prefix="fieldmark-clean-") as name:
        try:
            check(Path(name))
        except Surprise as surprise:
            print(surprise, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
