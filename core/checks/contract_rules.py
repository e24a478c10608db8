"""What every rule of `fieldmark.testing` works on, and the rules for every kind of plugin.

A rule is a function: it returns, or raises `AssertionError`. It talks to a plugin exactly as core does, with
small data of its own. The rules of each kind are in `backbone_rules`, `importer_rules` and so on.
"""

from __future__ import annotations

import inspect
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, TypeAlias

from fieldmark.core.admission import BASES, reasons_to_refuse
from fieldmark.core.contracts.plugin import Plugin, PluginError
from fieldmark.core.contracts.source import Source
from fieldmark.core.contracts.terms import Kind
from fieldmark.core.options import parse_options

HEAVY = ("torch", "torchvision", "timm", "streamlit", "sklearn", "albumentations", "pandas", "scipy")


@dataclass(frozen=True, slots=True)
class Sample:
    """A plugin with what its rules need."""

    plugin: type[Plugin[Any]]
    options: Mapping[str, Any] | Callable[[], Mapping[str, Any]] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    device: str = "cpu"

    @property
    def kind(self) -> Kind:
        return next(kind for kind, base in BASES.items() if issubclass(self.plugin, base))

    def make(self) -> Any:
        """Return a new instance with the sample's options."""
        options = self.options() if callable(self.options) else self.options
        return self.plugin(parse_options(self.plugin.options_model, options))


Rule: TypeAlias = Callable[[Sample], None]


class MemorySource(Source):
    """Files by name, held in memory; `opened` collects the names that were opened."""

    def __init__(self, files: Mapping[str, bytes], label: str = "sample", root_name: str = "sample") -> None:
        self.files = dict(files)
        self.label = label
        self.root_name = root_name
        self.opened: list[str] = []

    def names(self) -> Iterator[str]:
        return iter(self.files)

    def open(self, name: str) -> BinaryIO:
        if name not in self.files:
            raise PluginError(f"'{name}' is not in {self.label}.")
        self.opened.append(name)
        return io.BytesIO(self.files[name])


def expect(condition: bool, sentence: str) -> None:
    """Raise `AssertionError` with the rule that was broken."""
    if not condition:
        raise AssertionError(sentence)


def is_admitted(sample: Sample) -> None:
    """Name, summary, options and class attributes are what the registry takes in."""
    reasons = reasons_to_refuse(sample.kind, sample.plugin)
    expect(not reasons, " ".join(reasons))
    sample.make()


def imports_cheaply(sample: Sample) -> None:
    """Importing the plugin's module loads none of the heavy libraries; a fresh interpreter shows it."""
    code = (
        "import importlib, importlib.util, json, sys\n"
        "name, path, heavy, sys.path[:] = json.load(sys.stdin)\n"
        "try: importlib.import_module(name)\n"
        "except ModuleNotFoundError:\n"
        "    spec = importlib.util.spec_from_file_location(name, path)\n"
        "    spec.loader.exec_module(importlib.util.module_from_spec(spec))\n"
        "print(json.dumps([module for module in heavy if module in sys.modules]))\n"
    )
    question = json.dumps([sample.plugin.__module__, inspect.getfile(sample.plugin), HEAVY, sys.path])
    answer = subprocess.run(
        [sys.executable, "-c", code], input=question, capture_output=True, text=True, check=False
    )
    expect(
        answer.returncode == 0, f"importing {sample.plugin.__module__} alone failed: {answer.stderr[-500:]}"
    )
    loaded = json.loads(answer.stdout.splitlines()[-1])
    expect(
        not loaded, f"importing {sample.plugin.__module__} also imports {', '.join(loaded)}: do it in methods"
    )


GENERAL_RULES: tuple[Rule, ...] = (is_admitted, imports_cheaply)
