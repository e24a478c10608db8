"""What a plugin author imports is there, is typed, and costs nothing before it is used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fieldmark

PLUGINS = Path(__file__).parents[1] / "plugins"


@pytest.mark.parametrize("name", fieldmark.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(fieldmark, name) is not None


def test_names_for_type_checkers_are_the_names_at_run_time() -> None:
    tree = ast.parse(Path(fieldmark.__file__ or "").read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    imported = {
        (f"{node.module}", alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert {name for _, name in imported} == set(fieldmark.__all__)
    for module, name in imported:
        assert getattr(sys.modules[module], name) is getattr(fieldmark, name)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'fieldmark' has no attribute 'Backbones'"):
        fieldmark.Backbones  # noqa: B018


def test_importing_fieldmark_alone_loads_none_of_its_parts() -> None:
    code = "import sys, fieldmark; print(sorted(m for m in sys.modules if m.startswith(('fieldmark.', 'pydantic', 'numpy'))))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_the_package_is_marked_as_typed() -> None:
    assert Path(fieldmark.__file__ or "").with_name("py.typed").exists()


@pytest.mark.parametrize("path", sorted(PLUGINS.rglob("*.py")), ids=lambda path: path.stem)
def test_built_in_plugins_use_only_what_an_outsider_can(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = {
        name
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    ours = {module for module in modules if module.split(".")[0] == "fieldmark"}
    assert all(module == "fieldmark" or module.startswith("fieldmark.plugins.") for module in ours), ours
