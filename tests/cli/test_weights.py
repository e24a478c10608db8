"""Weights from the hub and from a file, as the command line brings them in."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    save_file(timm.create_model("test_resnet", pretrained=False).state_dict(), path)
    return path


def test_weights_are_fetched_once_and_then_need_no_network(
    fieldmark, shapes: Path, weights: Path, hub
) -> None:
    endpoint = hub.serve({"timm/test_resnet.r160_in1k": weights.read_bytes()})
    fieldmark("project", "create", "p")
    fieldmark("upload", "p", shapes, "--labels-from-folder")
    train = ["train", "p", "--backbone", "timm:test_resnet.r160_in1k", "--minutes", "0.2"]
    first = fieldmark(*train, HF_ENDPOINT=endpoint, HF_HUB_OFFLINE="0").document
    assert [verb for verb, path in hub.requests if path.endswith("model.safetensors")].count("GET") == 1
    hub.close()
    second = fieldmark(*train, "--seed", "1", "--offline").document
    assert (first["model"], second["model"]) == ("single-label-1", "single-label-2")
    assert fieldmark("projects").document["projects"][0]["backbone"] == "timm:test_resnet.r160_in1k"
    assert list((fieldmark.workspace / "weights").rglob("model.safetensors"))


def test_weights_from_a_file_say_what_was_assumed_and_must_stay_what_they_were(
    fieldmark, shapes: Path, weights: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(weights.read_bytes())
    fieldmark("project", "create", "p")
    fieldmark("upload", "p", shapes, "--labels-from-folder")
    arguments = ["--backbone", "timm:test_resnet", "--minutes", "0.2", "--name", "m"]
    said = fieldmark("train", "p", *arguments, "--weights", "mine.safetensors").document
    assert any("assumed" in note for note in said["notes"])
    new = ["predict", "m", shapes / "disc", "--project", "p", "--output", tmp_path / "o.json"]
    assert fieldmark(*new).document["predicted"] == 12
    mine.unlink()
    assert fieldmark(*new).document["predicted"] == 12
    (kept,) = (fieldmark.workspace / "weights").rglob("mine.safetensors")
    content = bytearray(kept.read_bytes())
    content[-2] ^= 0x10
    kept.write_bytes(content)
    assert "other vectors" in fieldmark(*new, code=1).err
    kept.unlink()
    assert "mine.safetensors" in fieldmark(*new, code=1).err
    assert json.loads((tmp_path / "o.json").read_text())


_HEARING = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from fieldmark.cli.main import main
main()
"""
"""A shell starts what runs in its background deaf to Ctrl-C, and children inherit that."""


def test_ctrl_c_cancels_a_training_and_keeps_the_rest(fieldmark, shapes: Path) -> None:
    fieldmark("project", "create", "p")
    fieldmark("upload", "p", shapes, "--labels-from-folder")
    child = subprocess.Popen(
        [sys.executable, "-c", _HEARING, *fieldmark.arguments("train", "p", "--name", "m")[3:]],
        env=fieldmark.environment(),
        cwd=fieldmark.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list((fieldmark.workspace / "runs").glob("*/progress.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "Traceback" not in err
    assert "stopped" in json.loads(out)["error"]
    assert fieldmark("models").document == {"models": []}
    assert not list((fieldmark.workspace / "runs").iterdir())
    assert fieldmark("train", "p", "--name", "m", "--minutes", "0.2").document["model"] == "m"
