"""The lists that packaging needs by hand are complete, and the wheel holds what it should."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PYPROJECT["tool"]["setuptools"]
FOLDERS: dict[str, str] = SETUPTOOLS["package-dir"]


def packages_in_folders() -> set[str]:
    found = {"fieldmark"}
    for name, folder in FOLDERS.items():
        if name == "fieldmark":
            continue
        for init in (ROOT / folder).rglob("__init__.py"):
            parts = init.parent.relative_to(ROOT / folder).parts
            if (ROOT / folder / Path(*parts)) != ROOT / FOLDERS["fieldmark"]:
                found.add(".".join([name, *parts]))
    return found


def python_files(root: Path) -> set[str]:
    """Return every file that belongs into the wheel, by its path there."""
    files = set()
    for name, folder in FOLDERS.items():
        for path in (root / folder).rglob("*"):
            inside = path.relative_to(root / folder)
            public = root / FOLDERS["fieldmark"]
            if name != "fieldmark" and (path == public or public in path.parents):
                continue
            if (
                path.suffix in (".py", ".sql", ".safetensors", ".js", ".css", ".svg")
                or path.name == "py.typed"
            ):
                files.add(f"{name.replace('.', '/')}/{inside.as_posix()}")
    return files


def test_the_package_list_is_what_the_folders_hold() -> None:
    assert set(SETUPTOOLS["packages"]) == packages_in_folders()


def test_every_folder_with_python_is_a_package() -> None:
    for folder in FOLDERS.values():
        for path in (ROOT / folder).rglob("*.py"):
            assert path.with_name("__init__.py").exists(), f"{path.parent} needs an __init__.py"


@pytest.mark.skipif(os.name == "nt", reason="a checkout on Windows may hold links as text")
def test_type_checkers_see_every_folder_and_public_file() -> None:
    links = ROOT / ".typings" / "fieldmark"
    wanted = {name.split(".")[1]: ROOT / folder for name, folder in FOLDERS.items() if "." in name}
    public = ROOT / FOLDERS["fieldmark"]
    wanted |= {
        path.name: path for path in public.iterdir() if path.suffix == ".py" or path.name == "py.typed"
    }
    assert {link.name: link.resolve() for link in links.iterdir() if link.is_symlink()} == wanted


def test_the_wheel_holds_all_of_fieldmark_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("build")
    pytest.importorskip("setuptools")
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for folder in {folder.split("/")[0] for folder in FOLDERS.values()}:
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (source / "conftest.py").write_text("")
    expected = python_files(source)
    built = subprocess.run(
        [
            sys.executable,
            "-m",
            "build",
            "--wheel",
            "--no-isolation",
            "--skip-dependency-check",
            "-o",
            str(tmp_path),
        ],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    (wheel,) = tmp_path.glob("fieldmark-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        entry_points = archive.read(
            f"fieldmark-{PYPROJECT['project']['version']}.dist-info/entry_points.txt"
        ).decode()
    assert held == expected
    assert "fieldmark = fieldmark.cli.main:main" in entry_points
