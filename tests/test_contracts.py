"""Every registered plugin is tested because it is registered."""

import atexit
import functools
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fieldmark.core.registry import load_registry
from fieldmark.testing import Check, checks

REGISTRY = load_registry()


@functools.cache
def untrained_timm() -> Mapping[str, Any]:
    """Return options for a small timm network with random weights in a local file."""
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    folder = Path(tempfile.mkdtemp(prefix="fieldmark-contract-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    save_file(timm.create_model("test_resnet", num_classes=0).state_dict(), folder / "model.safetensors")
    return {"architecture": "test_resnet", "weights": folder / "model.safetensors", "precision": "float32"}


SAMPLES: dict[tuple[str, str], dict[str, Any]] = {
    ("backbone", "timm"): {"options": untrained_timm},
    ("importer", "class-folders"): {
        "files": {
            "cat/a.jpg": b"",
            "cat/b.png": b"",
            "dog/a.jpg": b"",
            "unlabelled/c.jpg": b"",
            "notes.txt": b"?",
        }
    },
    ("importer", "csv"): {
        "files": {
            "labels.csv": b"image,label,split\na.jpg,cat,train\nb.jpg,dog,train\nc.jpg,cat|dog,test\nd.jpg,,\n"
        }
    },
    ("importer", "csv-onehot"): {
        "files": {"labels.csv": b"image,cat,dog\na.jpg,1,0\nb.jpg,0,1\nc.jpg,1,1\nd.jpg,0,0\n"}
    },
}


def every_check() -> list[Any]:
    return [
        pytest.param(check, id=f"{plugin.kind}-{plugin.name}-{check.name}")
        for plugin in REGISTRY.plugins
        for check in checks(plugin.cls, **SAMPLES.get((plugin.kind, plugin.name), {}))
    ]


@pytest.mark.parametrize("check", every_check())
def test_contract(check: Check) -> None:
    check()


def test_every_sample_belongs_to_a_registered_plugin() -> None:
    assert set(SAMPLES) <= {(plugin.kind, plugin.name) for plugin in REGISTRY.plugins}


def test_every_kind_is_among_them() -> None:
    assert {plugin.kind for plugin in REGISTRY.plugins} == {"importer", "backbone", "trainer", "exporter"}
