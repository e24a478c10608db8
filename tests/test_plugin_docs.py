"""docs/plugins.md says what the code does: signatures, examples, rules, types, stages."""

import importlib
import inspect
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import pytest

from fieldmark import CONTRACT_VERSION, Backbone, Classifier, Exporter, Importer, Plugin, Trainer
from fieldmark.core import hookspecs
from fieldmark.core.checks.contract_rules import HEAVY
from fieldmark.core.contracts.terms import KINDS
from fieldmark.core.options import refused_fields
from fieldmark.core.registry import Stage
from fieldmark.testing import checks

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "fieldmark-sharpness"
DOCS = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
HEADINGS = re.findall(r"^#{3,4} `(.+)`$", DOCS, re.MULTILINE)
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]


def signature(function: Any) -> str:
    """Return `name(arguments) -> result` as the source says it, without self or cls."""
    shown = inspect.signature(function)
    arguments = [argument for name, argument in shown.parameters.items() if name not in ("self", "cls")]
    return function.__name__ + str(shown.replace(parameters=arguments)).replace("'", "")


def methods_of(cls: type) -> Iterable[Any]:
    for name, member in vars(cls).items():
        function = getattr(member, "__func__", member)
        if inspect.isfunction(function) and not name.startswith("_"):
            yield function


HOOKS = [getattr(hookspecs, f"register_{kind}s") for kind in KINDS]
METHODS = [
    method for cls in (Importer, Backbone, Trainer, Classifier, Exporter) for method in methods_of(cls)
]


@pytest.mark.parametrize("function", [*HOOKS, *METHODS], ids=lambda function: function.__qualname__)
def test_every_signature_is_a_heading(function: Any) -> None:
    assert signature(function) in HEADINGS


def test_every_heading_is_a_signature() -> None:
    assert set(HEADINGS) == {signature(function) for function in (*HOOKS, *METHODS)}


def test_every_hook_is_documented() -> None:
    specs = [name for name, value in vars(hookspecs).items() if hasattr(value, "fieldmark_spec")]
    assert sorted(specs) == sorted(hook.__name__ for hook in HOOKS)


@pytest.mark.parametrize("cls", [Plugin, Importer, Backbone, Trainer, Exporter])
def test_every_class_attribute_is_documented(cls: type) -> None:
    for name in inspect.get_annotations(cls):
        assert name == "options_model" or f"`{name}`" in DOCS


@pytest.mark.parametrize(
    "path", ["pyproject.toml", "fieldmark_sharpness.py", "tests/test_fieldmark_sharpness.py"]
)
def test_the_complete_example_is_the_one_in_the_examples_folder(path: str) -> None:
    assert (EXAMPLE / path).read_text(encoding="utf-8") in [code for _, code in BLOCKS]


SAMPLES = {"tabbed-lines": {"files": {"labels.txt": b"a.jpg\tcat\nb.jpg\tdog\nc.jpg\tcat\nnothing\n"}}}


@pytest.mark.parametrize(
    "code", [code for code in PYTHON if "@hookimpl" in code], ids=lambda code: code.split("\n")[0]
)
def test_every_example_runs_and_keeps_the_contract(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "documented_plugin.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "documented_plugin", raising=False)
    module = importlib.import_module("documented_plugin")
    plugins = [
        cls for hook in HOOKS if hasattr(module, hook.__name__) for cls in getattr(module, hook.__name__)()
    ]
    assert plugins
    for plugin in plugins:
        assert refused_fields(plugin.options_model) == []
        for check in checks(plugin, **SAMPLES.get(plugin.name, {})):
            check()


def rows(heading: str) -> list[list[str]]:
    table = DOCS[DOCS.index(heading) :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in table]


def test_every_rule_is_listed_with_its_meaning() -> None:
    listed = {(rule, kind): meaning for rule, kind, meaning in rows("| rule | of | |")}
    known = {}
    for kind, plugin in zip(
        ("importer", "backbone", "trainer", "exporter"), (Importer, Backbone, Trainer, Exporter), strict=True
    ):
        for check in checks(plugin):
            general = check.rule.__module__.endswith("contract_rules")
            known[check.name, "all" if general else kind] = " ".join((check.rule.__doc__ or "").split())
    assert {key: meaning.replace("`", "") for key, meaning in listed.items()} == {
        key: meaning.replace("`", "") for key, meaning in known.items()
    }


def test_every_stage_is_listed() -> None:
    assert [row[0] for row in rows("| stage | what happened |")] == list(get_args(Stage))


def test_heavy_libraries_and_the_version_are_named() -> None:
    named = {"scikit-learn" if module == "sklearn" else module for module in HEAVY}
    sentence = DOCS[DOCS.index("Importing the module of a plugin") : DOCS.index("## Hooks")]
    assert all(module in sentence for module in named)
    assert f"`fieldmark.CONTRACT_VERSION` is {CONTRACT_VERSION}." in DOCS


def test_links_lead_somewhere() -> None:
    anchors = {
        re.sub(r"[^\w -]", "", title).strip().replace(" ", "-").lower()
        for title in re.findall(r"^#+ (.+)$", DOCS, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", DOCS):
        assert (
            target.lstrip("#") in anchors if target.startswith("#") else (ROOT / "docs" / target).exists()
        ), target
