"""What every test gets: no installed plugin, no network, no thread storms, and folders of generated image files."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

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
